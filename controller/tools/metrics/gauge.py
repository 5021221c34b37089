"""Gauges of `rolloutctl metrics`: the values of each metric against what criteria expect."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from math import inf
from typing import Final, TypeAlias

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import WindowCounts, query, series_key
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.units import (
    MINUTE_S,
)
from controller.immutable import Immutable
from controller.tools.metrics.expected import (
    ExpectedRange,
    MetricView,
    metric_expectations,
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

    def windows(self, policy: Policy, name: str) -> tuple[list[WindowCounts | None], bool]:
        """Return what the judge of a criterion measures in each of the shown minutes.

        And whether it left any out, because its series contradict each other or one is missing.
        """
        series = {
            series_key(metric, one.statistic, MINUTE_S): self.series_of(one)
            for metric, one in policy.metrics.items()
        }
        by_minute = policy.criteria[name].model_copy(update={"window": _MINUTE})
        measure = judge_of(name, by_minute, policy).measure(series, has_traffic=True)
        found = list(map(measure, self._seconds()))
        usable = [one if one is None or one.consistent else None for one in found]
        return usable, usable != found

    def _seconds(self, minutes: int | None = None) -> range:
        begin = self.span.end - (self.minutes if minutes is None else minutes) * MINUTE_S
        return range(begin, self.span.end, MINUTE_S)

    def has_sibling_data(self, one: MetricView) -> bool:
        """Tell whether a metric of the same namespace and dimensions has data in these minutes."""
        begin = self.span.end - self.minutes * MINUTE_S
        return any(
            second >= begin
            for query, series in self.series.items()
            if (query.place, query.dimensions) == (one.query.place, one.query.dimensions)
            for second in series.points
        )

    @property
    def _has_data(self) -> bool:
        return any(one.points for one in self.series.values())


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


# --- Gauges of one metric -------------------------------------------------------------------------


def metric_gauge(
    readings: Readings,
    one: MetricView,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
) -> Gauge:
    expected = list(metric_expectations(policy, one.metric, baselines))
    points = readings.points(one.metric)
    values = known_values(points)
    statuses = [_expectation_status(readings, one.metric, each, values) for each in expected]
    value = sum(values) if values and one.additive else worst(values, expected)
    unit = Unit.COUNT if one.additive else Unit.LEVEL
    problem = readings.problem([one.metric])
    no_data = GaugeStatus.NO_DATA if readings.has_sibling_data(one) else GaugeStatus.NO_TRAFFIC
    status = GaugeStatus.NOT_READ if problem else _combined_status(values, statuses, no_data)
    return Gauge(one.title, unit, one.metric.unit, value, tuple(expected), status, points, problem)


def _expectation_status(
    readings: Readings, one: Metric, expected: ExpectedRange, values: Sequence[float]
) -> GaugeStatus:
    if expected.window_minutes < 0:
        return GaugeStatus.NOTHING_EXPECTED
    if expected.window_minutes == 0:
        return status_of(all(map(expected.contains, values)))
    if expected.low == -inf:
        counts = known_values(readings.points(one, expected.window_minutes))
    else:  # unsettled minutes may still grow: a lower bound skips them
        counts = known_values(
            readings.points(one, expected.window_minutes + readings.unsettled)[
                : expected.window_minutes
            ]
        )
    return status_of(expected.contains(sum(counts)))


def _combined_status(
    values: Sequence[float], statuses: Sequence[GaugeStatus], no_data: GaugeStatus
) -> GaugeStatus:
    if not values:
        return no_data
    order = (GaugeStatus.NOT_AS_EXPECTED, GaugeStatus.AS_EXPECTED)
    return next((one for one in order if one in statuses), GaugeStatus.NOTHING_EXPECTED)
