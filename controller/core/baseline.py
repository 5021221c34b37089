"""Frozen baselines: the stable path's latency, read once before the start and stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.core.judge.queries import SAMPLES, query
from controller.core.measured import FrozenValue
from controller.core.observation import Answer, Query, Series, Span
from controller.core.policy import FrozenBaseline, LatencyIncrease, Policy
from controller.core.units import ceil_to, floor_to
from controller.errors import MetricsError

# CloudWatch keeps one-minute datapoints 15 days and five-minute ones 63 days.
_COARSER = ((timedelta(days=15), 300), (timedelta(days=63), 3_600))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One baseline to read: for which criterion, what, over which window (unix seconds)."""

    criterion: str
    value: Query
    samples: Query
    span: Span
    min_samples: int
    text: str


def wanted(policy: Policy, now: datetime) -> Iterator[Wanted]:
    """Yield every frozen baseline of `policy` for a rollout that starts at `now`.

    The window is moved back to whole periods, at least one; the period is as coarse as CloudWatch
    still keeps it.
    """
    for name, criterion in policy.criteria.items():
        if not isinstance(criterion, LatencyIncrease):
            continue
        if not isinstance(criterion.baseline, FrozenBaseline):
            continue
        start, end = criterion.baseline.window(now, policy.settle)
        period_s = int(criterion.window.total_seconds())
        for age, coarser in _COARSER:
            if now - start > age:
                period_s = ceil_to(period_s, coarser)
        begin = floor_to(start, period_s)
        last = max(floor_to(end, period_s), begin + period_s)
        if criterion.baseline.over is not None and last > end.timestamp():
            begin, last = begin - period_s, last - period_s  # the newest period is not over yet
        metric = policy.metrics[criterion.baseline.frozen]
        yield Wanted(
            criterion=name,
            value=query(metric, metric.statistic, period_s),
            samples=query(metric, SAMPLES, period_s),
            span=Span(begin, last),
            min_samples=criterion.min_samples,
            text=f"{name}: {criterion.baseline.frozen} ({metric.statistic})",
        )


def frozen_value(want: Wanted, series: Mapping[Query, Series]) -> FrozenValue | None:
    """Return the sample-weighted mean of the window's values; None without any datapoint.

    For percentiles this is an approximation: those of several periods cannot be combined exactly.
    Raises MetricsError when a series was not answered in full: half a baseline is none.
    """
    for one in (series[want.value], series[want.samples]):
        if one.answer is not Answer.COMPLETE:
            raise MetricsError(f"{want.text}: {one.message or one.answer}", answer=str(one.answer))
    values, counts = series[want.value].points, series[want.samples].points
    inside = [at for at in values if want.span.start <= at < want.span.end and counts.get(at)]
    samples = sum(counts[at] for at in inside)
    if not samples:
        return None
    mean = sum(values[at] * counts[at] for at in inside) / samples
    return FrozenValue(mean, samples, want.span.start, want.span.end)
