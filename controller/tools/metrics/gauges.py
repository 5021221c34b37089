"""Gauges of a policy: of its metrics, and of criteria that are not on one metric alone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import Policy
from controller.core.policy.comparison import (
    Comparison,
    Computed,
    Increase,
    NotCompared,
    Ratio,
)
from controller.core.units import (
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
    metric_views,
    range_of,
    ratio_range,
    span_of,
    stated_range,
    unsettled_minutes,
)
from controller.tools.metrics.gauge import (
    Gauge,
    GaugeStatus,
    Points,
    Readings,
    Unit,
    known_values,
    metric_gauge,
    status_of,
    worst,
)


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
    readings = Readings(series, span, minutes, unsettled_minutes(policy))
    return [
        *(metric_gauge(readings, view, policy, baselines) for view in metric_views(policy)),
        *_criterion_gauges(readings, policy, baselines),
    ]


def _criterion_gauges(
    readings: Readings, policy: Policy, baselines: Mapping[str, BaselineMeasurement]
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
            case Computed():
                yield _computed_gauge(readings, policy, name, one)
            case Increase() as increase if increase.control:
                yield _increase_gauge(readings, policy, name, one, increase)
            case Increase(fixed=None) if name not in baselines:
                yield _not_shown(policy, name, "no rollout has frozen its baseline yet")
            case _:
                pass  # the row of the metric has its range


def _not_shown(policy: Policy, name: str, why: str) -> Gauge:
    expected = (stated_range(policy, name),)
    return Gauge(name, None, "", None, expected, GaugeStatus.NOT_SHOWN, (), why)


def _ratio_gauge(
    readings: Readings, policy: Policy, name: str, compared: Sequence[Comparison], ratio: Ratio
) -> Gauge:
    expected = ratio_range(policy, name, compared)
    windows, left_out = readings.windows(policy, name)
    counts = [window.counts for window in windows if window is not None]
    points = tuple(
        window.value if window is not None and window.counts.samples else None for window in windows
    )
    problem = readings.problem(policy.metrics[metric] for metric in ratio.metrics)
    total, amount = sum(count.samples for count in counts), sum(count.amount for count in counts)
    if left_out and not total:
        parts = {part: readings.points(policy.metrics[part]) for part in ratio.parts}
        missing = [one for one, values in parts.items() if not known_values(values)]
        note = _no_data_note(missing) if missing else "the counts contradict each other"
        return _without_value(expected, Unit.SHARE, points, problem, note)
    noun = {"": "event", "requests": "canary request"}.get(ratio.counts, "failure")
    note = f"{count_text(max(0.0, amount), noun)} in {count_text(total, 'request')}"
    share = max(0.0, amount) / total if total else None
    value = 1 - share if share is not None and compared[0].is_of_successes else share
    return _criterion_gauge(expected, Unit.SHARE, value, points, problem, note)


def _computed_gauge(readings: Readings, policy: Policy, name: str, one: Comparison) -> Gauge:
    unit = policy.criteria[name].value_unit(policy.metrics)
    text = f"{number_text(one.bound)} {unit}".rstrip()
    expected = range_of(policy, name, one, text, one.bound)
    windows, _ = readings.windows(policy, name)
    points = tuple(None if each is None else each.value for each in windows)
    names = policy.criteria[name].metric_names
    problem = readings.problem(policy.metrics[metric] for metric in names)
    value = worst(known_values(points), [expected])
    gauge = _criterion_gauge(expected, Unit.LEVEL, value, points, problem, "")
    return replace(gauge, unit_text=unit)


def _increase_gauge(
    readings: Readings, policy: Policy, name: str, one: Comparison, increase: Increase
) -> Gauge:
    """Compare median minutes: the percentile of a minute with few requests is mostly noise."""
    names, bound = (increase.metric, increase.control), one.bound
    sides = {each: readings.points(policy.metrics[each]) for each in names}
    points = tuple(_relative_increase(*minute) for minute in zip(*sides.values(), strict=True))
    problem = readings.problem(policy.metrics[each] for each in names)
    known = {each: known_values(side) for each, side in sides.items()}
    missing = [each for each, side in known.items() if not side]
    if missing:
        text = f"+{format_percent(bound)} on {increase.control}"
        expected = range_of(policy, name, one, text, bound)
        if len(missing) == len(names):
            return _criterion_gauge(expected, Unit.INCREASE, None, points, problem, "")
        note = _no_data_note(missing)
        return _without_value(expected, Unit.INCREASE, points, problem, note)
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


def _without_value(
    expected: ExpectedRange, unit: Unit, points: Points, problem: str, note: str
) -> Gauge:
    """Return the gauge of a criterion of which only a part has data. note: which part has none."""
    gauge = _criterion_gauge(expected, unit, None, points, problem, note)
    return gauge if problem else replace(gauge, status=GaugeStatus.NO_DATA)


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
        status = GaugeStatus.NO_TRAFFIC
    elif expected.window_minutes < 0:
        status = GaugeStatus.NOTHING_EXPECTED
    else:
        status = status_of(expected.contains(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), status, points, note)
