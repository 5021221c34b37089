"""One window as a criterion sees it: the datapoints of its series, put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.judge.queries import SAMPLES, key, period_of
from controller.core.observation import Answer, Series
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    LatencyIncrease,
    Metric,
    SuccessRate,
    Threshold,
    Traffic,
)

NO_SERIES = Series(answer=Answer.ERROR, message="was not asked for")


@dataclass(frozen=True, slots=True)
class Window:
    """One window as a criterion sees it.

    amount: what is summed over the step: failures, or value times samples.
    fits: False when the series of this window contradict each other or one is missing.
    """

    samples: float
    amount: float
    value: float
    breach: bool = False
    control_samples: float = 0.0
    control_amount: float = 0.0
    fits: bool = True


_MISFIT = Window(0.0, 0.0, 0.0, fits=False)

Measure: TypeAlias = Callable[[int], Window | None]
"""Start of a window -> what it shows; None when it has no data."""


def measure_for(
    criterion: Criterion,
    metrics: Mapping[str, Metric],
    series: Mapping[str, Series],
    *,
    reached: bool,
) -> Measure:
    """Return how `criterion` reads one window out of `series`.

    reached: the canary has traffic at all; without any, its silence is not too little of anything.
    """
    read = _Reader(metrics, series, period_of(criterion))
    match criterion:
        case SuccessRate():
            zero = [read.absent_is_zero(name) for name in criterion.failures]
            failures = [read.points(name) for name in criterion.failures]
            return _success_rate(criterion, read.points(criterion.total), failures, zero)
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


@dataclass(frozen=True, slots=True)
class _Reader:
    metrics: Mapping[str, Metric]
    series: Mapping[str, Series]
    period_s: int

    def points(self, metric: str, statistic: str | None = None) -> Mapping[int, float]:
        return self._answer(metric, statistic).points

    def absent_is_zero(self, metric: str) -> bool:
        # What a failed query left out is not zero: it is unknown.
        complete = self._answer(metric).answer is Answer.COMPLETE
        return complete and self.metrics[metric].missing == "zero"

    def _answer(self, metric: str, statistic: str | None = None) -> Series:
        name = key(metric, statistic or self.metrics[metric].statistic, self.period_s)
        return self.series.get(name, NO_SERIES)


def _success_rate(
    criterion: SuccessRate,
    totals: Mapping[int, float],
    failures: list[Mapping[int, float]],
    zero: list[bool],
) -> Measure:
    def measure(start: int) -> Window | None:
        total = totals.get(start, 0.0)
        if total <= 0:
            return None
        failed = 0.0
        for counts, absent_is_zero in zip(failures, zero, strict=True):
            value = counts.get(start)
            if value is None and not absent_is_zero:
                return _MISFIT
            failed += value or 0.0
        if failed > total:
            return _MISFIT
        rate = (total - failed) / total  # one rounding: exactly `min` is never a breach
        return Window(total, failed, rate, breach=rate < criterion.min)

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
        return Window(count, value * count, value, breach(value))

    return measure


def _traffic(values: Mapping[int, float], control: Mapping[int, float]) -> Measure:
    def measure(start: int) -> Window | None:
        count, other = values.get(start), control.get(start, 0.0)
        if count is None and not other:
            return None
        own = count or 0.0
        return Window(own, own, own, False, other, other)

    return measure
