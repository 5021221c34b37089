"""Gauges of `rolloutctl metrics`: the metrics of a policy against its criteria. Pure."""

from collections.abc import Mapping, Sequence
from math import inf

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import Metric, Policy
from controller.operations.metrics_view.criteria import criterion_gauges
from controller.operations.metrics_view.expected import ExpectedRange, metric_expectations
from controller.operations.metrics_view.gauge import (
    Gauge,
    GaugeStatus,
    Readings,
    Unit,
    known_values,
    status_of,
    worst,
)
from controller.operations.metrics_view.views import MetricView, metric_views, unsettled_minutes


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
    readings = Readings(series, span, minutes, unsettled_minutes(policy))
    return [
        *(_metric_gauge(readings, one, policy, baselines) for one in metric_views(policy)),
        *criterion_gauges(readings, policy, baselines),
    ]


def _metric_gauge(
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
