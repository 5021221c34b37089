"""The samples in an answer of Prometheus, as numbers, and their growth between scrapes. IAM: none.

A histogram is the same in both forms: how many values are in each of its buckets. A classic one is
made of several series, one for each bound, which were scraped together.

A counter that shrank was reset, and counts from 0. One that appears counts from 0 as well, where
its target was scraped before without it: the first failure makes the counter of failures. Of a
target that was not scraped before, it is not known how long it has counted.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from controller.errors import MetricsError
from controller.immutable import Immutable

BUCKET, COUNT, SUM = "_bucket", "_count", "_sum"
_NAME, _BOUND = "__name__", "le"

Labels: TypeAlias = frozenset[tuple[str, str]]
Bucket: TypeAlias = tuple[float, float]
"""The bounds of a bucket: above the first, up to and with the second."""


class _NativeHistogram(Struct):
    count: str
    sum: str
    buckets: list[tuple[int, str, str, str]] = []


class RawSeries(Struct):
    """One series of an answer, with values or with histograms by the second of their scrape."""

    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    histograms: list[tuple[float, _NativeHistogram]] = []


class _Data(Struct, rename="camel"):
    result_type: str
    result: list[RawSeries]


class Answer(Struct, rename="camel"):
    """An answer of the HTTP API. warnings: why the result may lack something."""

    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: list[str] = []


class Histogram(Immutable):
    """The values that were observed since the process started, or between two scrapes.

    buckets: how many are in each. total: their sum; None: not known. exact: a count above a limit
    takes a bound near it; False for a native histogram, whose buckets are narrow.
    """

    buckets: Mapping[Bucket, float]
    total: float | None
    exact: bool

    @property
    def count(self) -> float:
        """How many values there are."""
        return sum(self.buckets.values())


class SampledSeries(Immutable):
    """One series: what was scraped of one target, oldest first.

    labels: without the name and the bound. numbers: of a counter or a gauge. histograms: of a
    histogram, of either form.
    """

    labels: Mapping[str, str]
    numbers: tuple[tuple[float, float], ...] = ()
    histograms: tuple[tuple[float, Histogram], ...] = ()


_DECODER: Final = msgspec.json.Decoder(Answer)


def read_answer(body: bytes) -> Answer:
    """Return the answer in `body`. Raises MetricsError when it is none of Prometheus."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MetricsError("what it answered is no answer of Prometheus' HTTP API") from error


def sampled_series(raw: Iterable[RawSeries], name: str) -> list[SampledSeries]:
    """Return the series of the metric `name`; equal stamps of several answers count once."""
    numbers: dict[Labels, dict[float, float]] = {}
    native: dict[Labels, dict[float, Histogram]] = {}
    classic: dict[Labels, dict[float, dict[float, float]]] = {}
    totals: dict[Labels, dict[float, float]] = {}
    for one in raw:
        own_name = one.metric.get(_NAME, name)
        labels = frozenset(
            (label, value)
            for label, value in one.metric.items()
            if label not in (_NAME, _BOUND) or (label == _BOUND and own_name != name + BUCKET)
        )
        values = dict(_numbers(one.values))
        if own_name == name + BUCKET and name + BUCKET != name:
            bound = _number(one.metric.get(_BOUND, ""))
            for at, value in values.items():
                classic.setdefault(labels, {}).setdefault(at, {})[bound] = value
        elif own_name == name + SUM and name + SUM != name:
            totals.setdefault(labels, {}).update(values)
        else:
            numbers.setdefault(labels, {}).update(values)
            for at, histogram in one.histograms:
                native.setdefault(labels, {})[at] = _native(histogram)
    histograms = {
        labels: _classic(by_time, totals.get(labels, {})) for labels, by_time in classic.items()
    }
    for labels, of_native in native.items():
        histograms.setdefault(labels, {}).update(of_native)  # where both are scraped
    return [
        SampledSeries(
            dict(labels),
            tuple(sorted(numbers.get(labels, {}).items())),
            tuple(sorted(histograms.get(labels, {}).items())),
        )
        for labels in dict.fromkeys((*numbers, *histograms))
        if numbers.get(labels) or histograms.get(labels)
    ]


def _numbers(values: Iterable[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    """Yield the finite numbers of a series, each with its second."""
    for at, text in values:
        if isfinite(value := _number(text)):
            yield at, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MetricsError("an answer of it has a value that is no number") from None


def _classic(
    by_time: Mapping[float, Mapping[float, float]], totals: Mapping[float, float]
) -> dict[float, Histogram]:
    """Return the histogram of each scrape; one without the last bucket is not whole."""
    histograms: dict[float, Histogram] = {}
    for at, counts in by_time.items():
        bounds = sorted(counts)
        if bounds[-1] != inf:
            continue
        buckets, lower, below = {}, -inf, 0.0
        for bound in bounds:
            buckets[lower, bound] = counts[bound] - below
            lower, below = bound, counts[bound]
        histograms[at] = Histogram(buckets, totals.get(at), exact=True)
    return histograms


def _native(raw: _NativeHistogram) -> Histogram:
    buckets = {
        (_number(lower), _number(upper)): _number(count) for _, lower, upper, count in raw.buckets
    }
    total = _number(raw.sum)
    return Histogram(buckets, total if isfinite(total) else None, exact=False)


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
