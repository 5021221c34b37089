"""The growth of counters and histograms, from one scrape to the next. IAM: none.

A counter that shrank was reset, and counts from 0. One that appears counts from 0 as well, where
its target was scraped before without it: the first failure makes the counter of failures. Of a
target that was not scraped before, it is not known how long it has counted.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Final, TypeAlias, TypeVar

from controller.adapters.metrics.prometheus.samples import (
    Bucket,
    Histogram,
    Labels,
    SampledSeries,
)

# A sample that is older than this is no start of a difference.
LOOK_BACK_S: Final = 300

Target: TypeAlias = tuple[str, str]
"""The labels job and instance of what was scraped."""

Scrapes: TypeAlias = Mapping[Labels, Sequence[float]]
"""When targets were scraped, in order, by all labels of each."""

T = TypeVar("T")
R = TypeVar("R")

Growth: TypeAlias = tuple[float, float, R]
"""Two scrapes, and how much was counted between them."""


def target_of(series: SampledSeries) -> Target | None:
    """Return what a series was scraped from; None where its labels do not tell."""
    job, instance = series.labels.get("job"), series.labels.get("instance")
    return (job, instance) if job and instance else None


def scrapes_of(series: SampledSeries, scrapes: Scrapes) -> Sequence[float]:
    """Return when the target of a series was scraped, as far as that is known.

    A series has all labels of its target: one of another cluster may have its job and instance.
    """
    own = series.labels.items()
    return next((stamps for labels, stamps in scrapes.items() if labels <= own), ())


def first_samples(series: Sequence[tuple[float, T]]) -> Iterator[float]:
    """Yield the second of each sample without another one in the time before it."""
    before = -inf
    for at, _ in series:
        if at - before > LOOK_BACK_S:
            yield at
        before = at


def scrape_before(at: float, scrapes: Sequence[float]) -> float | None:
    """Return when a target was last scraped before `at`; None: not for long. scrapes: in order."""
    index = bisect_left(scrapes, at) - 1
    return scrapes[index] if index >= 0 and at - scrapes[index] <= LOOK_BACK_S else None


def counter_growth(series: SampledSeries, scrapes: Sequence[float]) -> Iterator[Growth[float]]:
    """Yield the growth of a counter at each scrape whose growth is known.

    scrapes: when its target was scraped, in order.
    """
    return _growth(series.numbers, scrapes, _counter_difference)


def histogram_growth(
    series: SampledSeries, scrapes: Sequence[float]
) -> Iterator[Growth[Histogram]]:
    """Yield the growth of a histogram at each scrape whose growth is known."""
    return _growth(series.histograms, scrapes, _histogram_difference)


def _growth(
    samples: Sequence[tuple[float, T]],
    scrapes: Sequence[float],
    difference: Callable[[T | None, T], R | None],
) -> Iterator[Growth[R]]:
    before, earlier = -inf, None
    for at, later in samples:
        known = earlier
        if at - before > LOOK_BACK_S:
            scraped, known = scrape_before(at, scrapes), None
            before = at if scraped is None else scraped
        if before < at and (growth := difference(known, later)) is not None:
            yield before, at, growth
        before, earlier = at, later


def _counter_difference(earlier: float | None, later: float) -> float:
    return later if earlier is None or later < earlier else later - earlier


def _histogram_difference(earlier: Histogram | None, later: Histogram) -> Histogram | None:
    """Return what `later` has more than `earlier`, by its own buckets.

    The buckets of a native histogram may have become wider since. None where a classic histogram
    became a native one, or the other way: their buckets tell nothing of each other.
    """
    if earlier is not None and earlier.exact != later.exact:
        return None
    if earlier is None or later.count < earlier.count:
        return later
    if earlier.buckets.keys() <= later.buckets.keys():
        before = earlier.buckets
    else:
        before = {bucket: _within(bucket, earlier.buckets.items()) for bucket in later.buckets}
    grown = {bucket: count - before.get(bucket, 0.0) for bucket, count in later.buckets.items()}
    if any(count < 0 for count in grown.values()):
        return later
    is_known = later.total is not None and earlier.total is not None
    total = (later.total or 0.0) - (earlier.total or 0.0) if is_known else None
    return Histogram(grown, total, later.exact)


def _within(outer: Bucket, buckets: Iterable[tuple[Bucket, float]]) -> float:
    lower, upper = outer
    return sum(count for (low, high), count in buckets if low >= lower and high <= upper)
