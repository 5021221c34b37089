"""One window of a criterion: the datapoints of its series, put together.

`measure_for` returns a function from the start of a window to its `Window`, one for each kind of
criterion; `Reader` finds the series by the names that a policy gives its metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple, TypeAlias

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import (
    SAMPLE_COUNT,
    Limits,
    PointLookup,
    percentiles_of,
    slow_counter,
    uses_percentiles,
)
from controller.core.judge.queries import period_of, series_key, slow_limits
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    Alarm,
    Attestation,
    BoundedCriterion,
    BurnRate,
    ConcurrentBaseline,
    Criterion,
    LatencyIncrease,
    LogEvents,
    MeasuredCriterion,
    Metric,
    MissingCriterion,
    Share,
    SuccessRate,
    Threshold,
    Traffic,
)

NO_SERIES = Series(answer=QueryStatus.ERROR, message="was not asked for")


class Window(NamedTuple):
    """What the series of one window show of a criterion.

    samples: requests or datapoints. value: what is compared with the bound; breach: it is beyond.
    amount: what is summed over the step: failures, or value times samples.
    control_samples, control_amount: the same for the control.
    consistent: False when the series of this window contradict each other or one is missing.
    fail_amount: of the amount, what counts even where a baseline may have drifted meanwhile.
    """

    samples: float
    amount: float
    value: float
    breach: bool = False
    control_samples: float = 0.0
    control_amount: float = 0.0
    consistent: bool = True
    fail_amount: float = 0.0


_INCONSISTENT = Window(0.0, 0.0, 0.0, consistent=False)

Measure: TypeAlias = Callable[[int], Window | None]
"""Start of a window, unix seconds -> the window; None when it has no data."""


# --- Series ---------------------------------------------------------------------------------------

FailureCounter: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a window -> requests and failures; None without requests; -1 failures: bad data."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The series of an observation, by the metric names of a policy; period_s: of one window."""

    metrics: Mapping[str, Metric]
    series: Mapping[str, Series]
    period_s: int

    def points(self, metric: str, statistic: str | None = None) -> Mapping[int, float]:
        """Return the datapoints of `statistic`, by default that of the metric."""
        return self._series(metric, statistic).points

    def values_and_counts(self, metric: str) -> tuple[Mapping[int, float], Mapping[int, float]]:
        """Return the datapoints of `metric`, and how many samples are behind each."""
        return self.points(metric), self.points(metric, SAMPLE_COUNT)

    def failure_counter(
        self, total: str, failures: Sequence[str], *, capped: bool
    ) -> FailureCounter:
        """Return a function that counts the requests and failures of a window.

        capped: more failures than requests count as all requests, else as bad data. A request may
        be counted twice where failure metrics overlap.
        """
        totals = self.points(total)
        parts = [(self.points(name), self.absent_is_zero(name)) for name in failures]

        def count_failures(start: int) -> tuple[float, float] | None:
            requests = totals.get(start, 0.0)
            if requests <= 0:
                return None
            failure_count = 0.0
            for counts, absent_is_zero in parts:
                value = counts.get(start)
                if value is None and not absent_is_zero:
                    return requests, -1.0
                failure_count += value or 0.0
            if failure_count > requests:
                return requests, requests if capped else -1.0
            return requests, failure_count

        return count_failures

    def absent_is_zero(self, metric: str) -> bool:
        """Tell whether a window without a datapoint of `metric` counts as 0."""
        # What a failed query left out is unknown, not zero.
        complete = self._series(metric).answer is QueryStatus.COMPLETE
        return complete and self.metrics[metric].missing == "zero"

    def _series(self, metric: str, statistic: str | None = None) -> Series:
        name = series_key(metric, statistic or self.metrics[metric].statistic, self.period_s)
        return self.series.get(name, NO_SERIES)


# --- Measures -------------------------------------------------------------------------------------


