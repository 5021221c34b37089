"""Histograms of values in logarithmic bins that grow by 2%, and random draws into them.

A draw takes its random generator, so that one seed always gives one world.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import accumulate
from math import ceil, erf, exp, floor, log, sqrt
from random import Random

RATIO = 1.02
STEP = log(RATIO)
# Zero has no logarithm; its bin lies below every other.
_ZERO = -1_000_000


def bin_of(value: float) -> int:
    """Return the bin that holds `value`; zero and below share the lowest one."""
    return floor(log(value) / STEP) if value > 0 else _ZERO


def value_at(position: float) -> float:
    """Return the value at a place on the scale of bins: 3.5 is the middle of bin 3."""
    return 0.0 if position < _ZERO + 1 else RATIO**position


@cache
def middle_of(index: int) -> float:
    """Return the value in the middle of a bin."""
    return value_at(index + 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The distribution of values, reduced to what a metric store keeps.

    count, total, low, high: of the values themselves, not of their bins.
    bins: how many values fell into each bin.
    """

    count: int = 0
    total: float = 0.0
    low: float = 0.0
    high: float = 0.0
    bins: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[float, int]) -> "Distribution":
        """Return the distribution of `values`, each given with how often it occurs."""
        counts = {value: count for value, count in values.items() if count > 0}
        if not counts:
            return cls()
        bins: dict[int, int] = {}
        for value, count in counts.items():
            index = bin_of(value)
            bins[index] = bins.get(index, 0) + count
        total = sum(value * count for value, count in counts.items())
        return cls(sum(counts.values()), total, min(counts), max(counts), bins)

    @classmethod
    def of_ones(cls, ones: int, zeros: int) -> "Distribution":
        """Return the distribution of so many values of 1 and of 0."""
        bins = {index: count for index, count in ((0, ones), (_ZERO, zeros)) if count}
        low, high = 0.0 if zeros else 1.0, 1.0 if ones else 0.0
        return cls(ones + zeros, float(ones), low, high, bins)


@lru_cache(maxsize=64)
def thin(values: Distribution, fraction: float) -> Distribution:
    """Return the part of `values` that is visible when only `fraction` of them have arrived.

    The highest values arrive first: with a growing fraction, counts, totals and the number of
    values above any limit only grow.
    """
    bins: dict[int, int] = {}
    cumulative = arrived = 0
    total = arrived_total = 0.0
    for index in sorted(values.bins, reverse=True):
        count, value = values.bins[index], middle_of(index)
        cumulative += count
        total += count * value
        arrived_here = floor(fraction * cumulative) - arrived
        if arrived_here:
            bins[index] = arrived_here
            arrived += arrived_here
            arrived_total += arrived_here * value
    if not arrived:
        return Distribution()
    return Distribution(
        count=arrived,
        # Rounded, so that a share of whole numbers is a whole number again.
        total=round(values.total * arrived_total / total, 6) if total else 0.0,
        low=max(value_at(min(bins)), values.low),
        high=min(middle_of(max(bins)), values.high),
        bins=bins,
    )


def merge(parts: Iterable[Distribution]) -> Distribution:
    """Return the distribution of all values of all `parts` together."""
    filled = tuple([part for part in parts if part.count])
    if len(filled) == 1:
        return filled[0]
    return _merge_filled(filled) if filled else Distribution()


# Two metrics of the same requests, and two statistics of a metric, merge the same parts: a day of
# periods of five minutes.
@lru_cache(maxsize=512)
def _merge_filled(filled: tuple[Distribution, ...]) -> Distribution:
    bins = dict(filled[0].bins)
    for part in filled[1:]:
        for index, count in part.bins.items():
            bins[index] = bins.get(index, 0) + count
    return Distribution(
        sum(part.count for part in filled),
        sum(part.total for part in filled),
        min(part.low for part in filled),
        max(part.high for part in filled),
        bins,
    )


def percentile(values: Distribution, percent: float) -> float:
    """Return the value that `percent` of the values do not exceed, within 2%.

    Inside a bin, values are taken as evenly spread on its logarithmic scale. The distribution must
    hold at least one value.
    """
    rank = percent / 100 * values.count
    indexes = sorted(values.bins)
    up_to = list(accumulate([values.bins[index] for index in indexes]))
    place = bisect_left(up_to, rank)
    position = float(indexes[place])
    if position != _ZERO:
        count = values.bins[indexes[place]]
        position += max(0.0, rank - (up_to[place] - count)) / count
    return min(max(value_at(position), values.low), values.high)


def count_above(values: Distribution, limit: float) -> float:
    """Return how many values exceed `limit`, which is not negative, within one bin of them.

    Inside a bin, values are spread as for `percentile`: p95 exceeds a limit exactly when more than
    5% of the values do.
    """
    if limit < values.low:
        return float(values.count)
    if limit >= values.high:
        return 0.0
    index = bin_of(limit)
    higher = sum([count for other, count in values.bins.items() if other > index])
    if index == _ZERO:
        return float(higher)
    return higher + values.bins.get(index, 0) * (index + 1 - log(limit) / STEP)


# Above this mean the normal curve replaces a binomial or Poisson count; at 16 they are 4
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
        return 0 if drawn < 0 else min(drawn, trials)
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
        return Distribution.of(Counter(rng.lognormvariate(middle, sigma) for _ in range(count)))
    bins: dict[int, int] = {}
    remaining = count
    for index, chance in _bin_chances(median, sigma):
        drawn = binomial(rng, remaining, chance)
        if drawn:
            bins[index] = drawn
            remaining -= drawn
            if not remaining:
                break
    # Each value is taken at the middle of its bin; the bins are in order.
    total = sum([middle_of(index) * drawn for index, drawn in bins.items()])
    low, high = middle_of(next(iter(bins))), middle_of(next(reversed(bins)))
    return Distribution(count, total, low, high, bins)


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
