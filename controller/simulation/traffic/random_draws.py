"""Poisson, binomial and lognormal random draws, exact where counts are small.

Each takes its random generator, so that one seed always gives one world.
"""

from functools import lru_cache
from math import ceil, erf, exp, floor, log, sqrt
from random import Random

from controller.simulation.traffic.histogram import STEP, Distribution

# Above this mean the normal curve stands in for a binomial or Poisson count; at 16 they are 4
# standard deviations away from zero, so cutting off at zero has no visible effect.
_NORMAL_FROM = 16.0
# Up to this count each latency is drawn by itself; above, each bin is drawn as a whole.
_SINGLE_UP_TO = 40
# How far the bins of a lognormal reach, in standard deviations.
_REACH = 4.0


def poisson(rng: Random, mean: float) -> int:
    """Return how many events happened where `mean` are expected."""
    if mean <= 0:
        return 0
    if mean > _NORMAL_FROM:
        return max(0, round(mean + sqrt(mean) * rng.gauss(0.0, 1.0)))
    remainder = rng.random()
    chance = exp(-mean)
    count = 0
    while remainder > chance and chance > 0:
        remainder -= chance
        count += 1
        chance *= mean / count
    return count


def binomial(rng: Random, trials: int, chance: float) -> int:
    """Return how many of `trials` came true, each with probability `chance`.

    Exact by inversion while few are expected on one side (Kachitvichyanukul and Schmeiser,
    Communications of the ACM 31 (1988) 216-222, algorithm BINV); a rounded normal otherwise.
    """
    if chance > 0.5:
        return trials - binomial(rng, trials, 1.0 - chance)
    mean = trials * chance
    if mean <= 0:
        return 0
    if mean > _NORMAL_FROM:
        drawn = round(mean + sqrt(mean * (1.0 - chance)) * rng.gauss(0.0, 1.0))
        return min(max(drawn, 0), trials)
    odds = chance / (1.0 - chance)
    at_count = (1.0 - chance) ** trials
    remainder = rng.random()
    count = 0
    while remainder > at_count and count < trials:
        remainder -= at_count
        count += 1
        at_count *= odds * (trials - count + 1) / count
    return count


def lognormal(rng: Random, count: int, median: float, sigma: float) -> Distribution:
    """Return `count` latencies, in the unit of `median`; `sigma` is the spread of their log."""
    if count <= _SINGLE_UP_TO:
        middle = log(median)
        values: dict[float, int] = {}
        for _ in range(count):
            value = rng.lognormvariate(middle, sigma)
            values[value] = values.get(value, 0) + 1
        return Distribution.of(values)
    bins: dict[int, int] = {}
    remaining = count
    for index, chance in _bin_chances(median, sigma):
        drawn = binomial(rng, remaining, chance)
        if drawn:
            bins[index] = drawn
            remaining -= drawn
            if not remaining:
                break
    return Distribution.of_bins(bins)


@lru_cache(maxsize=256)
def _bin_chances(median: float, sigma: float) -> tuple[tuple[int, float], ...]:
    """Return each bin of a lognormal with its chance among the values not below it.

    Drawn one after the other with these chances, the bins together are one multinomial draw.
    """
    middle = log(median)
    lowest = floor((middle - _REACH * sigma) / STEP)
    highest = ceil((middle + _REACH * sigma) / STEP)
    bins = []
    below = 0.0
    for index in range(lowest, highest):
        up_to = 0.5 * (1.0 + erf(((index + 1) * STEP - middle) / (sigma * sqrt(2.0))))
        bins.append((index, (up_to - below) / (1.0 - below)))
        below = up_to
    bins.append((highest, 1.0))
    return tuple(bins)
