"""Requests slower than a limit, minute by minute: what the sequential judge knows of latency.

CloudWatch counts them (`TC(412:)`: above 412, interpolated within its bins). A source that cannot
is read between its percentiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.judge.evidence import FrozenValue
from controller.core.policy import (
    ConcurrentBaseline,
    FixedBaseline,
    LatencyIncrease,
    Metric,
    Threshold,
)
from controller.core.stats.two_sample import above

SAMPLES = "SampleCount"
_PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A count is interpolated: this far outside of 0 to SampleCount is rounding.
_ROUNDING = 1e-6

Points: TypeAlias = Mapping[int, float]
Reading: TypeAlias = Callable[[str, str], Points]
"""Metric and statistic -> its datapoints."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What slow means for a criterion, in the unit of its metric.

    holds: what the canary's share of slow requests is counted above, to let the step pass.
    fails: the same, to roll back: further up where a baseline may have drifted meanwhile.
    control: the same on the path that runs beside it, of its metric `beside`; empty without one.
    """

    holds: float
    fails: float
    beside: str = ""
    control: float = 0.0


def percentiles_of(metric: Metric) -> dict[str, float]:
    """Return what shares are read between where nobody counts, with the share of values below.

    The statistic of the metric itself is one of them: what is asked for is known exactly.
    """
    own = metric.percentile
    return {**_PERCENTILES, **({metric.statistic: own} if own is not None else {})}


def limits_of(
    criterion: LatencyIncrease | Threshold, baseline: FrozenValue | None
) -> Limits | None:
    """Return the limits of `criterion`; None before its baseline was read."""
    if isinstance(criterion, Threshold):
        return Limits(criterion.bound, criterion.bound)
    if isinstance(criterion.baseline, FixedBaseline):
        usual = criterion.baseline.fixed
    elif baseline is not None:
        usual = baseline.value
    else:
        return None
    holds = usual * (1 + criterion.max_increase)
    if isinstance(criterion.baseline, ConcurrentBaseline):
        return Limits(holds, holds, criterion.baseline.concurrent, usual)
    return Limits(holds, holds * (1 + criterion.allowance))


def by_percentiles(criterion: LatencyIncrease | Threshold) -> bool:
    """Tell whether shares are read between percentiles, for want of counts."""
    return criterion.exceedance == "percentiles"


def statistics(
    criterion: LatencyIncrease | Threshold, limits: Limits, metric: Metric
) -> list[tuple[str, str]]:
    """Return metric name and statistic of everything that the shares are made from.

    metric: that of the criterion.
    """
    between = percentiles_of(metric) if by_percentiles(criterion) else None
    wanted = [(criterion.metric, limits.holds), (criterion.metric, limits.fails)]
    if limits.beside:
        wanted.append((limits.beside, limits.control))
    found = [
        (name, statistic)
        for name, limit in wanted
        for statistic in between or [trimmed_count(limit)]
    ]
    found += [(name, SAMPLES) for name, _ in wanted]
    return list(dict.fromkeys(found))


def trimmed_count(limit: float) -> str:
    """Return the statistic that counts the values above `limit`: `TC(412.5:)`."""
    return f"TC({f'{limit:.6f}'.rstrip('0').rstrip('.')}:)"


Slower: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a minute -> requests, and those slower than a limit; None where there were none.

Less than no slow request marks data that make no sense together.
"""


def slower(
    points: Reading, metric: str, limit: float, between: Mapping[str, float] | None
) -> Slower:
    """Return how requests of `metric` are counted that are slower than `limit`.

    between: the percentiles that shares are read between; None: there are counts.
    """
    requests = points(metric, SAMPLES)
    if between:
        known = {share: points(metric, name) for name, share in between.items()}
        return lambda start: _read(requests.get(start, 0.0), known, limit, start)
    counts = points(metric, trimmed_count(limit))

    def counted(start: int) -> tuple[float, float] | None:
        whole = requests.get(start, 0.0)
        if whole <= 0:
            return None
        count = counts.get(start)
        if count is None or not -_ROUNDING <= count <= whole + _ROUNDING:
            return whole, -1.0
        return whole, min(max(count, 0.0), whole)

    return counted


def _read(
    whole: float, percentiles: Mapping[float, Points], limit: float, start: int
) -> tuple[float, float] | None:
    if whole <= 0:
        return None
    known = {share: one[start] for share, one in percentiles.items() if start in one}
    if not known:
        return whole, -1.0
    found = above(limit, known)
    if found is None:  # one value: all requests are alike
        found = float(max(known.values()) > limit)
    return whole, found * whole
