"""Gauges of `rolloutctl metrics`: the metrics of a policy against its criteria. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from statistics import median
from typing import Final, TypeAlias

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Comparison, Increase, Level, Ratio
from controller.core.units import (
    MINUTE_S,
    count_text,
    floor_to,
    format_duration,
    format_percent,
    measured_text,
    number_text,
)
from controller.immutable import Immutable, replace
from controller.ports import api_gateway

# The longest span that is read; a bound on a longer window is not evaluated.
MAX_MINUTES: Final = 180

Points: TypeAlias = tuple[float | None, ...]

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]


# --- Views ----------------------------------------------------------------------------------------


class MetricView(Immutable):
    """One metric with one statistic, minute by minute.

    name: its name in the policy; empty for a related metric that the policy does not name.
    alias: the name in the policy of the same metric with any statistic, or that of CloudWatch.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """Name and statistic: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def additive(self) -> bool:
        """True for a statistic that adds up over minutes."""
        return self.metric.is_count

    @property
    def query(self) -> MetricQuery:
        """The CloudWatch query, one datapoint a minute."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def metric_views(policy: Policy) -> list[MetricView]:
    """Return the views of `policy` in the order of its metrics, without duplicates.

    A metric of an API Gateway adds the API's requests, 4XX, 5XX, latency p50, p95, p99 and
    integration latency p95.
    """
    names = {_key(metric): name for name, metric in policy.metrics.items()}
    aliases = {_key(metric, ""): name for name, metric in policy.metrics.items()}
    views: dict[_Key, MetricView] = {}
    for metric in policy.metrics.values():
        for one in (*_related_metrics(metric), metric):
            alias = aliases.get(_key(one, ""), one.name)
            views.setdefault(_key(one), MetricView(names.get(_key(one), ""), alias, one))
    return list(views.values())


