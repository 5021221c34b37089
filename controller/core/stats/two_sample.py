"""The two-sample test of a latency: shares of slow requests of the canary and of its control.

Slow is above x on the control and, where an increase of 5% is allowed, above 1.05 x on the canary.
Percentiles cannot be added up over minutes and hide how many requests they are made from; counts
above a limit can be added up and have their number of requests with them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import exp, log
from typing import NamedTuple, TypeAlias

# Effects that are tested for: odds of a slow request, as multiples of the control's. Most of them
# lie where evidence is scarce, around the 1.2 of a latency that grows by 10%, and by 50% (4):
# what is slower is found as soon as the cap of a minute allows, whatever weight it has.
ODDS_RATIOS = (1.18, 1.21, 1.24, 1.27, 1.6, 3.0, 4.0, 5.0, 40.0)
# Smallest and largest share of slow requests that is assumed of a control.
_MIN_SHARE, _MAX_SHARE = 1e-4, 0.999
_LARGEST_LOGIT = 700.0  # whose exp is a float

Percentiles: TypeAlias = tuple[tuple[float, float], ...]
"""Percentiles of some requests: the share of them below each, 0 to 1, and its value."""


class PairedCounts(NamedTuple):
    """One minute of two paths: requests and slow ones of the canary, and of the control."""

    requests: float
    slow: float
    control_requests: float
    control_slow: float


def log_ratios(
    counts: PairedCounts, theta: float, odds_ratios: Sequence[float] = ODDS_RATIOS
) -> tuple[float, ...]:
    """Return the log e-value of each of `odds_ratios` for one minute.

    H0: the canary's share of slow requests is at most the control's, whatever the level. theta: the
    control's share, from minutes before this one. The block e-variable of Turner, Ly and Grunwald
    (2021), with the mixed share as the point of the null that is nearest.
    """
    requests, slow, control_requests, control_slow = counts
    if requests <= 0 or control_requests <= 0:
        return (0.0,) * len(odds_ratios)
    theta = min(_MAX_SHARE, max(_MIN_SHARE, theta))
    total, control_mean, rest = requests + control_requests, control_requests * theta, 1 - theta
    fast, control_fast = requests - slow, control_requests - control_slow
    ratios = []
    for odds_ratio in odds_ratios:
        worse = odds_ratio * theta / (rest + odds_ratio * theta)
        mixed = (requests * worse + control_mean) / total
        canary = slow * log(worse / mixed) + fast * log((1 - worse) / (1 - mixed))
        control = control_slow * log(theta / mixed) + control_fast * log(rest / (1 - mixed))
        ratios.append(canary + control)
    return tuple(ratios)


def baseline_share_bound(share: float, requests: float, dispersion: float = 1.0) -> float:
    """Return the share of slow requests that a stored baseline allows, its uncertainty included.

    p + 2.58 sqrt(p (1-p) phi / m): the upper end of its 99% interval, normal approximation.
    """
    margin = 2.58 * (share * (1 - share) * dispersion / requests) ** 0.5 if requests > 0 else 1.0
    return min(1.0, share + margin)


class LatencyCurve(NamedTuple):
    """How slow some requests are, between their percentiles.

    positions: the logs of the distinct values, in order. least, most: the logits of the shares
    above each, where several percentiles are one value. highest: the highest value; 0 without any.
    """

    positions: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]
    highest: float


@lru_cache(maxsize=16_384)  # a window is read again from tick to tick
def latency_curve(percentiles: Percentiles) -> LatencyCurve:
    """Return the curve through `percentiles`."""
    logits: dict[float, list[float]] = {}
    for share, value in percentiles:
        if value > 0 and 0 < share < 1:
            logits.setdefault(log(value), []).append(log((1 - share) / share))
    positions = tuple(sorted(logits))
    return LatencyCurve(
        positions,
        tuple(min(logits[position]) for position in positions),
        tuple(max(logits[position]) for position in positions),
        max((value for _, value in percentiles), default=0.0),
    )


def share_above(limit: float, curve: LatencyCurve) -> float:
    """Return the share of requests slower than `limit`.

    Straight lines of the log of the latency against the logit of the share; outside the known
    percentiles the nearest line goes on. Where several percentiles are one value, all of their
    requests take as long as that. With fewer than two distinct values above zero all requests are
    alike.
    """
    positions, least, most, highest = curve
    if len(positions) < 2 or limit <= 0:
        return float(highest > limit)
    position = log(limit)
    right = bisect_right(positions, position, 1, len(positions) - 1)
    low, high = positions[right - 1], positions[right]
    first, last = least[right - 1], most[right]
    slope = (last - first) / (high - low)
    logit = first + slope * (position - low) if position < high else least[right]
    if position > high:
        logit += slope * (position - high)
    elif position < low:
        logit = most[right - 1] + slope * (position - low)
    if logit <= -_LARGEST_LOGIT:
        logit = -_LARGEST_LOGIT
    return 1 / (1 + exp(-logit if logit < _LARGEST_LOGIT else -_LARGEST_LOGIT))
