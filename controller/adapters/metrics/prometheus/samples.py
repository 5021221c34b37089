"""The samples in an answer of Prometheus, as numbers. IAM: none.

A histogram is the same in both forms: how many values are in each of its buckets. A classic one is
made of several series, one for each bound, which were scraped together.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf, isfinite
from typing import Final, TypeAlias

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