def measure_for(
    criterion: Criterion,
    metrics: Mapping[str, Metric],
    series: Mapping[str, Series],
    *,
    has_traffic: bool,
    baseline: BaselineMeasurement | None = None,
) -> Measure:
    """Return the function that reads one window of `criterion` out of `series`.

    has_traffic: whether the canary has a weight above 0; without one, its missing datapoints are
    not below a lower bound. baseline: what was read of the stable path before the start.
    """
    reader = Reader(metrics, series, period_of(criterion))
    match criterion:
        case BurnRate():
            return _burn_rate(
                reader.failure_counter(criterion.total, criterion.failures, capped=False)
            )
        case Share():
            return _traffic_share(reader.points(criterion.metric), reader.points(criterion.control))
        case MeasuredCriterion():
            names = [name for _, name in criterion.references()]
            return _measured(criterion, {name: reader.points(name) for name in names})
        case Alarm() | Attestation() | LogEvents() | MissingCriterion():
            return _no_window  # they have no metric
        case _:
            return _measure_bounded(
                criterion,  # type: ignore[arg-type]
                metrics,
                reader,
                has_traffic=has_traffic,
                baseline=baseline,
            )


def _measure_bounded(
    criterion: BoundedCriterion,
    metrics: Mapping[str, Metric],
    reader: Reader,
    *,
    has_traffic: bool,
    baseline: BaselineMeasurement | None,
) -> Measure:
    limits = slow_limits(criterion, metrics, baseline)
    match criterion:
        case SuccessRate():
            capped = criterion.sequential
            canary = reader.failure_counter(criterion.total, criterion.failures, capped=capped)
            if criterion.control is None:
                return _success_rate(criterion, canary, _no_window)
            total, failures = criterion.control.total, criterion.control.failures
            control = reader.failure_counter(total, failures, capped=capped)
            return _success_rate(criterion, canary, control)
        case LatencyIncrease() | Threshold() if limits is not None:
            metric = metrics[criterion.metric]
            percentiles = percentiles_of(metric) if uses_percentiles(criterion) else None
            return _slow_share(criterion, limits, reader.points, percentiles)
        case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=metric_name)):
            canary_points = reader.values_and_counts(criterion.metric)
            return _latency(*canary_points, *reader.values_and_counts(metric_name))
        case LatencyIncrease():
            return _latency(*reader.values_and_counts(criterion.metric))
        case Threshold():
            denominators = reader.points(criterion.per) if criterion.per is not None else None
            canary_points = reader.values_and_counts(criterion.metric)
            absent_is_zero = has_traffic or criterion.min is None
            absent_is_zero &= reader.absent_is_zero(criterion.metric)
            return _threshold(criterion, *canary_points, denominators, absent_is_zero)
        case Traffic():
            control_name = criterion.control
            control_points = {} if control_name is None else reader.points(control_name)
            return _traffic(reader.points(criterion.metric), control_points)


def _burn_rate(canary: FailureCounter) -> Measure:
    def measure(start: int) -> Window | None:
        counts = canary(start)
        if counts is None:
            return None
        total, failures = counts
        return _INCONSISTENT if failures < 0 else Window(total, failures, failures / total)

    return measure


def _traffic_share(canary: Mapping[int, float], control: Mapping[int, float]) -> Measure:
    def measure(start: int) -> Window | None:
        canary_count, control_count = canary.get(start, 0.0), control.get(start, 0.0)
        total = canary_count + control_count
        return Window(total, canary_count, canary_count / total) if total > 0 else None

    return measure


def _measured(criterion: MeasuredCriterion, points: Mapping[str, Mapping[int, float]]) -> Measure:
    def measure(start: int) -> Window | None:
        found = {name: one[start] for name, one in points.items() if start in one}
        try:
            value = criterion.value(found)
            if value is None:
                return None
            measured, samples = map(float, value)
        except Exception:  # noqa: BLE001 - a package's fault keeps no other criterion from failing
            return _INCONSISTENT
        if not (isfinite(measured) and isfinite(samples)):
            return _INCONSISTENT
        return Window(samples, measured, measured, criterion.breaches(measured))

    return measure


