"""One window as a criterion sees it: the datapoints of its series, put together."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from controller.core.judge.queries import period_of, slow_limits
from controller.core.judge.reader import Failing, Reader
from controller.core.judge.slow import (
    SAMPLES,
    Limits,
    Reading,
    by_percentiles,
    percentiles_of,
    slower,
)
from controller.core.measured import FrozenValue
from controller.core.observation import Series
from controller.core.policy import (
    Alarm,
    Attestation,
    Bounded,
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
    criterion: Bounded,
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
