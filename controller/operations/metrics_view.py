"""Gauges of `rolloutctl metrics`: the metrics of a policy against its criteria. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from statistics import median
from typing import Final, TypeAlias

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import Window, query, series_key
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import (
    Comparison,
    Computed,
    Increase,
    Level,
    NotCompared,
    Ratio,
)
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

_MINUTE: Final = timedelta(minutes=1)

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
    policy: Policy, metric: Metric, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[ExpectedRange]:
    """Yield the ranges that criteria expect of `metric` alone, whatever they call it."""
    for criterion, one in policy.comparisons():
        stored = baselines.get(criterion)
        limit = one.limit(None if stored is None else stored.value)
        named = policy.metrics[one.metric] if one.metric else None
        if named is None or _key(named) != _key(metric) or limit is None:
            continue
        is_stored = isinstance(one.measured, Increase)
        number = measured_text(limit) if is_stored else number_text(limit)
        text = f"{number} {named.unit}".rstrip()
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
    NOT_SHOWN = "not shown here"  # a criterion that compares no values over time


class Unit(StrEnum):
    """The kind of number that a gauge shows."""

    COUNT = "count"  # added up over the minutes
    LEVEL = "level"  # the worst minute
    SHARE = "share"  # over all these minutes
    INCREASE = "increase"  # between typical minutes


class Gauge(Immutable):
    """One row of the table. value: None without data. points: by minute, oldest first.

    unit: None for a criterion without values over time. note: the requests behind a share, or why
    the metric was not read, or why the criterion is not shown.
    level: the latency behind an increase, in `level_unit`; None where there is none.
    """

    title: str
    unit: Unit | None
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
    """Return a row for each metric, and for each criterion that is not on one metric alone.

    span: what was read. minutes: how many of its newest minutes are shown.
    """
    readings = _Readings(series, span, minutes, unsettled_minutes(policy))
    return [
        *(_metric_gauge(readings, one, policy, baselines) for one in metric_views(policy)),
        *_criterion_gauges(readings, policy, baselines),
    ]


class _Readings(Immutable):
    series: Mapping[MetricQuery, Series]
    span: Span
    minutes: int
    unsettled: int

    def series_of(self, one: Metric) -> Series:
        """Return the series of a metric with its statistic."""
        unread = Series({}, QueryStatus.ERROR, "it was not queried")
        return self.series.get(query(one, one.statistic, MINUTE_S), unread)

    def problem(self, metrics: Iterable[Metric]) -> str:
        """Return why a metric was not read in full; empty when all were."""
        found = map(self.series_of, metrics)
        return next((one.message for one in found if one.status is not QueryStatus.COMPLETE), "")

    def points(self, one: Metric, minutes: int | None = None) -> Points:
        """Return the newest points, one a minute; missing ones are 0 under `missing: zero`."""
        points = self.series_of(one).points
        absent = 0.0 if one.missing == "zero" and self._has_data else None
        return tuple(points.get(second, absent) for second in self._seconds(minutes))

    def windows(self, policy: Policy, name: str) -> list[Window | None]:
        """Return what the judge of a criterion measures in each of the shown minutes."""
        series = {
            series_key(metric, one.statistic, MINUTE_S): self.series_of(one)
            for metric, one in policy.metrics.items()
        }
        by_minute = policy.criteria[name].model_copy(update={"window": _MINUTE})
        measure = judge_of(name, by_minute, policy).measure(series, has_traffic=True)
        return list(map(measure, self._seconds()))

    def _seconds(self, minutes: int | None = None) -> range:
        begin = self.span.end - (self.minutes if minutes is None else minutes) * MINUTE_S
        return range(begin, self.span.end, MINUTE_S)

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


def _status_of(as_expected: bool) -> GaugeStatus:
    return GaugeStatus.AS_EXPECTED if as_expected else GaugeStatus.NOT_AS_EXPECTED


# --- Gauges of one metric -------------------------------------------------------------------------


def _metric_gauge(
    readings: _Readings,
    one: MetricView,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
) -> Gauge:
    expected = list(metric_expectations(policy, one.metric, baselines))
    points = readings.points(one.metric)
    values = _values(points)
    statuses = [_expectation_status(readings, one.metric, each, values) for each in expected]
    value = sum(values) if values and one.additive else _worst(values, expected)
    unit = Unit.COUNT if one.additive else Unit.LEVEL
    problem = readings.problem([one.metric])
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
    readings: _Readings, one: Metric, expected: ExpectedRange, values: Sequence[float]
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


# --- Gauges of criteria ---------------------------------------------------------------------------


def _criterion_gauges(
    readings: _Readings, policy: Policy, baselines: Mapping[str, BaselineMeasurement]
) -> Iterator[Gauge]:
    """Yield a row for each criterion whose values are not those of one metric alone."""
    for name, criterion in policy.criteria.items():
        compared = criterion.compares()
        if isinstance(compared, NotCompared):
            yield _not_shown(policy, name, compared.why)
            continue
        one = compared[0]
        match one.measured:
            case Ratio() as ratio:
                yield _ratio_gauge(readings, policy, name, compared, ratio)
            case Computed() as computed:
                yield _computed_gauge(readings, policy, name, one, computed)
            case Increase() as increase if increase.control:
                yield _increase_gauge(readings, policy, name, one, increase)
            case Increase(fixed=None) if name not in baselines:
                yield _not_shown(policy, name, "no rollout has frozen its baseline yet")
            case _:
                pass  # the row of the metric has its range


def _not_shown(policy: Policy, name: str, why: str) -> Gauge:
    expected = (_stated_range(policy, name),)
    return Gauge(name, None, "", None, expected, GaugeStatus.NOT_SHOWN, (), why)


def _stated_range(policy: Policy, name: str) -> ExpectedRange:
    """Return what a criterion expects in the words of its judge; no number is held against it."""
    judge = judge_of(name, policy.criteria[name], policy)
    text = f"{judge.target_text()}{_steps_text(policy, name)}"
    return ExpectedRange(name, text, window_minutes=-1)


def _ratio_gauge(
    readings: _Readings, policy: Policy, name: str, compared: Sequence[Comparison], ratio: Ratio
) -> Gauge:
    expected = _ratio_range(policy, name, compared)
    windows = readings.windows(policy, name)
    known = [one.counts for one in windows if one is not None and one.consistent]
    points = tuple(
        one.value if one is not None and one.consistent and one.counts.samples else None
        for one in windows
    )
    problem = readings.problem(policy.metrics[one] for one in ratio.metrics)
    total, amount = sum(one.samples for one in known), max(0.0, sum(one.amount for one in known))
    if not total and len(known) < sum(one is not None for one in windows):
        missing = [one for one in ratio.parts if not _values(readings.points(policy.metrics[one]))]
        note = _no_data_note(missing) if missing else "its counts contradict each other"
        return _criterion_gauge(expected, Unit.SHARE, None, points, problem, note)
    noun = {"": "event", "requests": "canary request"}.get(ratio.counts, "failure")
    note = f"{count_text(amount, noun)} in {count_text(total, 'request')}"
    share = amount / total if total else None
    value = 1 - share if share is not None and compared[0].is_of_successes else share
    return _criterion_gauge(expected, Unit.SHARE, value, points, problem, note)


def _ratio_range(policy: Policy, name: str, compared: Sequence[Comparison]) -> ExpectedRange:
    one = compared[0]
    if one.follows_weight:
        return _stated_range(policy, name)
    if one.and_window is None:
        return _range(policy, name, one, format_percent(one.bound), one.bound)
    # Each is breached only together with a shorter window, as `plan` says.
    longest = [(format_percent(each.bound), each.window) for each in compared]
    texts = [f"≤ {share} in {format_duration(window)}" for share, window in longest if window]
    return ExpectedRange(name, f"{', '.join(texts)}{_steps_text(policy, name)}", window_minutes=-1)


def _computed_gauge(
    readings: _Readings, policy: Policy, name: str, one: Comparison, computed: Computed
) -> Gauge:
    bound = one.bound
    expected = _range(policy, name, one, f"{number_text(bound)} {computed.unit}".rstrip(), bound)
    windows = readings.windows(policy, name)
    points = tuple(None if each is None or not each.consistent else each.value for each in windows)
    names = [metric for _, metric in policy.criteria[name].references()]
    problem = readings.problem(policy.metrics[metric] for metric in names)
    value = _worst(_values(points), [expected])
    gauge = _criterion_gauge(expected, Unit.LEVEL, value, points, problem, "")
    return replace(gauge, unit_text=computed.unit)


def _increase_gauge(
    readings: _Readings, policy: Policy, name: str, one: Comparison, increase: Increase
) -> Gauge:
    """Compare median minutes: the percentile of a minute with few requests is mostly noise."""
    names, bound = (increase.metric, increase.control), one.bound
    sides = {each: readings.points(policy.metrics[each]) for each in names}
    points = tuple(_relative_increase(*minute) for minute in zip(*sides.values(), strict=True))
    problem = readings.problem(policy.metrics[each] for each in names)
    known = {each: _values(side) for each, side in sides.items()}
    missing = [each for each, side in known.items() if not side]
    if missing:
        text = f"+{format_percent(bound)} on {increase.control}"
        expected = _range(policy, name, one, text, bound)
        note = "" if len(missing) == len(names) else _no_data_note(missing)
        return _criterion_gauge(expected, Unit.INCREASE, None, points, problem, note)
    canary, stable = (median(known[each]) for each in names)
    value, unit = _relative_increase(canary, stable), policy.metrics[increase.metric].unit
    limit = f"{measured_text(stable * (1 + bound))} {unit}".rstrip()
    text = f"≤ {limit} ({increase.control} +{format_percent(bound)})"
    expected = ExpectedRange(name, text, high=bound)
    note = "between typical minutes"
    gauge = _criterion_gauge(expected, Unit.INCREASE, value, points, problem, note)
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
    elif expected.window_minutes < 0:
        status = GaugeStatus.NOTHING_EXPECTED
    else:
        status = _status_of(expected.contains(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), status, points, note)
