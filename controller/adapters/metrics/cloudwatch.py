"""Measurements from CloudWatch, through GetMetricData alone.

IAM: cloudwatch:GetMetricData (on every resource: it supports no narrower one).

Queries ask for plain statistics only; `core` calculates ratios. No `Unit` is sent, because a wrong
one gives no data and no error.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from botocore.exceptions import ParamValidationError

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text, is_denied
from controller.adapters.iam.permission import ANY, METRIC_JOBS, Permission
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.units import from_unix
from controller.errors import MetricsError, MetricsRefusedError
from controller.ports.metrics import QUERIES_PER_CALL
from controller.process import logging

log = logging.logger()

IAM: Final = (Permission("cloudwatch:GetMetricData", ANY, METRIC_JOBS),)

PAGES_PER_CALL: Final = 100

_REFUSALS: Final = frozenset(
    {"InvalidParameterCombination", "InvalidParameterValue", "ValidationError"}
)
_ANSWERS: Final = {
    "Complete": QueryStatus.COMPLETE,
    "PartialData": QueryStatus.PARTIAL,
    "InternalError": QueryStatus.ERROR,
    "Forbidden": QueryStatus.FORBIDDEN,
}


@dataclass(slots=True)
class _Result:
    """The result of one query so far, from all its pages."""

    points: dict[int, float] = field(default_factory=dict)
    status: str = "CloudWatch did not answer this query"
    message: str = ""
    pages: int = 0

    def add_page(self, result: Mapping[str, Any]) -> None:
        """Add one page. PartialData means that more follows; a failure stays, whatever follows."""
        stamps, values = result.get("Timestamps", ()), result.get("Values", ())
        self.points.update(zip(map(_second_of, stamps), values, strict=False))
        status = result.get("StatusCode", "no status")
        if len(stamps) != len(values):
            status = "timestamps and values do not match"
        if self.pages == 0 or self.status in ("Complete", "PartialData"):
            self.status = status
        self.message = _text(result.get("Messages"))
        self.pages += 1

    def series(self, period_s: int, span: Span) -> Series:
        """Return the series, oldest point first, because pages come in any order.

        A series with invalid points is a failed one, never an empty one: a stamp that is no
        multiple of the period would never be looked up, and NaN compares as false with every bound.
        """
        if not _are_numbers(self.points.values()):
            return Series({}, QueryStatus.ERROR, "some of its values are no numbers")
        if self.points and not (
            span.start - period_s < min(self.points) and max(self.points) < span.end + period_s
        ):
            return Series(
                {}, QueryStatus.ERROR, "some of its timestamps are outside the requested time"
            )
        if any(second % period_s for second in self.points):
            return Series(
                {}, QueryStatus.ERROR, f"its stamps do not fit the period of {period_s} s"
            )
        answer = _ANSWERS.get(self.status, QueryStatus.ERROR)
        points = dict(sorted(self.points.items())) if self.pages > 1 else self.points
        message = self.message
        if answer is not QueryStatus.COMPLETE and not message:
            message = self.status
        return Series(points, answer, message)


class CloudWatchMetrics:
    """`MetricSource` on a boto3 CloudWatch client.

    open_client: returns the client; called only when something is read.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query; equal queries are sent once, 500 in a call.

        Raises MetricsError when CloudWatch does not answer a call at all, UsageError without a
        region or credentials.
        """
        distinct = list(dict.fromkeys(queries))
        series: dict[MetricQuery, Series] = {}
        for begin in range(0, len(distinct), QUERIES_PER_CALL):
            series.update(self._call(distinct[begin : begin + QUERIES_PER_CALL], span))
        return series

    def _call(self, queries: Sequence[MetricQuery], span: Span) -> dict[MetricQuery, Series]:
        """Send one batch of queries, read all pages, and join the results of each Id."""
        results = {f"q{number}": _Result() for number in range(len(queries))}
        for page in self._pages(queries, span):
            if warning := _text(page.get("Messages")):
                log.warning("cloudwatch_warned", problem=warning)
            for result in page.get("MetricDataResults", ()):
                if result.get("Id") not in results:
                    raise MetricsError("CloudWatch answered another query; run again")
                results[result["Id"]].add_page(result)
        return {
            query: result.series(query.period_s, span)
            for query, result in zip(queries, results.values(), strict=True)
        }

    def _pages(self, queries: Sequence[MetricQuery], span: Span) -> Iterator[Mapping[str, Any]]:
        request: dict[str, Any] = {
            "MetricDataQueries": [
                _metric_stat(f"q{number}", query) for number, query in enumerate(queries)
            ],
            "StartTime": from_unix(span.start),
            "EndTime": from_unix(span.end),
            "ScanBy": "TimestampAscending",
        }
        client = self._open_client()
        for _ in range(PAGES_PER_CALL):
            try:
                page = client.get_metric_data(**request)
            except AWS_ERRORS as error:
                action = "metrics could not be read (cloudwatch:GetMetricData)"
                refused = isinstance(error, ParamValidationError) or code_of(error) in _REFUSALS
                kind = MetricsRefusedError if refused else MetricsError
                problem = kind(error_text(action, error), code=code_of(error))
                problem.denied = is_denied(error)
                raise problem from error
            yield page
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]
        raise MetricsError(
            f"CloudWatch gave more than {PAGES_PER_CALL} pages for {len(queries)} queries; "
            "shorten the baseline's window or split the policy"
        )


@lru_cache(maxsize=8_192)  # the series of a tick have the same stamps
def _second_of(stamp: datetime) -> int:
    return int(stamp.timestamp())


def _are_numbers(values: Iterable[float]) -> bool:
    try:
        return all(map(isfinite, values))
    except OverflowError:  # an integer too large for a float
        return False


def _text(messages: Iterable[Mapping[str, str]] | None) -> str:
    return "; ".join(f"{message.get('Code')}: {message.get('Value')}" for message in messages or ())


def _metric_stat(identity: str, query: MetricQuery) -> dict[str, Any]:
    return {
        "Id": identity,
        "MetricStat": {
            "Metric": {
                "Namespace": query.namespace,
                "MetricName": query.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
            },
            "Period": query.period_s,
            "Stat": query.statistic,
        },
        "ReturnData": True,
    }
