"""One window as a criterion sees it: the datapoints of its series, put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.latency_tail import (
    SAMPLES,
    Limits,
    Reading,
    by_percentiles,
    percentiles_of,
    slower,
)
from controller.core.judge.queries import key, period_of, slow_limits
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
    Metric,
    Share,
    SuccessRate,
    Threshold,
    Traffic,
)

NO_SERIES = Series(answer=QueryStatus.ERROR, message="was not asked for")

Failing: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a window -> requests and failures; None without requests; failures -1: no sense."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The series of an observation, by the names that a policy gives its metrics."""

    metrics: Mapping[str, Metric]
    series: Mapping[str, Series]
    period_s: int

    def points(self, metric: str, statistic: str | None = None) -> Mapping[int, float]:
        """Return the datapoints of a statistic, that of the metric where none is said."""
        return self._answer(metric, statistic).points

    def failing(self, total: str, failures: Sequence[str], *, capped: bool) -> Failing:
        """Return how requests and failures of a window are counted.

        capped: more failures than requests are as many; else they make no sense together. A request
        may fail twice where failures overlap, and none of them was well.
        """
        totals = self.points(total)
        parts = [(self.points(name), self.absent_is_zero(name)) for name in failures]

        def counted(start: int) -> tuple[float, float] | None:
            requests = totals.get(start, 0.0)
            if requests <= 0:
                return None
            failed = 0.0
            for counts, absent_is_zero in parts:
                value = counts.get(start)
                if value is None and not absent_is_zero:
                    return requests, -1.0
                failed += value or 0.0
            if failed > requests:
                return requests, requests if capped else -1.0
            return requests, failed

        return counted

    def absent_is_zero(self, metric: str) -> bool:
        """Tell whether a window without a datapoint of `metric` has none of what it counts."""
        # What a failed query left out is not zero: it is unknown.
        complete = self._answer(metric).answer is QueryStatus.COMPLETE
        return complete and self.metrics[metric].missing == "zero"

    def _answer(self, metric: str, statistic: str | None = None) -> Series:
        name = key(metric, statistic or self.metrics[metric].statistic, self.period_s)
        return self.series.get(name, NO_SERIES)


# --- Windows --------------------------------------------------------------------------------------


class Window(NamedTuple):
    """One window as a criterion sees it.

    amount: what is summed over the step: failures, or value times samples.
    fits: False when the series of this window contradict each other or one is missing.
    beyond: of the amount, what counts even where a baseline may have drifted meanwhile.
    """

    samples: float
    amount: float
    value: float
    breach: bool = False
    control_samples: float = 0.0
    control_amount: float = 0.0
    fits: bool = True
    beyond: float = 0.0


_MISFIT = Window(0.0, 0.0, 0.0, fits=False)

Measure: TypeAlias = Callable[[int], Window | None]
"""Start of a window -> what it shows; None when it has no data."""


def measure_for(
    criterion: Criterion,
    metrics: Mapping[str, Metric],
    series: Mapping[str, Series],
    *,
    reached: bool,
    baseline: FrozenValue | None = None,
) -> Measure:
    """Return how `criterion` reads one window out of `series`.

    reached: the canary has traffic at all; without any, its silence is not too little of anything.
    baseline: what was read of the stable path before the start.
    """
    read = Reader(metrics, series, period_of(criterion))
    match criterion:
        case BurnRate():
            return _burn(read.failing(criterion.total, criterion.failures, capped=False))
        case Share():
            return _share(read.points(criterion.metric), read.points(criterion.control))
        case Alarm() | Attestation() | LogEvents():
            return _nobody  # no metric tells
        case _:
            return _bounded(criterion, metrics, read, reached=reached, baseline=baseline)


