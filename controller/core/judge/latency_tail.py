"""The tail of a latency: requests slower than a limit, minute by minute, for the sequential judge.

CloudWatch counts them (`TC(412:)`: above 412, interpolated within its bins). For a source without
such counts, the share of slow requests is interpolated between its percentiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import (
    ConcurrentBaseline,
    FixedBaseline,
    LatencyIncrease,
    Metric,
    Threshold,
)
from controller.core.stats.two_sample import share_above

SAMPLE_COUNT = "SampleCount"
_PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A count is interpolated: this far outside of 0 to SampleCount is rounding.
_ROUNDING = 1e-6

Points: TypeAlias = Mapping[int, float]
PointLookup: TypeAlias = Callable[[str, str], Points]
"""Metric and statistic -> its datapoints."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits above which a request is slow, in the unit of the criterion's metric.

    pass_limit: the limit on the canary that decides whether the step passes.
    fail_limit: the same for a rollback: higher where a baseline may have drifted meanwhile.
    control_metric, control_limit: metric and limit of the concurrent control; empty without one.
    """

    pass_limit: float
    fail_limit: float
    control_metric: str = ""
    control_limit: float = 0.0


def percentiles_of(metric: Metric) -> dict[str, float]:
    """Return the percentiles to interpolate between, each with the share of values below it.

    The statistic of the metric itself is one of them, so its share is known exactly.
    """
    own = metric.percentile
    return {**_PERCENTILES, **({metric.statistic: own} if own is not None else {})}


def limits_of(
    criterion: LatencyIncrease | Threshold, baseline: BaselineMeasurement | None
) -> Limits | None:
    """Return the limits of `criterion`; None before its baseline was read."""
    if isinstance(criterion, Threshold):
        return Limits(criterion.bound, criterion.bound)
    if isinstance(criterion.baseline, FixedBaseline):
        baseline_value = criterion.baseline.fixed
    elif baseline is not None:
        baseline_value = baseline.value
    else:
        return None
    pass_limit = baseline_value * (1 + criterion.max_increase)
    if isinstance(criterion.baseline, ConcurrentBaseline):
        return Limits(pass_limit, pass_limit, criterion.baseline.concurrent, baseline_value)
    return Limits(pass_limit, pass_limit * (1 + criterion.allowance))


def uses_percentiles(criterion: LatencyIncrease | Threshold) -> bool:
    """Tell whether shares are interpolated between percentiles, for want of counts."""
    return criterion.exceedance == "percentiles"


def tail_statistics(
    criterion: LatencyIncrease | Threshold, limits: Limits, metric: Metric
) -> list[tuple[str, str]]:
    """Return metric name and statistic of every series that the slow shares are made from.

    metric: that of the criterion.
    """
    percentiles = percentiles_of(metric) if uses_percentiles(criterion) else None
    limits_by_metric = [
        (criterion.metric, limits.pass_limit),
        (criterion.metric, limits.fail_limit),
    ]
    if limits.control_metric:
        limits_by_metric.append((limits.control_metric, limits.control_limit))
    pairs = [
        (name, statistic)
        for name, limit in limits_by_metric
        for statistic in percentiles or [trimmed_count(limit)]
    ]
    pairs += [(name, SAMPLE_COUNT) for name, _ in limits_by_metric]
    return list(dict.fromkeys(pairs))


def trimmed_count(limit: float) -> str:
    """Return the statistic that counts the values above `limit`: `TC(412.5:)`."""
    return f"TC({f'{limit:.6f}'.rstrip('0').rstrip('.')}:)"


SlowCounter: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a minute -> requests, and those slower than a limit; None without requests.

A negative number of slow requests marks inconsistent data.
"""


def slow_counter(
    points: PointLookup, metric: str, limit: float, percentiles: Mapping[str, float] | None
) -> SlowCounter:
    """Return a function that counts the requests of `metric` that are slower than `limit`.

    percentiles: the percentiles to interpolate between; None where there are counts.
    """
    requests = points(metric, SAMPLE_COUNT)
    if percentiles:
        points_by_share = {share: points(metric, name) for name, share in percentiles.items()}
        return lambda start: _interpolated_count(
            requests.get(start, 0.0), points_by_share, limit, start
        )
    counts = points(metric, trimmed_count(limit))

    def count_slow(start: int) -> tuple[float, float] | None:
        total = requests.get(start, 0.0)
        if total <= 0:
            return None
        count = counts.get(start)
        if count is None or not -_ROUNDING <= count <= total + _ROUNDING:
            return total, -1.0
        return total, min(max(count, 0.0), total)

    return count_slow


def _interpolated_count(
    requests: float, percentiles: Mapping[float, Points], limit: float, start: int
) -> tuple[float, float] | None:
    if requests <= 0:
        return None
    values = {share: one[start] for share, one in percentiles.items() if start in one}
    if not values:
        return requests, -1.0
    slow_share = share_above(limit, values)
    if slow_share is None:  # one value: all requests are alike
        slow_share = float(max(values.values()) > limit)
    return requests, slow_share * requests
