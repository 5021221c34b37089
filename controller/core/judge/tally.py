"""The fold over closed windows: many datapoints in, a few numbers per criterion out.

A window belongs to a step when it lies wholly after the step's first judged second. Windows start
at multiples of their length (UTC), as CloudWatch cuts them.
"""

from collections.abc import Callable, Iterable, Mapping
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
from controller.core.rollout import Tally
from controller.core.units import ceil_to

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


def windows(criterion: Criterion, tally: Tally, judged_from: int, end: int) -> range:
    """Return the starts of the windows that are not folded yet and are closed at `end`."""
    period_s = period_of(criterion)
    begin = max(ceil_to(judged_from, period_s), tally.through)
    return range(begin, end - period_s + 1, period_s)


def fold(tally: Tally, measure: Measure, starts: Iterable[int], period_s: int) -> Tally:
    """Return `tally` with the windows at `starts` folded in, in order.

    Windows without data neither continue nor end a run of breaches: silence is no evidence.
    """
    through, empty, unknown, count = tally.through, tally.empty, tally.unknown, tally.windows
    samples, amount = tally.samples, tally.amount
    control_samples, control_amount = tally.control_samples, tally.control_amount
    run, worst = tally.run, tally.worst
    last, last_end, last_breach = tally.last, tally.last_end, tally.last_breach
    tail_empty = tally.tail_empty
    for start in starts:
        through = start + period_s
        seen = measure(start)
        tail_empty = seen is None or not seen.fits
        if seen is None:
            empty += 1
            continue
        if not seen.fits:
            unknown += 1
            continue
        count += 1
        samples += seen.samples
        amount += seen.amount
        control_samples += seen.control_samples
        control_amount += seen.control_amount
        run = run + 1 if seen.breach else 0
        worst = max(worst, run)
        last, last_end, last_breach = seen.value, through, seen.breach
    return Tally(
        through=through,
        windows=count,
        empty=empty,
        unknown=unknown,
        samples=samples,
        amount=amount,
        control_samples=control_samples,
        control_amount=control_amount,
        run=run,
        worst=worst,
        last=last,
        last_end=last_end,
        last_breach=last_breach,
        tail_empty=tail_empty,
    )


def measure_for(
    criterion: Criterion, metrics: Mapping[str, Metric], series: Mapping[str, Series]
) -> Measure:
    """Return how `criterion` reads one window out of `series`."""
    period_s = period_of(criterion)

    def points(metric: str, statistic: str | None = None) -> Mapping[int, float]:
        name = key(metric, statistic or metrics[metric].statistic, period_s)
        return series.get(name, NO_SERIES).points

    match criterion:
        case SuccessRate():
            zero = [metrics[name].missing == "zero" for name in criterion.failures]
            failures = [points(name) for name in criterion.failures]
            return _success_rate(criterion, points(criterion.total), failures, zero)
        case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
            own = points(criterion.metric), points(criterion.metric, SAMPLES)
            return _latency(*own, points(control), points(control, SAMPLES))
        case LatencyIncrease():
            return _latency(points(criterion.metric), points(criterion.metric, SAMPLES))
        case Threshold():
            below = points(criterion.per) if criterion.per is not None else None
            zero_if_absent = metrics[criterion.metric].missing == "zero"
            counts = points(criterion.metric, SAMPLES)
            return _threshold(criterion, points(criterion.metric), counts, below, zero_if_absent)
        case Traffic():
            control_points = points(criterion.control) if criterion.control is not None else {}
            return _traffic(points(criterion.metric), control_points)


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
        rate = 1 - failed / total
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
