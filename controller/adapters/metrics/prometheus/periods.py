"""The statistics of each period, from the growth between scrapes. IAM: none.

The growth from one scrape to the next counts as a whole in one minute: that in which most of the
time between them is. So no request counts twice or in part, and one that moves to the minute beside
its own was at most half a scrape interval from it. Where a scrape is missing, the growth counts in
the minute of the second one, and a minute without a scrape has no data.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import exp, inf, isinf, log
from statistics import median
from typing import Final, TypeAlias, TypeVar

from controller.adapters.metrics.prometheus.samples import (
    Bucket,
    Histogram,
    SampledSeries,
    Scrapes,
    counter_growth,
    histogram_growth,
    scrapes_of,
)
from controller.core.observation import QueryStatus, Series, Span
from controller.core.units import measured_text

# A bucket whose bound is so near to a limit counts what is above it.
NEAR: Final = 0.01
# The upper bound of a bucket inside which values are interpolated, as a multiple of the lower one.
_WIDEST: Final = 1.2
# Where one scrape does not show how long it is to the next.
_USUAL_INTERVAL_S: Final = 60.0
_INTERVALS_SEEN: Final = 10_000
_ABOVE: Final = re.compile(r"TC\((\d+(?:\.\d+)?):\)")
# Two scrapes that are so many usual intervals apart have a missing one between them.
_MISSING: Final = 1.5
# Scrapes after the end of a period until it is closed.
_SCRAPES_TO_CLOSE: Final = 2

Points: TypeAlias = dict[int, float]
T = TypeVar("T")


class NoBoundError(Exception):
    """A histogram has no bucket near a limit. bounds: those that it has."""

    def __init__(self, bounds: Iterable[float]) -> None:
        super().__init__()
        self.bounds = sorted(bounds)


@dataclass(frozen=True)
class Readable:
    """What one metric had in a time.

    kind: counter, gauge or histogram. series: of each target. scrapes: when targets were scraped
    whose series begin in that time. span: the periods that were requested. now: unix seconds.
    """

    kind: str
    series: Sequence[SampledSeries]
    scrapes: Scrapes
    span: Span
    now: float

    def statistic(self, statistic: str, period_s: int) -> Points:
        """Return the closed periods with data. Raises NoBoundError, ValueError for no statistic."""
        points = _STATISTICS[self.kind](self, statistic, period_s)
        closed = self.now - _SCRAPES_TO_CLOSE * self.scrape_interval
        return {
            start: points[start]
            for start in sorted(points)
            if self.span.start <= start and start + period_s <= min(closed, self.span.end)
        }

    @cached_property
    def counted(self) -> Sequence[tuple[float, float]]:
        """How much the counters grew, each growth with the second at which it counts."""
        return [
            (self._counts_at(before, at), growth)
            for one in self.series
            for before, at, growth in counter_growth(one, scrapes_of(one, self.scrapes))
        ]

    @cached_property
    def observed(self) -> Sequence[tuple[float, Histogram]]:
        """What the histograms got, each growth with the second at which it counts."""
        return [
            (self._counts_at(before, at), growth)
            for one in self.series
            for before, at, growth in histogram_growth(one, scrapes_of(one, self.scrapes))
        ]

    def _counts_at(self, before: float, at: float) -> float:
        """Return the second at which the growth between two scrapes counts.

        A scrape that counts in the minute before it comes less than one interval after its end.
        That minute is closed after two, so what is closed does not change.
        """
        is_missing = at - before > _MISSING * self.scrape_interval
        return at if is_missing else (before + at) / 2

    @cached_property
    def scrape_interval(self) -> float:
        """The usual time from one scrape to the next, in seconds."""
        gaps = [gap for one in self.series for gap in _gaps(one)][:_INTERVALS_SEEN]
        gaps = gaps or [gap for stamps in self.scrapes.values() for gap in _between(stamps)]
        return median(gaps) if gaps else _USUAL_INTERVAL_S


def _gaps(series: SampledSeries) -> Iterator[float]:
    return _between([at for at, _ in series.numbers] or [at for at, _ in series.histograms])


def _between(stamps: Sequence[float]) -> Iterator[float]:
    return (later - at for at, later in pairwise(stamps))


def _by_period(samples: Iterable[tuple[float, T]], period_s: int) -> dict[int, list[T]]:
    periods: dict[int, list[T]] = {}
    for at, value in samples:
        periods.setdefault(int(at) // period_s * period_s, []).append(value)
    return periods


# --- Counters and gauges --------------------------------------------------------------------------


def _of_counter(readable: Readable, _statistic: str, period_s: int) -> Points:
    """Return how much the counters grew: each count is one sample."""
    grown = _by_period(readable.counted, period_s)
    return {start: sum(values) for start, values in grown.items()}


_OF_GAUGE: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": lambda values: float(len(values)),
}


def _of_gauge(readable: Readable, statistic: str, period_s: int) -> Points:
    values = (sample for one in readable.series for sample in one.numbers)
    reduce = _OF_GAUGE.get(statistic)
    if reduce is None:
        raise ValueError(f"a gauge has no {statistic}")
    return {start: reduce(own) for start, own in _by_period(values, period_s).items()}


# --- Histograms -----------------------------------------------------------------------------------


def _of_histogram(readable: Readable, statistic: str, period_s: int) -> Points:
    reduce = _reduction(statistic)
    if above := _ABOVE.fullmatch(statistic):
        for one in readable.series:
            for _, histogram in one.histograms[-1:]:
                if histogram.exact:
                    bound_near(float(above[1]), histogram.buckets)
    values = {start: reduce(own) for start, own in _by_period(readable.observed, period_s).items()}
    return {start: value for start, value in values.items() if value is not None}


def _reduction(statistic: str) -> Callable[[list[Histogram]], float | None]:
    """Return the function that makes a statistic of the growth in a period; None: no values."""
    if statistic == "SampleCount":
        return lambda grown: sum(one.count for one in grown)
    if statistic == "Average":
        return _average
    if above := _ABOVE.fullmatch(statistic):
        limit = float(above[1])
        return lambda grown: sum(_above(limit, one) for one in grown)
    if statistic.startswith("p"):
        share = float(statistic[1:]) / 100
        return lambda grown: _percentile(share, _added_up(grown))
    raise ValueError(f"a histogram has no {statistic}")


def _average(grown: list[Histogram]) -> float | None:
    count = sum(one.count for one in grown)
    totals = [one.total for one in grown if one.total is not None]
    return sum(totals) / count if count and len(totals) == len(grown) else None


def _added_up(grown: list[Histogram]) -> dict[Bucket, float]:
    buckets: dict[Bucket, float] = {}
    for one in grown:
        for bucket, count in one.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0.0) + count
    return buckets


def bound_near(limit: float, buckets: Iterable[Bucket]) -> float:
    """Return the bound that is within 1% of `limit`. Raises NoBoundError."""
    bounds = [upper for _, upper in buckets if upper < inf]
    nearest = min(bounds, key=lambda bound: abs(bound - limit), default=inf)
    if abs(nearest - limit) > NEAR * limit * (1 + 1e-9):
        raise NoBoundError(bounds)
    return nearest


def _above(limit: float, growth: Histogram) -> float:
    """Return how many values are above `limit`, interpolated inside a narrow bucket.

    Raises NoBoundError where the bucket is wide: a native histogram may have custom bounds.
    """
    if growth.exact or any(_is_wide(*one) for one in growth.buckets if one[0] < limit < one[1]):
        limit = bound_near(limit, growth.buckets)
    return sum(
        count * _share_above(limit, lower, upper)
        for (lower, upper), count in growth.buckets.items()
        if upper > limit
    )


def _is_wide(lower: float, upper: float) -> bool:
    """Tell whether a bucket says little of where its values are; that around zero is narrow."""
    return isinf(upper) or isinf(lower) or (lower > 0 and upper > _WIDEST * lower)


def _share_above(limit: float, lower: float, upper: float) -> float:
    if lower >= limit:
        return 1.0
    if lower > 0:
        return log(upper / limit) / log(upper / lower)
    return (upper - limit) / (upper - lower)


def _percentile(share: float, buckets: Mapping[Bucket, float]) -> float | None:
    """Return the value that `share` of the values stay below, interpolated in its bucket."""
    count = sum(buckets.values())
    if not count:
        return None
    below, wanted = 0.0, share * count
    for (lower, upper), number in sorted(buckets.items(), key=lambda item: item[0][1]):
        if number and below + number >= wanted:
            return _inside(lower, upper, (wanted - below) / number)
        below += number
    return None


def _inside(lower: float, upper: float, share: float) -> float:
    """Return the value below which `share` of a bucket is: of a narrow one, as `_share_above`.

    That is on a logarithmic scale, as the server interpolates in a native histogram
    (prometheus/prometheus#14677).
    """
    if upper == inf:
        return lower
    if lower > 0 and not _is_wide(lower, upper):
        return lower * exp(share * log(upper / lower))
    low = max(lower, 0.0) if upper > 0 else lower
    return low + (upper - low) * share


_STATISTICS: Final[Mapping[str, Callable[[Readable, str, int], Points]]] = {
    "counter": _of_counter,
    "gauge": _of_gauge,
    "histogram": _of_histogram,
}


def no_bound_series(name: str, limit: str, bounds: Sequence[float]) -> Series:
    """Return the series of a limit that no bucket is near, with what to do."""
    known = ", ".join(map(measured_text, bounds)) or "none"
    return Series(
        status=QueryStatus.ERROR,
        message=f"the histogram {name} has no bucket within {NEAR:.0%} of {limit}, so requests "
        f"above it cannot be counted (its bounds: {known}): add the bucket {limit}, scrape it as "
        "a native histogram, or judge a limit that it has",
    )
