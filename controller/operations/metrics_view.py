"""What the metrics of a policy show now, each beside what its criteria expect. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf
from statistics import median
from typing import Final, TypeAlias

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.queries import query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    Metric,
    Policy,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import (
    MINUTE_S,
    count_text,
    floor_to,
    format_duration,
    format_percent,
    number_text,
)

# So far back a look goes at most; what is counted over longer is not held against its bound.
MAX_MINUTES: Final = 180

ADDITIVE_STATISTICS: Final = frozenset({"Sum", "SampleCount"})

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]

_API: Final = "AWS/ApiGateway"
# HTTP APIs go by ApiId, and spell these two differently from REST APIs.
_ERRORS: Final = {False: ("4XXError", "5XXError"), True: ("4xx", "5xx")}


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric with one statistic, minute by minute.

    name: what the policy calls it; empty for what is asked beside it. alias: what it calls the
    same metric with whatever statistic.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """What a person calls it: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def additive(self) -> bool:
        """True for what adds up over minutes."""
        return self.metric.statistic in ADDITIVE_STATISTICS

    @property
    def query(self) -> MetricQuery:
        """What is asked of CloudWatch."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def metric_views(policy: Policy) -> list[MetricView]:
    """Return what is shown of `policy`, in its order, every series once.

    Of an API that are its requests, 4XX, 5XX, latency p50, p95, p99 and integration latency p95,
    whatever of it the policy names.
    """
    names = {_key(metric): name for name, metric in policy.metrics.items()}
    aliases = {_key(metric, ""): name for name, metric in policy.metrics.items()}
    found: dict[_Key, MetricView] = {}
    for metric in policy.metrics.values():
        for one in (*_related_metrics(metric), metric):
            alias = aliases.get(_key(one, ""), one.name)
            found.setdefault(_key(one), MetricView(names.get(_key(one), ""), alias, one))
    return list(found.values())


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes that are read: the newest `minutes`, or what a bound counts over.

    With those before them that a bound from below counts instead of what may still grow.
    """
    counting = (one for one in policy.criteria.values() if isinstance(one, Threshold | Traffic))
    wanted = [minutes, *(int(one.over.total_seconds()) // MINUTE_S for one in counting)]
    longest = max(number for number in wanted if number <= MAX_MINUTES) + unsettled_minutes(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def unsettled_minutes(policy: Policy) -> int:
    """Return how many of the newest minutes may still grow."""
    return -int(-policy.settle.total_seconds() // MINUTE_S)


def _key(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.namespace, metric.name, known, dimensions


def _related_metrics(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != _API:
        return
    for name in ("Count", *_ERRORS["ApiId" in metric.dimensions]):
        yield _sibling(metric, name, "Sum", "")
    for statistic in ("p50", "p95", "p99"):
        yield _sibling(metric, "Latency", statistic, "ms")
    yield _sibling(metric, "IntegrationLatency", "p95", "ms")


def _sibling(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )


# --- Expected values ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpectedRange:
    """What one criterion expects: a value from `low` to `high`.

    over: how many of the newest minutes are added up for that; 0: any minute by itself.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    window_minutes: int = 0

    def contains(self, value: float) -> bool:
        """Tell whether `value` is as expected."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Ratio:
    """A criterion on a share: `parts` of `whole`, or what they leave of it (`complement`)."""

    expected: ExpectedRange
    whole: str
    parts: tuple[str, ...]
    complement: bool = False


@dataclass(frozen=True, slots=True)
class Increase:
    """A criterion on how much more `metric` shows than `control` does at the same time."""

    expected: ExpectedRange
    metric: str
    control: str


def metric_expectations(
    policy: Policy, name: str, baselines: Mapping[str, FrozenValue]
) -> Iterator[ExpectedRange]:
    """Yield what is expected of the metric called `name` alone."""
    for criterion, one in policy.criteria.items():
        match one:
            case Threshold(metric=metric, per=None) if metric == name:
                yield _threshold(criterion, one, policy)
            case Traffic(metric=metric) if metric == name:
                over = _window_minutes(one)
                text = f"≥ {number_text(one.min)} in {format_duration(one.over)}"
                yield ExpectedRange(criterion, text, low=one.min, window_minutes=over)
            case LatencyIncrease(metric=metric) if metric == name:
                yield from _latency_limit(criterion, one, baselines.get(criterion), policy)
            case _:
                pass


def combined_expectations(policy: Policy) -> Iterator[Ratio | Increase]:
    """Yield what is expected of several metrics together."""
    for criterion, one in policy.criteria.items():
        match one:
            case SuccessRate():
                expected = ExpectedRange(criterion, f"≥ {format_percent(one.min)}", low=one.min)
                yield Ratio(expected, one.total, one.failures, complement=True)
            case Threshold(per=str(whole)):
                text = f"{'≥' if one.max is None else '≤'} {format_percent(one.bound)}"
                yield Ratio(_bound_range(criterion, text, one, 0), whole, (one.metric,))
            case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
                text = f"≤ +{format_percent(one.max_increase)} of {control}"
                expected = ExpectedRange(criterion, text, high=one.max_increase)
                yield Increase(expected, one.metric, control)
            case _:
                pass


def _threshold(criterion: str, one: Threshold, policy: Policy) -> ExpectedRange:
    metric = policy.metrics[one.metric]
    counted = metric.statistic in ADDITIVE_STATISTICS
    sign = "≥" if one.max is None else "≤"
    text = f"{sign} {number_text(one.bound)} {metric.unit}".rstrip()
    if counted:
        text += f" in {format_duration(one.over)}"
    return _bound_range(criterion, text, one, _window_minutes(one) if counted else 0)


def _bound_range(criterion: str, text: str, one: Threshold, window_minutes: int) -> ExpectedRange:
    if one.max is None:
        return ExpectedRange(criterion, text, low=one.bound, window_minutes=window_minutes)
    return ExpectedRange(criterion, text, high=one.bound, window_minutes=window_minutes)


def _latency_limit(
    criterion: str, one: LatencyIncrease, frozen: FrozenValue | None, policy: Policy
) -> Iterator[ExpectedRange]:
    """Yield the level that a stored or fixed baseline allows, where it is known."""
    if isinstance(one.baseline, ConcurrentBaseline):
        return  # held against the control beside it, whatever was stored of that
    fixed = one.baseline.fixed if isinstance(one.baseline, FixedBaseline) else None
    known = frozen.value if frozen is not None else fixed
    if known is None:
        return
    high = known * (1 + one.max_increase)
    text = f"≤ {number_text(round(high, 1))} {policy.metrics[one.metric].unit}".rstrip()
    yield ExpectedRange(criterion, text, high=high)


def _window_minutes(one: Criterion) -> int:
    """Return how many minutes are counted; as good as none where that is longer than a look."""
    minutes = int(one.window.total_seconds()) // MINUTE_S
    if isinstance(one, Threshold | Traffic):
        minutes = int(one.over.total_seconds()) // MINUTE_S
    return minutes if minutes <= MAX_MINUTES else -1


# --- Readings -------------------------------------------------------------------------------------

Points: TypeAlias = tuple[float | None, ...]


class GaugeStatus(StrEnum):
    """How a gauge stands."""

    AS_EXPECTED = "as expected"
    NOT_AS_EXPECTED = "NOT as expected"
    NOTHING_EXPECTED = ""  # nothing is expected of it
    NO_TRAFFIC = "no traffic"
    NO_DATA = "no data"  # of one metric, beside others that have some
    NOT_READ = "not read"


class Unit(StrEnum):
    """What sort of number a gauge shows."""

    COUNT = "count"  # added up over the minutes
    LEVEL = "level"  # of the minute that is furthest from what is expected
    SHARE = "share"  # of all these minutes together
    INCREASE = "increase"  # between typical minutes


@dataclass(frozen=True, slots=True)
class Gauge:
    """One row. value: None where there is none; points: by minute, oldest first.

    note: how many requests are behind a share, or why a row was not read.
    """

    title: str
    unit: Unit
    unit_text: str
    value: float | None
    expected: tuple[ExpectedRange, ...]
    status: GaugeStatus
    points: Points
    note: str = ""


def gauges(
    policy: Policy,
    series: Mapping[MetricQuery, Series],
    span: Span,
    minutes: int,
    baselines: Mapping[str, FrozenValue],
) -> list[Gauge]:
    """Return a row for each metric, and for each criterion on several of them.

    span: what was read; the newest `minutes` of it are shown.
    """
    look = _Readings(series, span, minutes, unsettled_minutes(policy))
    shown = metric_views(policy)
    rows = [_metric_gauge(look, one, policy, baselines) for one in shown]
    by_name = {one.name: one for one in shown if one.name}
    return [*rows, *(_combined_gauge(look, one, by_name) for one in combined_expectations(policy))]


@dataclass(frozen=True, slots=True)
class _Readings:
    series: Mapping[MetricQuery, Series]
    span: Span
    minutes: int
    unsettled: int

    def series_of(self, one: MetricView) -> Series:
        return self.series.get(one.query, Series({}, QueryStatus.ERROR, "it was not asked for"))

    def points(self, one: MetricView, minutes: int) -> Points:
        """Return the newest `minutes`; nothing is 0 for what is published only when it happens."""
        seconds = range(self.span.end - minutes * MINUTE_S, self.span.end, MINUTE_S)
        found = self.series_of(one).points
        absent = 0.0 if one.metric.missing == "zero" and self._has_data else None
        return tuple(found.get(second, absent) for second in seconds)

    def has_sibling_data(self, one: MetricView) -> bool:
        """Tell whether another metric of the same thing has data in these minutes."""
        begin = self.span.end - self.minutes * MINUTE_S
        return any(
            second >= begin
            for query, found in self.series.items()
            if (query.namespace, query.dimensions) == (one.query.namespace, one.query.dimensions)
            for second in found.points
        )

    @property
    def _has_data(self) -> bool:
        return any(one.points for one in self.series.values())


def _metric_gauge(
    readings: _Readings, one: MetricView, policy: Policy, baselines: Mapping[str, FrozenValue]
) -> Gauge:
    expected = tuple(metric_expectations(policy, one.name, baselines)) if one.name else ()
    points = readings.points(one, readings.minutes)
    known = _known(points)
    standings = [_expectation_status(readings, one, each, known) for each in expected]
    value = sum(known) if known and one.additive else _worst(known, expected)
    unit = Unit.COUNT if one.additive else Unit.LEVEL
    unread = _read_problem([readings.series_of(one)])
    silence = GaugeStatus.NO_DATA if readings.has_sibling_data(one) else GaugeStatus.NO_TRAFFIC
    standing = GaugeStatus.NOT_READ if unread else _combined_status(known, standings, silence)
    return Gauge(one.title, unit, one.metric.unit, value, expected, standing, points, unread)


def _worst(known: Sequence[float], expected: Sequence[ExpectedRange]) -> float | None:
    """Return the highest minute; the lowest, where all that is expected is a least value."""
    if not known:
        return None
    least = expected and all(one.high == inf for one in expected)
    return min(known) if least else max(known)


def _expectation_status(
    readings: _Readings, one: MetricView, expected: ExpectedRange, known: Sequence[float]
) -> GaugeStatus:
    if expected.window_minutes < 0:
        return GaugeStatus.NOTHING_EXPECTED
    if expected.window_minutes == 0:
        return _status_of(all(map(expected.contains, known)))
    if expected.low == -inf:
        counted = _known(readings.points(one, expected.window_minutes))
    else:  # what is not settled can only lack
        counted = _known(
            readings.points(one, expected.window_minutes + readings.unsettled)[
                : expected.window_minutes
            ]
        )
    return _status_of(expected.contains(sum(counted)))


def _status_of(as_expected: bool) -> GaugeStatus:
    return GaugeStatus.AS_EXPECTED if as_expected else GaugeStatus.NOT_AS_EXPECTED


def _combined_status(
    known: Sequence[float], statuses: Sequence[GaugeStatus], no_data: GaugeStatus
) -> GaugeStatus:
    if not known:
        return no_data
    order = (GaugeStatus.NOT_AS_EXPECTED, GaugeStatus.AS_EXPECTED)
    return next((one for one in order if one in statuses), GaugeStatus.NOTHING_EXPECTED)


# --- several metrics ----------------------------------------------------------------------------


def _combined_gauge(
    readings: _Readings, one: Ratio | Increase, by_name: Mapping[str, MetricView]
) -> Gauge:
    return (
        _ratio_gauge(readings, one, by_name)
        if isinstance(one, Ratio)
        else _increase_gauge(readings, one, by_name)
    )


def _ratio_gauge(readings: _Readings, one: Ratio, by_name: Mapping[str, MetricView]) -> Gauge:
    whole = readings.points(by_name[one.whole], readings.minutes)
    parts = {name: readings.points(by_name[name], readings.minutes) for name in one.parts}
    amounts = [sum(filter(None, minute)) for minute in zip(*parts.values(), strict=True)]
    points = tuple(
        _share(amount, of, one.complement) for amount, of in zip(amounts, whole, strict=True)
    )
    amount, total = sum(amounts), sum(filter(None, whole))
    unread = _read_problem(readings.series_of(by_name[name]) for name in (one.whole, *one.parts))
    lacking = [name for name, side in parts.items() if not _known(side)]
    if lacking and total:
        return _row(one.expected, Unit.SHARE, None, points, unread, _no_data_note(lacking))
    noun = "failure" if one.complement else "event"
    note = f"{count_text(amount, noun)} in {count_text(total, 'request')}"
    value = _share(amount, total, one.complement)
    return _row(one.expected, Unit.SHARE, value, points, unread, note)


def _share(amount: float, whole: float | None, complement: bool) -> float | None:
    if not whole:
        return None
    return 1 - amount / whole if complement else amount / whole


def _increase_gauge(readings: _Readings, one: Increase, by_name: Mapping[str, MetricView]) -> Gauge:
    """Compare typical minutes: a percentile of few requests is a matter of luck in each."""
    names = (one.metric, one.control)
    sides = {name: readings.points(by_name[name], readings.minutes) for name in names}
    points = tuple(_relative_increase(*minute) for minute in zip(*sides.values(), strict=True))
    unread = _read_problem(readings.series_of(by_name[name]) for name in names)
    known = {name: _known(side) for name, side in sides.items()}
    lacking = [name for name, side in known.items() if not side]
    if lacking:
        note = "" if len(lacking) == len(names) else _no_data_note(lacking)
        return _row(one.expected, Unit.INCREASE, None, points, unread, note)
    value = _relative_increase(*(median(known[name]) for name in names))
    return _row(one.expected, Unit.INCREASE, value, points, unread, "between typical minutes")


def _known(points: Points) -> list[float]:
    return [value for value in points if value is not None]


def _no_data_note(names: Sequence[str]) -> str:
    return f"{' and '.join(names)}: no data"


def _relative_increase(value: float | None, control: float | None) -> float | None:
    return value / control - 1 if value is not None and control else None


def _row(
    expected: ExpectedRange, unit: Unit, value: float | None, points: Points, unread: str, note: str
) -> Gauge:
    """Return the row of a criterion. Of what was not read to its end, no value is worked out."""
    if unread:
        value, note, standing = None, unread, GaugeStatus.NOT_READ
    elif value is None:
        standing = GaugeStatus.NO_DATA if note.endswith("no data") else GaugeStatus.NO_TRAFFIC
    else:
        standing = _status_of(expected.contains(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), standing, points, note)


def _read_problem(series: Iterable[Series]) -> str:
    """Return why something was not read to its end; empty when all of it was."""
    return next((one.message for one in series if one.answer is not QueryStatus.COMPLETE), "")