def _bounded(
    criterion: BoundedCriterion,
    metrics: Mapping[str, Metric],
    read: Reader,
    *,
    reached: bool,
    baseline: FrozenValue | None,
) -> Measure:
    limits = slow_limits(criterion, metrics, baseline)
    match criterion:
        case SuccessRate():
            capped = criterion.sequential
            failing = read.failing(criterion.total, criterion.failures, capped=capped)
            if criterion.control is None:
                return _success_rate(criterion, failing, _nobody)
            control = criterion.control
            beside = read.failing(control.total, control.failures, capped=capped)
            return _success_rate(criterion, failing, beside)
        case LatencyIncrease() | Threshold() if limits is not None:
            metric = metrics[criterion.metric]
            between = percentiles_of(metric) if by_percentiles(criterion) else None
            return _slow(criterion, limits, read.points, between)
        case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
            own = read.points(criterion.metric), read.points(criterion.metric, SAMPLES)
            return _latency(*own, read.points(control), read.points(control, SAMPLES))
        case LatencyIncrease():
            return _latency(read.points(criterion.metric), read.points(criterion.metric, SAMPLES))
        case Threshold():
            below = read.points(criterion.per) if criterion.per is not None else None
            own = read.points(criterion.metric), read.points(criterion.metric, SAMPLES)
            absent_is_zero = reached or criterion.min is None
            absent_is_zero &= read.absent_is_zero(criterion.metric)
            return _threshold(criterion, *own, below, absent_is_zero)
        case Traffic():
            control_points = read.points(criterion.control) if criterion.control is not None else {}
            return _traffic(read.points(criterion.metric), control_points)


def _burn(own: Failing) -> Measure:
    def measure(start: int) -> Window | None:
        counted = own(start)
        if counted is None:
            return None
        total, failed = counted
        return _MISFIT if failed < 0 else Window(total, failed, failed / total)

    return measure


def _share(canary: Mapping[int, float], control: Mapping[int, float]) -> Measure:
    def measure(start: int) -> Window | None:
        own, other = canary.get(start, 0.0), control.get(start, 0.0)
        return Window(own + other, own, own / (own + other)) if own + other > 0 else None

    return measure


def _nobody(_: int) -> None:
    """Return what a path that nobody counts has seen."""


def _success_rate(criterion: SuccessRate, own: Failing, control: Failing) -> Measure:
    def measure(start: int) -> Window | None:
        counted = own(start)
        if counted is None:
            return None
        total, failed = counted
        if failed < 0:
            return _MISFIT
        rate = (total - failed) / total  # one rounding: exactly `min` is never a breach
        beside = control(start)
        if beside is None or beside[1] < 0:  # a control that makes no sense excuses nothing
            beside = 0.0, 0.0
        return Window(total, failed, rate, rate < criterion.min, *beside)

    return measure


def _slow(
    criterion: LatencyIncrease | Threshold,
    limits: Limits,
    points: Reading,
    between: Mapping[str, float] | None,
) -> Measure:
    own = slower(points, criterion.metric, limits.holds, between)
    further = own
    if limits.fails != limits.holds:
        further = slower(points, criterion.metric, limits.fails, between)
    control = slower(points, limits.beside, limits.control, between)

    def measure(start: int) -> Window | None:
        counted = own(start)
        beyond = counted if further is own else further(start)
        beside = control(start) if limits.beside else (0.0, 0.0)
        if counted is None or beyond is None or beside is None:
            return None  # a window without its control compares with nothing
        if counted[1] < 0 or beyond[1] < 0 or beside[1] < 0:
            return _MISFIT
        return Window(*counted, counted[1] / counted[0], False, *beside, True, beyond[1])

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
        other, other_count = control.get(start), control_counts.get(start, 0.0)
        if other is None or other_count <= 0:
            return None  # a window without its control compares with nothing
        weight = other * other_count
        return Window(count, value * count, value, False, other_count, weight)

    return measure


def _threshold(
    criterion: Threshold,
    values: Mapping[int, float],
    counts: Mapping[int, float],
    below: Mapping[int, float] | None,
    absent_is_zero: bool,
) -> Measure:
    def breach(value: float) -> bool:
        over = criterion.max is not None and value > criterion.max
        return over or (criterion.min is not None and value < criterion.min)

    def measure(start: int) -> Window | None:
        value = values.get(start, 0.0 if absent_is_zero else None)
        if below is not None:
            total = below.get(start, 0.0)
            if total <= 0:
                return None
            if value is None:
                return _MISFIT
            return Window(total, value, value / total, breach(value / total))
        if value is None:
            return None
        count = counts.get(start, 0.0)
        amount = value if criterion.sequential else value * count
        return Window(count, amount, value, breach(value))

    return measure


def _traffic(values: Mapping[int, float], control: Mapping[int, float]) -> Measure:
    def measure(start: int) -> Window | None:
        count, other = values.get(start), control.get(start, 0.0)
        if count is None and not other:
            return None
        own = count or 0.0
        return Window(own, own, own, False, other, other)

    return measure