def _related_metrics(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != api_gateway.NAMESPACE:
        return
    for name in (api_gateway.REQUESTS, *api_gateway.error_metrics(metric.dimensions)):
        yield _sibling(metric, name, "Sum", "")
    for statistic in api_gateway.PERCENTILES:
        yield _sibling(metric, api_gateway.LATENCY, statistic, "ms")
    yield _sibling(metric, api_gateway.INTEGRATION_LATENCY, "p95", "ms")


def _sibling(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )


def _key(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.namespace, metric.name, known, dimensions


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes to read: the newest `minutes`, or the longest window of a bound.

    Unsettled minutes come on top: a lower bound is evaluated on settled minutes only.
    """
    levels = (one for _, one in policy.comparisons() if isinstance(one.measured, Level))
    longest = max([minutes, *(_window_minutes(one.window) for one in levels)])
    longest += unsettled_minutes(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def unsettled_minutes(policy: Policy) -> int:
    """Return how many of the newest minutes may still receive data."""
    return -int(-policy.evaluation_delay.total_seconds() // MINUTE_S)


# --- Expected values ------------------------------------------------------------------------------


class ExpectedRange(Immutable):
    """What one criterion expects: a value from `low` to `high`.

    window_minutes: how many of the newest minutes are added up; 0: each minute by itself;
    -1: a longer window, so the range is not evaluated.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    window_minutes: int = 0

    def contains(self, value: float) -> bool:
        """Tell whether `value` is within the range."""
        return self.low <= value <= self.high


def metric_expectations(
    policy: Policy, name: str, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[ExpectedRange]:
    """Yield the ranges that criteria expect of the metric called `name` alone."""
    metric = policy.metrics.get(name)
    for criterion, one in policy.comparisons():
        stored = baselines.get(criterion)
        limit = one.limit(None if stored is None else stored.value)
        if metric is None or one.metric != name or limit is None:
            continue
        if isinstance(one.measured, Increase):
            text = f"{measured_text(limit)} {metric.unit}".rstrip()
        else:
            text = f"{number_text(limit)} {metric.unit}".rstrip()
        if not metric.is_count:
            yield _range(policy, criterion, one, text, limit)
            continue
        over = "the step" if one.window is None else format_duration(one.window)
        minutes = _window_minutes(one.window)
        yield _range(policy, criterion, one, f"{text} in {over}", limit, minutes)


def _range(
    policy: Policy,
    criterion: str,
    one: Comparison,
    text: str,
    bound: float,
    window_minutes: int = 0,
) -> ExpectedRange:
    """Return the range on the right side of `bound`, which `text` says."""
    low, high = (-inf, bound) if one.is_maximum else (bound, inf)
    text = f"{'≤' if one.is_maximum else '≥'} {text}{_steps_text(policy, criterion)}"
    return ExpectedRange(criterion, text, low, high, window_minutes)


def _window_minutes(window: timedelta | None) -> int:
    """Return the minutes of `window`; -1 for a whole step, and for more than MAX_MINUTES."""
    minutes = -1 if window is None else int(window.total_seconds()) // MINUTE_S
    return minutes if minutes <= MAX_MINUTES else -1


# --- Gauges ---------------------------------------------------------------------------------------


class GaugeStatus(StrEnum):
    """The value of a gauge against what is expected."""

    AS_EXPECTED = "as expected"
    NOT_AS_EXPECTED = "NOT as expected"
    NOTHING_EXPECTED = ""  # no criterion has a bound on it
    NO_TRAFFIC = "no traffic"
    NO_DATA = "no data"  # while another metric of the same resource has some
    NOT_READ = "not read"


class Unit(StrEnum):
    """The kind of number that a gauge shows."""

    COUNT = "count"  # added up over the minutes
    LEVEL = "level"  # the worst minute
    SHARE = "share"  # over all these minutes
    INCREASE = "increase"  # between typical minutes


class Gauge(Immutable):
    """One row of the table. value: None without data. points: by minute, oldest first.

    note: the requests behind a share, or why the metric was not read.
    level: the latency behind an increase, in `level_unit`; None where there is none.
    """

    title: str
    unit: Unit
    unit_text: str
    value: float | None
    expected: tuple[ExpectedRange, ...]
    status: GaugeStatus
    points: Points
    note: str = ""
    level: float | None = None
    level_unit: str = ""


def gauges(
    policy: Policy,
    series: Mapping[MetricQuery, Series],
    span: Span,
    minutes: int,
    baselines: Mapping[str, BaselineMeasurement],
) -> list[Gauge]:
    """Return a row for each metric, and for each criterion on several of them.

    span: what was read. minutes: how many of its newest minutes are shown.
    """
    readings = _Readings(series, span, minutes, unsettled_minutes(policy))
    views = metric_views(policy)
    rows = [_metric_gauge(readings, one, policy, baselines) for one in views]
    by_key = {_key(one.metric): one for one in views}
    by_name = {name: by_key[_key(metric)] for name, metric in policy.metrics.items()}
    return [*rows, *_combined_gauges(readings, policy, by_name)]


class _Readings(Immutable):
    series: Mapping[MetricQuery, Series]
    span: Span
    minutes: int
    unsettled: int

    def series_of(self, one: MetricView) -> Series:
        return self.series.get(one.query, Series({}, QueryStatus.ERROR, "it was not queried"))

    def points(self, one: MetricView, minutes: int) -> Points:
        """Return the newest `minutes` points; missing ones are 0 under `missing: zero`."""
        seconds = range(self.span.end - minutes * MINUTE_S, self.span.end, MINUTE_S)
        points = self.series_of(one).points
        absent = 0.0 if one.metric.missing == "zero" and self._has_data else None
        return tuple(points.get(second, absent) for second in seconds)

    def has_sibling_data(self, one: MetricView) -> bool:
        """Tell whether a metric of the same namespace and dimensions has data in these minutes."""
        begin = self.span.end - self.minutes * MINUTE_S
        return any(
            second >= begin
            for query, series in self.series.items()
            if (query.namespace, query.dimensions) == (one.query.namespace, one.query.dimensions)
            for second in series.points
        )

    @property
    def _has_data(self) -> bool:
        return any(one.points for one in self.series.values())


def _values(points: Points) -> list[float]:
    return [value for value in points if value is not None]


def _read_problem(series: Iterable[Series]) -> str:
    """Return why a series was not read in full; empty when all were."""
    return next((one.message for one in series if one.status is not QueryStatus.COMPLETE), "")


def _status_of(as_expected: bool) -> GaugeStatus:
    return GaugeStatus.AS_EXPECTED if as_expected else GaugeStatus.NOT_AS_EXPECTED


# --- Gauges of one metric -------------------------------------------------------------------------


def _metric_gauge(
    readings: _Readings,
    one: MetricView,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
) -> Gauge:
    expected = list(metric_expectations(policy, one.name, baselines))
    points = readings.points(one, readings.minutes)
    values = _values(points)
    statuses = [_expectation_status(readings, one, each, values) for each in expected]
    value = sum(values) if values and one.additive else _worst(values, expected)
    unit = Unit.COUNT if one.additive else Unit.LEVEL
    problem = _read_problem([readings.series_of(one)])
    no_data = GaugeStatus.NO_DATA if readings.has_sibling_data(one) else GaugeStatus.NO_TRAFFIC
    status = GaugeStatus.NOT_READ if problem else _combined_status(values, statuses, no_data)
    return Gauge(one.title, unit, one.metric.unit, value, tuple(expected), status, points, problem)


def _steps_text(policy: Policy, criterion: str) -> str:
    """Return which steps judge `criterion`, by their weights; empty where all do."""
    steps = range(len(policy.steps))
    judging = [str(policy.steps[step].weight) for step in steps if criterion in policy.gate(step)]
    if len(judging) == len(steps):
        return ""
    return f", judged at {', '.join(judging)} %" if judging else ", judged in no step"


def _worst(values: Sequence[float], expected: Sequence[ExpectedRange]) -> float | None:
    """Return the highest minute; the lowest when every expected range has only a lower bound."""
    if not values:
        return None
    lower_bounds_only = expected and all(one.high == inf for one in expected)
    return min(values) if lower_bounds_only else max(values)


def _expectation_status(
    readings: _Readings, one: MetricView, expected: ExpectedRange, values: Sequence[float]
) -> GaugeStatus:
    if expected.window_minutes < 0:
        return GaugeStatus.NOTHING_EXPECTED
    if expected.window_minutes == 0:
        return _status_of(all(map(expected.contains, values)))
    if expected.low == -inf:
        counts = _values(readings.points(one, expected.window_minutes))
    else:  # unsettled minutes may still grow: a lower bound skips them
        counts = _values(
            readings.points(one, expected.window_minutes + readings.unsettled)[
                : expected.window_minutes
            ]
        )
    return _status_of(expected.contains(sum(counts)))


def _combined_status(
    values: Sequence[float], statuses: Sequence[GaugeStatus], no_data: GaugeStatus
) -> GaugeStatus:
    if not values:
        return no_data
    order = (GaugeStatus.NOT_AS_EXPECTED, GaugeStatus.AS_EXPECTED)
    return next((one for one in order if one in statuses), GaugeStatus.NOTHING_EXPECTED)


# --- Gauges of several metrics --------------------------------------------------------------------


def _combined_gauges(
    readings: _Readings, policy: Policy, by_name: Mapping[str, MetricView]
) -> Iterator[Gauge]:
    for name, one in policy.comparisons():
        bound = one.bound
        if bound is None or one.and_window:
            continue
        match one.measured:
            case Ratio() as ratio:
                expected = _range(policy, name, one, format_percent(bound), bound)
                yield _ratio_gauge(readings, expected, ratio, by_name)
            case Increase() as increase if increase.control:
                text = f"+{format_percent(bound)} on {increase.control}"
                expected = _range(policy, name, one, text, bound)
                yield _increase_gauge(readings, expected, increase, by_name)
            case _:
                pass


def _ratio_gauge(
    readings: _Readings, expected: ExpectedRange, ratio: Ratio, by_name: Mapping[str, MetricView]
) -> Gauge:
    whole = readings.points(by_name[ratio.whole[0]], readings.minutes)
    parts = {name: readings.points(by_name[name], readings.minutes) for name in ratio.parts}
    amounts = [sum(filter(None, minute)) for minute in zip(*parts.values(), strict=True)]
    points = tuple(
        _share(amount, of, ratio.inverse) for amount, of in zip(amounts, whole, strict=True)
    )
    amount, total = sum(amounts), sum(filter(None, whole))
    problem = _read_problem(readings.series_of(by_name[name]) for name in ratio.metrics)
    missing = [name for name, side in parts.items() if not _values(side)]
    if missing and total:
        return _criterion_gauge(expected, Unit.SHARE, None, points, problem, _no_data_note(missing))
    shown = max(0.0, total - amount) if ratio.counts == "successes" else amount
    noun = "failure" if ratio.judges_failures else "event"
    note = f"{count_text(shown, noun)} in {count_text(total, 'request')}"
    value = _share(amount, total, ratio.inverse)
    return _criterion_gauge(expected, Unit.SHARE, value, points, problem, note)


def _share(amount: float, whole: float | None, inverse: bool) -> float | None:
    if not whole:
        return None
    return 1 - amount / whole if inverse else amount / whole


def _increase_gauge(
    readings: _Readings, limit: ExpectedRange, one: Increase, by_name: Mapping[str, MetricView]
) -> Gauge:
    """Compare median minutes: the percentile of a minute with few requests is mostly noise."""
    names = (one.metric, one.control)
    sides = {name: readings.points(by_name[name], readings.minutes) for name in names}
    points = tuple(_relative_increase(*minute) for minute in zip(*sides.values(), strict=True))
    problem = _read_problem(readings.series_of(by_name[name]) for name in names)
    known = {name: _values(side) for name, side in sides.items()}
    missing = [name for name, side in known.items() if not side]
    if missing:
        note = "" if len(missing) == len(names) else _no_data_note(missing)
        return _criterion_gauge(limit, Unit.INCREASE, None, points, problem, note)
    canary, stable = (median(known[name]) for name in names)
    value, unit = _relative_increase(canary, stable), by_name[one.metric].metric.unit
    highest = f"{measured_text(stable * (1 + limit.high))} {unit}".rstrip()
    increase = format_percent(limit.high)
    expected = replace(limit, text=f"≤ {highest} ({one.control} +{increase})")
    gauge = _criterion_gauge(
        expected, Unit.INCREASE, value, points, problem, "between typical minutes"
    )
    return replace(gauge, level=canary, level_unit=unit)


def _relative_increase(value: float | None, control: float | None) -> float | None:
    return value / control - 1 if value is not None and control else None


def _no_data_note(names: Sequence[str]) -> str:
    return f"{' and '.join(names)}: no data"


def _criterion_gauge(
    expected: ExpectedRange,
    unit: Unit,
    value: float | None,
    points: Points,
    problem: str,
    note: str,
) -> Gauge:
    """Return the gauge of a criterion; without a value when a series was read only in part."""
    if problem:
        value, note, status = None, problem, GaugeStatus.NOT_READ
    elif value is None:
        status = GaugeStatus.NO_DATA if note.endswith("no data") else GaugeStatus.NO_TRAFFIC
    else:
        status = _status_of(expected.contains(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), status, points, note)
