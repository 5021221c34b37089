"""Gauges of a policy: of its metrics, and of criteria that are not on one metric alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from statistics import median
from typing import Final, TypeAlias

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import WindowCounts, query, series_key
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Comparison, Computed, Increase, NotCompared, Ratio
from controller.core.units import (
    MINUTE_S,
    count_text,
    format_percent,
    from_unix,
    measured_text,
    number_text,
)
from controller.immutable import Immutable, replace
from controller.ports.metrics import MetricSource
from controller.tools.metrics.expected import (
    ExpectedRange,
    MetricView,
    metric_expectations,
    metric_views,
    range_of,
    ratio_range,
    span_of,
    stated_range,
    unsettled_minutes,
)

Points: TypeAlias = tuple[float | None, ...]

_MINUTE: Final = timedelta(minutes=1)


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


class Readings(Immutable):
    """What was read for a policy. span: what was read; minutes: how many of its newest are shown.

    baselines: the frozen ones of its newest rollout, by criterion.
    """

    policy: Policy
    series: Mapping[MetricQuery, Series]
    span: Span
    minutes: int
    baselines: Mapping[str, BaselineMeasurement]

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
        has_data = any(each.points for each in self.series.values())
        absent = 0.0 if one.missing == "zero" and has_data else None
        return tuple(points.get(second, absent) for second in self._seconds(minutes))

    def windows(self, name: str) -> tuple[list[WindowCounts | None], bool]:
        """Return what the judge of a criterion measures in each of the shown minutes.

        And whether it left any out, because its series contradict each other or one is missing.
        """
        series = {
            series_key(metric, one.statistic, MINUTE_S): self.series_of(one)
            for metric, one in self.policy.metrics.items()
        }
        by_minute = self.policy.criteria[name].model_copy(update={"window": _MINUTE})
        measure = judge_of(name, by_minute, self.policy).measure(series, has_traffic=True)
        found = list(map(measure, self._seconds()))
        usable = [one if one is None or one.consistent else None for one in found]
        return usable, usable != found

    def _seconds(self, minutes: int | None = None) -> range:
        begin = self.span.end - (self.minutes if minutes is None else minutes) * MINUTE_S
        return range(begin, self.span.end, MINUTE_S)

    def has_sibling_data(self, one: MetricView) -> bool:
        """Tell whether a metric of the same namespace and dimensions has data in these minutes."""
        begin = self._seconds().start
        return any(
            second >= begin
            for query, series in self.series.items()
            if (query.place, query.dimensions) == (one.query.place, one.query.dimensions)
            for second in series.points
        )


def known_values(points: Points) -> list[float]:
    return [value for value in points if value is not None]


def status_of(as_expected: bool) -> GaugeStatus:
    return GaugeStatus.AS_EXPECTED if as_expected else GaugeStatus.NOT_AS_EXPECTED


def worst(values: Sequence[float], expected: Sequence[ExpectedRange]) -> float | None:
    """Return the highest minute; the lowest when every expected range has only a lower bound."""
    if not values:
        return None
    lower_bounds_only = expected and all(one.high == inf for one in expected)
    return min(values) if lower_bounds_only else max(values)


class MetricsView(Immutable):
    """The values of a policy's metrics over the newest closed minutes.

    delay: the age at which a minute is judged.
    """

    name: str
    gauges: list[Gauge]
    minutes: int
    end: datetime
    delay: timedelta


def read_metrics(
    source: MetricSource,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
    minutes: int,
    now: datetime,
) -> MetricsView:
    """Return the metrics of `policy`, read from `source` now. Raises MetricsError."""
    span = span_of(policy, minutes, now)
    series = source.read([view.query for view in metric_views(policy)], span)
    rows = gauges(policy, series, span, minutes, baselines)
    return MetricsView(policy.name, rows, minutes, from_unix(span.end), policy.evaluation_delay)


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
    readings = Readings(policy, series, span, minutes, baselines)
    return [
        *(_metric_gauge(readings, view) for view in metric_views(policy)),
        *_criterion_gauges(readings),
    ]


# --- Gauges of one metric -------------------------------------------------------------------------


def _metric_gauge(readings: Readings, one: MetricView) -> Gauge:
    metric = one.metric
    expected = tuple(metric_expectations(readings.policy, metric, readings.baselines))
    points, problem = readings.points(metric), readings.problem([metric])
    values = known_values(points)
    value = sum(values) if values and metric.is_count else worst(values, expected)
    unit = Unit.COUNT if metric.is_count else Unit.LEVEL
    statuses = [_expectation_status(readings, metric, each, values) for each in expected]
    if problem:
        status = GaugeStatus.NOT_READ
    elif not values:
        has_data = readings.has_sibling_data(one)
        status = GaugeStatus.NO_DATA if has_data else GaugeStatus.NO_TRAFFIC
    else:
        order = (GaugeStatus.NOT_AS_EXPECTED, GaugeStatus.AS_EXPECTED)
        status = next((each for each in order if each in statuses), GaugeStatus.NOTHING_EXPECTED)
    return Gauge(one.title, unit, metric.unit, value, expected, status, points, problem)


def _expectation_status(
    readings: Readings, one: Metric, expected: ExpectedRange, values: Sequence[float]
) -> GaugeStatus:
    minutes = expected.window_minutes
    if minutes < 0:
        return GaugeStatus.NOTHING_EXPECTED
    if minutes == 0:
        return status_of(all(map(expected.contains, values)))
    points = readings.points(one, minutes)
    if expected.low != -inf:  # unsettled minutes may still grow: a lower bound skips them
        points = readings.points(one, minutes + unsettled_minutes(readings.policy))[:minutes]
    return status_of(expected.contains(sum(known_values(points))))


# --- Gauges of a criterion ------------------------------------------------------------------------


def _criterion_gauges(readings: Readings) -> Iterator[Gauge]:
    """Yield a row for each criterion whose values are not those of one metric alone."""
    policy = readings.policy

    def not_shown(name: str, why: str) -> Gauge:
        expected = (stated_range(policy, name),)
        return Gauge(name, None, "", None, expected, GaugeStatus.NOT_SHOWN, (), why)

    for name, criterion in policy.criteria.items():
        compared = criterion.compares()
        if isinstance(compared, NotCompared):
            yield not_shown(name, compared.why)
            continue
        one = compared[0]
        match one.measured:
            case Ratio() as ratio:
                yield _ratio_gauge(readings, name, compared, ratio)
            case Computed():
                yield _computed_gauge(readings, name, one)
            case Increase() as increase if increase.control:
                yield _increase_gauge(readings, name, one, increase)
            case Increase(fixed=None) if name not in readings.baselines:
                yield not_shown(name, "no rollout has frozen its baseline yet")
            case _:
                pass  # the row of the metric has its range


def _ratio_gauge(
    readings: Readings, name: str, compared: Sequence[Comparison], ratio: Ratio
) -> Gauge:
    metrics, expected = readings.policy.metrics, ratio_range(readings.policy, name, compared)
    windows, left_out = readings.windows(name)
    counts = [window.counts for window in windows if window is not None]
    points = tuple(
        window.value if window is not None and window.counts.samples else None for window in windows
    )
    problem = readings.problem(metrics[metric] for metric in ratio.metrics)
    total, amount = sum(count.samples for count in counts), sum(count.amount for count in counts)
    if left_out and not total:
        missing = [part for part in ratio.parts if not known_values(readings.points(metrics[part]))]
        note = _no_data_note(missing) if missing else "the counts contradict each other"
        return _criterion_gauge(expected, Unit.SHARE, None, points, problem, note, partly=True)
    noun = {"": "event", "requests": "canary request"}.get(ratio.counts, "failure")
    note = f"{count_text(max(0.0, amount), noun)} in {count_text(total, 'request')}"
    share = max(0.0, amount) / total if total else None
    value = 1 - share if share is not None and compared[0].is_of_successes else share
    return _criterion_gauge(expected, Unit.SHARE, value, points, problem, note)


def _computed_gauge(readings: Readings, name: str, one: Comparison) -> Gauge:
    policy, criterion = readings.policy, readings.policy.criteria[name]
    unit = criterion.value_unit(policy.metrics)
    expected = range_of(policy, name, one, f"{number_text(one.bound)} {unit}".rstrip(), one.bound)
    windows, _ = readings.windows(name)
    points = tuple(None if each is None else each.value for each in windows)
    problem = readings.problem(policy.metrics[metric] for metric in criterion.metric_names)
    value = worst(known_values(points), [expected])
    return replace(_criterion_gauge(expected, Unit.LEVEL, value, points, problem), unit_text=unit)


def _increase_gauge(readings: Readings, name: str, one: Comparison, increase: Increase) -> Gauge:
    """Compare median minutes: the percentile of a minute with few requests is mostly noise."""

    def above(value: float | None, control: float | None) -> float | None:
        return value / control - 1 if value is not None and control else None

    policy, names, bound = readings.policy, (increase.metric, increase.control), one.bound
    sides = {each: readings.points(policy.metrics[each]) for each in names}
    points = tuple(above(*minute) for minute in zip(*sides.values(), strict=True))
    problem = readings.problem(policy.metrics[each] for each in names)
    known = {each: known_values(side) for each, side in sides.items()}
    if missing := [each for each, side in known.items() if not side]:
        text = f"+{format_percent(bound)} on {increase.control}"
        expected, partly = range_of(policy, name, one, text, bound), len(missing) < len(names)
        note = _no_data_note(missing) if partly else ""
        return _criterion_gauge(expected, Unit.INCREASE, None, points, problem, note, partly=partly)
    canary, stable = (median(known[each]) for each in names)
    unit = policy.metrics[increase.metric].unit
    limit = f"{measured_text(stable * (1 + bound))} {unit}".rstrip()
    text = f"≤ {limit} ({increase.control} +{format_percent(bound)})"
    expected, note = ExpectedRange(name, text, high=bound), "between typical minutes"
    value = above(canary, stable)
    gauge = _criterion_gauge(expected, Unit.INCREASE, value, points, problem, note)
    return replace(gauge, level=canary, level_unit=unit)


def _no_data_note(names: Sequence[str]) -> str:
    return f"{' and '.join(names)}: no data"


def _criterion_gauge(
    expected: ExpectedRange,
    unit: Unit,
    value: float | None,
    points: Points,
    problem: str,
    note: str = "",
    *,
    partly: bool = False,
) -> Gauge:
    """Return the gauge of a criterion; without a value when a series was read only in part.

    partly: only a part of the criterion has data; `note` says which has none.
    """
    if problem:
        value, note, status = None, problem, GaugeStatus.NOT_READ
    elif value is None:
        status = GaugeStatus.NO_DATA if partly else GaugeStatus.NO_TRAFFIC
    elif expected.window_minutes < 0:
        status = GaugeStatus.NOTHING_EXPECTED
    else:
        status = status_of(expected.contains(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), status, points, note)