def _no_window(_: int) -> None:
    """Return no window: the measure of what no metric counts."""


def _success_rate(
    criterion: SuccessRate, canary: FailureCounter, control: FailureCounter
) -> Measure:
    def measure(start: int) -> Window | None:
        counts = canary(start)
        if counts is None:
            return None
        total, failures = counts
        if failures < 0:
            return _INCONSISTENT
        rate = (total - failures) / total  # one rounding: exactly `min` is never a breach
        control_counts = control(start)
        if control_counts is None or control_counts[1] < 0:  # bad data of a control excuse nothing
            control_counts = 0.0, 0.0
        return Window(total, failures, rate, rate < criterion.min, *control_counts)

    return measure


def _slow_share(
    criterion: LatencyIncrease | Threshold,
    limits: Limits,
    points: PointLookup,
    percentiles: Mapping[str, float] | None,
) -> Measure:
    pass_counter = slow_counter(points, criterion.metric, limits.pass_limit, percentiles)
    fail_counter = pass_counter
    if limits.fail_limit != limits.pass_limit:
        fail_counter = slow_counter(points, criterion.metric, limits.fail_limit, percentiles)
    control_counter = slow_counter(points, limits.control_metric, limits.control_limit, percentiles)

    def measure(start: int) -> Window | None:
        counts = pass_counter(start)
        fail_counts = counts if fail_counter is pass_counter else fail_counter(start)
        control_counts = control_counter(start) if limits.control_metric else (0.0, 0.0)
        if counts is None or fail_counts is None or control_counts is None:
            return None  # a window without its control compares with nothing
        if counts[1] < 0 or fail_counts[1] < 0 or control_counts[1] < 0:
            return _INCONSISTENT
        return Window(*counts, counts[1] / counts[0], False, *control_counts, True, fail_counts[1])

    return measure


def _latency(
    values: Mapping[int, float],
    counts: Mapping[int, float],
    control: Mapping[int, float] | None = None,
    control_counts: Mapping[int, float] | None = None,
) -> Measure:
    def measure(start: int) -> Window | None:
        value, count = values.get(start), counts.get(start, 0.0)
        if value is None or count <= 0:
            return None
        if control is None or control_counts is None:
            return Window(count, value * count, value)
        control_value, control_count = control.get(start), control_counts.get(start, 0.0)
        if control_value is None or control_count <= 0:
            return None  # a window without its control compares with nothing
        control_amount = control_value * control_count
        return Window(count, value * count, value, False, control_count, control_amount)

    return measure


def _threshold(
    criterion: Threshold,
    values: Mapping[int, float],
    counts: Mapping[int, float],
    denominators: Mapping[int, float] | None,
    absent_is_zero: bool,
) -> Measure:
    def is_breach(value: float) -> bool:
        over = criterion.max is not None and value > criterion.max
        return over or (criterion.min is not None and value < criterion.min)

    def measure(start: int) -> Window | None:
        value = values.get(start, 0.0 if absent_is_zero else None)
        if denominators is not None:
            denominator = denominators.get(start, 0.0)
            if denominator <= 0:
                return None
            if value is None:
                return _INCONSISTENT
            ratio = value / denominator
            return Window(denominator, value, ratio, is_breach(ratio))
        if value is None:
            return None
        count = counts.get(start, 0.0)
        amount = value if criterion.sequential else value * count
        return Window(count, amount, value, is_breach(value))

    return measure


def _traffic(values: Mapping[int, float], control: Mapping[int, float]) -> Measure:
    def measure(start: int) -> Window | None:
        count, control_count = values.get(start), control.get(start, 0.0)
        if count is None and not control_count:
            return None
        canary_count = count or 0.0
        return Window(canary_count, canary_count, canary_count, False, control_count, control_count)

    return measure
