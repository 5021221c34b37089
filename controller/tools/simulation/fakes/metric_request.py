"""Parses GetMetricData requests, and refuses the invalid ones as CloudWatch does."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.immutable import Immutable
from controller.tools.simulation.fakes.errors import client_error, page_offset, validation_error
from controller.tools.simulation.scenario.metric_roles import Identity

OPERATION = "GetMetricData"
MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800

_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
_NUMBER = r"\d+(\.\d{1,10})?"
_PERCENT = r"(\d{1,2}(\.\d{1,10})?|100(\.0{1,10})?)"
# The last is a trimmed count: the number of values above a bound.
_STATISTIC = re.compile(rf"Sum|Average|Minimum|Maximum|SampleCount|p{_PERCENT}|TC\({_NUMBER}:\)")
# Other statistics of CloudWatch: trimmed and winsorized means, trimmed sums, ranks.
_NOT_SIMULATED = re.compile(
    rf"IQM|(tm|tc|ts|wm){_PERCENT}"
    rf"|(TM|TC|TS|WM)\(({_PERCENT}%:{_PERCENT}%|{_PERCENT}%:|:{_PERCENT}%)\)"
    rf"|(TM|TC|TS|WM|PR)\(({_NUMBER}:{_NUMBER}|{_NUMBER}:|:{_NUMBER})\)"
)
_HIGH_RESOLUTION = (1, 5, 10, 20, 30)
_SCANS = ("TimestampAscending", "TimestampDescending")
_REQUEST_KEYS = {
    "MetricDataQueries",
    "StartTime",
    "EndTime",
    "NextToken",
    "ScanBy",
    "MaxDatapoints",
    "LabelOptions",
}


class RequestedMetric(Immutable):
    """A query: metric, statistic and period in seconds, under the caller's id."""

    id: str
    label: str
    identity: Identity
    statistic: str
    period_s: int
    unit: str | None


class MetricRequest(Immutable):
    """A parsed GetMetricData request; times in unix seconds, `end_s` not included."""

    queries: tuple[RequestedMetric, ...]
    start_s: float
    end_s: float
    descending: bool
    max_datapoints: int
    offset: int


def read_request(request: Mapping[str, Any]) -> MetricRequest:
    """Parse a GetMetricData request.

    Raises ClientError as CloudWatch would, ParamValidationError as botocore would, and
    NotImplementedError for what CloudWatch supports and the fake does not.
    """
    unknown = request.keys() - _REQUEST_KEYS
    missing = {"MetricDataQueries", "StartTime", "EndTime"} - request.keys()
    if unknown or missing:
        raise validation_error(f"unknown: {sorted(unknown)}, missing: {sorted(missing)}")
    start_s, end_s = _moment(request, "StartTime"), _moment(request, "EndTime")
    if start_s >= end_s:
        raise _invalid("The parameter StartTime must be less than the parameter EndTime.")
    scan = request.get("ScanBy", "TimestampDescending")
    if scan not in _SCANS:
        raise _invalid(f"ScanBy must be one of {', '.join(_SCANS)}, not {scan!r}.")
    limit = request.get("MaxDatapoints", MAX_DATAPOINTS)
    if not 1 <= limit <= MAX_DATAPOINTS:
        raise _invalid(f"MaxDatapoints must be from 1 to {MAX_DATAPOINTS}, not {limit}.")
    queries = tuple(_queries(request["MetricDataQueries"]))
    error = client_error(OPERATION, "InvalidNextToken", "The next token specified is invalid.")
    return MetricRequest(
        queries=queries,
        start_s=start_s,
        end_s=end_s,
        descending=scan == "TimestampDescending",
        max_datapoints=limit,
        offset=page_offset(request.get("NextToken"), r"page-(\d{1,12})", error),
    )


def next_token(offset: int) -> str:
    """Return the token of the page that begins with datapoint number `offset`."""
    return f"page-{offset}"


def _moment(request: Mapping[str, Any], name: str) -> float:
    moment = request[name]
    if not isinstance(moment, datetime):
        raise validation_error(f"{name} must be a datetime, not {type(moment).__name__}")
    if moment.tzinfo is None:
        # botocore would take it as UTC, which hides the mistake on machines that run in UTC.
        raise validation_error(f"{name} has no time zone")
    return moment.timestamp()


def _queries(items: Sequence[Mapping[str, Any]]) -> Iterator[RequestedMetric]:
    if not 1 <= len(items) <= MAX_QUERIES:
        raise _invalid(f"MetricDataQueries takes 1 to {MAX_QUERIES} queries, not {len(items)}.")
    ids: set[str] = set()
    for item in items:
        name = item.get("Id", "")
        if not _ID.fullmatch(name):
            raise _invalid(f"Id {name!r} does not match the pattern ^[a-z][a-zA-Z0-9_]*$.")
        if name in ids:
            raise _invalid(f"Id {name!r} is not unique in MetricDataQueries.")
        ids.add(name)
        if "MetricStat" not in item:
            raise NotImplementedError(f"query {name}: no metric math in a simulated CloudWatch")
        if item.get("ReturnData", True):
            yield _metric_query(name, item)


def _metric_query(name: str, item: Mapping[str, Any]) -> RequestedMetric:
    stat = item["MetricStat"]
    period_s, statistic, metric = stat["Period"], stat["Stat"], stat["Metric"]
    if period_s < 1 or (period_s % 60 and period_s not in _HIGH_RESOLUTION):
        raise _invalid(f"Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period_s}.")
    if not _STATISTIC.fullmatch(statistic):
        if not _NOT_SIMULATED.fullmatch(statistic):
            raise _invalid(f"Stat {statistic!r} is no statistic.")
        raise NotImplementedError(
            f"query {name}: no statistic {statistic} in a simulated CloudWatch"
        )
    identity = Identity.of_request(metric["Namespace"], metric)
    label = item.get("Label", identity.name)
    return RequestedMetric(name, label, identity, statistic, period_s, stat.get("Unit"))


def _invalid(message: str) -> Exception:
    return client_error(OPERATION, "ValidationError", message)
