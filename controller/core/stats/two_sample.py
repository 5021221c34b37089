"""Latency as shares of slow requests: the canary above 1.05 x, the control above x.

Percentiles cannot be added up, and hide how sure they are; counts above a limit can, and do not.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import NamedTuple

# Effects that are bet on: odds of a slow request, as multiples of the control's. Most of them lie
# where evidence is scarce, around the 1.2 of a latency that grows by 10 %, and by 50 % (4): what is
# slower is found as soon as the cap of a minute allows, whatever is bet on it.
ODDS = (1.18, 1.21, 1.24, 1.27, 1.6, 3.0, 4.0, 5.0, 40.0)
# Smallest and largest share of slow requests that is believed of a control.
_LEAST, _MOST = 1e-4, 0.999


class Pair(NamedTuple):
    """One minute of two paths: requests and slow ones of the canary, and of the control."""

    requests: float
    slow: float
    control: float
    control_slow: float


def log_ratios(seen: Pair, theta: float, odds: Sequence[float] = ODDS) -> tuple[float, ...]:
    """Return the log e-value of each of `odds` for one minute.

    H0: the canary's share of slow requests is at most the control's, whatever the level. theta: the
    control's share, from minutes before this one. The block e-variable of Turner, Ly and Grunwald
    (2021), with the mixed share as the point of the null that is nearest.
    """
    if seen.requests <= 0 or seen.control <= 0:
        return (0.0,) * len(odds)
    theta = min(_MOST, max(_LEAST, theta))
    both = seen.requests + seen.control
    own, other = seen.requests - seen.slow, seen.control - seen.control_slow
    found = []
    for one in odds:
        worse = one * theta / (1 - theta + one * theta)
        mixed = (seen.requests * worse + seen.control * theta) / both
        canary = seen.slow * log(worse / mixed) + own * log((1 - worse) / (1 - mixed))
        control = seen.control_slow * log(theta / mixed) + other * log((1 - theta) / (1 - mixed))
        found.append(canary + control)
    return tuple(found)


def frozen_share(share: float, requests: float, dispersion: float = 1.0) -> float:
    """Return the share of slow requests that a stored baseline allows, its own doubt included.

    p + 2.58 sqrt(p (1-p) phi / m): the upper end of its 99 % interval, normal approximation.
    """
    doubt = 2.58 * (share * (1 - share) * dispersion / requests) ** 0.5 if requests > 0 else 1.0
    return min(1.0, share + doubt)


def above(limit: float, percentiles: Mapping[float, float]) -> float | None:
    """Return the share of requests slower than `limit`, between `percentiles` (0..1 -> value).

    Straight lines of the log of the latency against the logit of the share; outside the known
    percentiles the nearest line goes on. Where several percentiles are one value, all of their
    requests take as long as that. None with fewer than two distinct values above zero.
    """
    found: dict[float, list[float]] = {}
    for share, value in percentiles.items():
        if value > 0 and 0 < share < 1:
            found.setdefault(log(value), []).append(log((1 - share) / share))
    places = sorted(found)
    if len(places) < 2 or limit <= 0:
        return None
    where = log(limit)
    right = min(max(bisect_right(places, where), 1), len(places) - 1)
    low, high = places[right - 1], places[right]
    first, last = min(found[low]), max(found[high])
    slope = (last - first) / (high - low)
    logit = first + slope * (where - low) if where < high else min(found[high])
    if where > high:
        logit += slope * (where - high)
    elif where < low:
        logit = max(found[low]) + slope * (where - low)
    return 1 / (1 + exp(-max(-700.0, min(700.0, logit))))
