"""CloudWatch: measurements, the states of alarms, and which metrics exist.

IAM: cloudwatch:GetMetricData and cloudwatch:ListMetrics (on every resource: they support no
narrower one); cloudwatch:DescribeAlarms (on every resource, where a policy names an alarm: without
that, CloudWatch returns no composite alarms; `doctor` reads the alarms of `monitoring`, too).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from botocore.exceptions import ParamValidationError

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text, is_denied, pages
from controller.adapters.iam import (
    ALARMS,
    ANY,
    METRIC_JOBS,
    TRAFFIC_JOBS,
    Job,
    Permission,
)
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    MetricQuery,
    QueryStatus,
    Series,
    Span,
)
from controller.core.policy import Metric, alarm_name
from controller.core.units import from_unix
from controller.errors import MetricsError, MetricsRefusedError, UsageError
from controller.ports.metrics import QUERIES_PER_CALL, Dimensions, MetricListing
from controller.process import logging
from controller.safe_text import printable

log = logging.logger()

_LISTING: Final = "cloudwatch:ListMetrics"
IAM: Final = (
    Permission("cloudwatch:DescribeAlarms", ALARMS, TRAFFIC_JOBS),
    Permission("cloudwatch:DescribeAlarms", ANY, {Job.DOCTOR}),
    Permission("cloudwatch:GetMetricData", ANY, METRIC_JOBS),
    Permission(_LISTING, ANY, {Job.START, Job.DOCTOR, Job.INIT}),
)

PAGES_PER_CALL: Final = 100  # of measurements
PAGES: Final = 10  # of any other answer; 500 metrics each

# --- Measurements ---------------------------------------------------------------------------------

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

    Queries ask for plain statistics only; `core` calculates ratios. No `Unit` is sent, because a
    wrong one gives no data and no error.

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


# --- Alarms ---------------------------------------------------------------------------------------

ALARMS_PER_CALL: Final = 100
_ALARM_TYPES: Final = ["MetricAlarm", "CompositeAlarm"]  # by default, only metric alarms
_STATES: Final = {
    "OK": AlarmState.OK,
    "ALARM": AlarmState.ALARM,
    "INSUFFICIENT_DATA": AlarmState.INSUFFICIENT_DATA,
}
_MOST_REASON: Final = 200  # characters of CloudWatch's reason


class CloudWatchAlarms:
    """`AlarmSource` on a boto3 CloudWatch client.

    open_client: returns the client; called only when an alarm is read.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        names = list(dict.fromkeys(alarms))
        readings: dict[str, AlarmReading] = {}
        for begin in range(0, len(names), ALARMS_PER_CALL):
            batch = names[begin : begin + ALARMS_PER_CALL]
            try:
                readings |= self._read(batch)
            except UsageError as error:
                readings |= _unread_alarms(batch, str(error))
            except AWS_ERRORS as error:
                action = "alarms could not be read (cloudwatch:DescribeAlarms)"
                readings |= _unread_alarms(batch, error_text(action, error))
        return readings

    def _read(self, alarms: Sequence[str]) -> dict[str, AlarmReading]:
        names = list(dict.fromkeys(alarm_name(alarm) for alarm in alarms))
        call = self._open_client().describe_alarms
        described = {
            one.get("AlarmName"): one
            for page in pages(call, PAGES, AlarmNames=names, AlarmTypes=_ALARM_TYPES)
            for one in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ()))
        }
        return {alarm: _reading(alarm, described.get(alarm_name(alarm))) for alarm in alarms}


def _unread_alarms(alarms: Iterable[str], reason: str) -> dict[str, AlarmReading]:
    return {alarm: AlarmReading(AlarmState.UNREAD, reason=reason) for alarm in alarms}


def _reading(name_or_arn: str, alarm: Mapping[str, Any] | None) -> AlarmReading:
    """Return the state of `alarm`; MISSING when an ARN names another region or account."""
    by_arn = name_or_arn.startswith("arn:")
    if alarm is None or (by_arn and alarm.get("AlarmArn") != name_or_arn):
        return AlarmReading(AlarmState.MISSING)
    state = _STATES.get(alarm.get("StateValue", ""))
    reason = " ".join(printable(alarm.get("StateReason") or "").split())
    if len(reason) > _MOST_REASON:
        reason = f"{reason[:_MOST_REASON]}..."
    evaluation = alarm.get("EvaluationState", "")
    if state is None:
        return AlarmReading(AlarmState.UNREAD, reason=f"its state is {alarm.get('StateValue')!r}")
    if state is not AlarmState.ALARM and evaluation.startswith("EVALUATION_"):
        problem = f"CloudWatch could not evaluate it ({evaluation}): {reason}"
        return AlarmReading(AlarmState.UNREAD, reason=problem)
    moment = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return AlarmReading(state, 0 if moment is None else int(moment.timestamp()), reason)


# --- The metrics that exist -----------------------------------------------------------------------
# For a new policy, and to explain why a metric has no data. CloudWatch lists the metrics that had
# data in the last two weeks.


class MetricList:
    """`MetricCatalogue` and `MetricDirectory` on a boto3 CloudWatch client.

    open_client: returns the client; called only when metrics are listed.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def similar(self, metric: Metric) -> MetricListing:
        try:
            same = list(self._list(Namespace=metric.namespace, MetricName=metric.name))
            others = [] if same else list(self._list(Namespace=metric.namespace))
        except AWS_ERRORS as error:
            return _unlisted(error)
        return MetricListing(_dimensions(same), sorted({other["MetricName"] for other in others}))

    def named(self, namespace: str, name: str, dimensions: Dimensions) -> MetricListing:
        filters = [
            {"Name": key, **({"Value": value} if value else {})}
            for key, value in dimensions.items()
        ]
        try:
            listed = list(self._list(Namespace=namespace, MetricName=name, Dimensions=filters))
        except AWS_ERRORS as error:
            return _unlisted(error)
        return MetricListing(_dimensions(listed))

    def _list(self, **filters: Any) -> Iterator[Mapping[str, Any]]:
        for page in pages(self._open_client().list_metrics, PAGES, **filters):
            yield from page.get("Metrics", ())


def _dimensions(metrics: Iterable[Mapping[str, Any]]) -> list[Dimensions]:
    return [
        {pair.get("Name", ""): pair.get("Value", "") for pair in metric.get("Dimensions", ())}
        for metric in metrics
    ]


def _unlisted(error: Exception) -> MetricListing:
    problem = error_text(f"metrics could not be listed ({_LISTING})", error)
    return MetricListing(problem=problem, missing_right=_LISTING if is_denied(error) else "")
