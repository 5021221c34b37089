"""What samples of Prometheus say about minutes: resets, gaps, new series, bounds of histograms."""

from collections.abc import Mapping, Sequence
from math import inf

import pytest

from controller.adapters.metrics.prometheus.periods import NoBoundError, Readable
from controller.adapters.metrics.prometheus.samples import Histogram, SampledSeries
from controller.core.observation import Span

TARGET = {"job": "shop", "instance": "a:80"}
Samples = Sequence[tuple[float, float]]


def points(
    samples: Samples,
    *,
    kind: str = "counter",
    statistic: str = "Sum",
    scrapes: Sequence[float] = (),
    now: float = 10_000,
    span: Span = Span(0, 600),
    target: Mapping[str, str] = TARGET,
) -> dict[int, float]:
    """Return the points of one series; seconds from 0. target: labels of what was scraped."""
    series = SampledSeries(TARGET, numbers=tuple(samples))
    readable = Readable(kind, [series], {frozenset(target.items()): [*scrapes]}, span, now)
    return readable.statistic(statistic, 60)


def every(
    seconds: float, values: Sequence[float], first: float = -5.0
) -> list[tuple[float, float]]:
    return [(first + seconds * index, value) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(
            every(30, [100, 110, 120, 125, 131]), {0: 20, 60: 11},
            id="a minute has what its last sample has more than the last one before it",
        ),
        pytest.param(
            every(15, [100, 200, 300, 400, 500, 507], first=5), {0: 400, 60: 7},
            id="what grew mostly in a minute counts there, although the next one sees it",
        ),
        pytest.param(
            every(15, [100, 200, 300, 400, 500, 507], first=10), {0: 300, 60: 107},
            id="what grew mostly in the next minute counts in the next one",
        ),
        pytest.param(
            every(60, [0, 100, 110, 190], first=20), {0: 100, 60: 10, 120: 80},
            id="of one scrape a minute, each minute has the growth that is mostly its own",
        ),
        pytest.param(
            [(1, 1.0), (16, 2.0), (31, 3.0), (61, 90.0), (76, 91.0)], {0: 2, 60: 88},
            id="growth over a missing scrape counts in the minute that sees it",
        ),
        pytest.param(
            every(30, [100, 110, 4, 6]), {0: 14, 60: 2},
            id="a counter that shrank counts from 0",
        ),
        pytest.param(
            [*every(15, [100, 102, 104, 107, 110]), (130, 150.0), (145, 150.0)], {0: 10, 120: 40},
            id="a minute without a scrape has no data, and the next one has its growth",
        ),
        pytest.param(
            [(-5, 100.0), (425, 500.0), (455, 510.0)], {420: 10},
            id="after more than five minutes without a scrape it is not known when it grew",
        ),
        pytest.param(
            [(25, 7.0), (55, 9.0)], {0: 2},
            id="a target that was not scraped before has no first growth",
        ),
    ],
)  # fmt: skip
def test_growth(samples: Samples, expected: Mapping[int, float]) -> None:
    assert points(samples) == expected


def test_a_series_that_appears_on_a_scraped_target_counts_from_0() -> None:
    assert points([(70, 3.0), (100, 4.0)], scrapes=[10, 40, 70, 100]) == {0: 3, 60: 1}


def test_the_first_failure_counts_in_the_minute_of_the_requests_scraped_with_it() -> None:
    scrapes = [6, 21, 36, 66]  # one is missing
    requests = points([(at, 100.0 * at) for at in scrapes])
    assert requests.keys() == {0, 60}
    assert points([(66, 1.0)], scrapes=scrapes) == {60: 1}


def test_the_scrape_that_finds_a_target_is_no_scrape_before_it() -> None:
    assert points([(70, 3.0), (100, 4.0)], scrapes=[70, 100]) == {60: 1}


@pytest.mark.parametrize(("now", "closed"), [(149, []), (150, [60]), (500, [60])])
def test_a_minute_is_closed_two_scrapes_after_its_end(now: float, closed: list[int]) -> None:
    samples = every(15, range(40), first=60)
    seen = [(at, value) for at, value in samples if at <= now]
    assert list(points(seen, now=now, span=Span(60, 120))) == closed


@pytest.mark.parametrize("interval", [15, 30, 60])
@pytest.mark.parametrize("lost", [(), (7,), (7, 8), (9,)], ids=lambda lost: f"{len(lost)} lost")
def test_a_closed_minute_does_not_change(interval: int, lost: Sequence[int]) -> None:
    for first in range(interval):
        samples = every(interval, [index**2 for index in range(40)], first=first)
        kept = [one for index, one in enumerate(samples) if index not in lost]
        later = points(kept, now=10_000)
        for now in range(300, 600):
            seen = points([one for one in kept if one[0] <= now - interval / 4], now=now)
            assert seen == {at: value for at, value in later.items() if at in seen}


def test_a_gauge_has_statistics_of_its_samples_and_no_sum() -> None:
    samples = [(5.0, 4.0), (20.0, 8.0), (70.0, 1.0)]
    found = {
        statistic: points(samples, kind="gauge", statistic=statistic)
        for statistic in ("Average", "Minimum", "Maximum", "SampleCount")
    }
    assert found == {
        "Average": {0: 6, 60: 1}, "Minimum": {0: 4, 60: 1},
        "Maximum": {0: 8, 60: 1}, "SampleCount": {0: 2, 60: 1},
    }  # fmt: skip
    with pytest.raises(ValueError, match="a gauge has no Sum"):
        points(samples, kind="gauge")


def test_a_target_of_another_cluster_with_the_same_instance_vouches_for_nothing() -> None:
    samples, other = [(70, 9_000_000.0), (100, 9_000_001.0)], {**TARGET, "cluster": "other"}
    assert points(samples, scrapes=[10, 40, 70, 100], target=other) == {60: 1}


# --- Histograms -----------------------------------------------------------------------------------


def histogram(
    buckets: Mapping[tuple[float, float], float],
    *,
    exact: bool = True,
    total: float | None = 0.0,
) -> Histogram:
    return Histogram(buckets, total, exact)


def of_histogram(statistic: str, *several: Histogram) -> dict[int, float]:
    """Return the points of a histogram that was scraped every 15 s, first before the span."""
    scraped = tuple((15 * index - 5.0, one) for index, one in enumerate(several))
    series = SampledSeries(TARGET, histograms=scraped)
    return Readable("histogram", [series], {}, Span(0, 60), 10_000).statistic(statistic, 60)


CLASSIC = {(-inf, 0.25): 10.0, (0.25, 0.5): 5.0, (0.5, inf): 2.0}
MORE = {(-inf, 0.25): 20.0, (0.25, 0.5): 15.0, (0.5, inf): 5.0}


@pytest.mark.parametrize("limit", ["0.5", "0.496", "0.505"])
def test_a_bucket_within_a_hundredth_counts_what_is_above(limit: str) -> None:
    assert of_histogram(f"TC({limit}:)", histogram(CLASSIC), histogram(MORE)) == {0: 3}


@pytest.mark.parametrize("limit", ["0.49", "0.51", "0.4", "100"])
def test_no_other_bucket_does(limit: str) -> None:
    with pytest.raises(NoBoundError) as caught:
        of_histogram(f"TC({limit}:)", histogram(CLASSIC), histogram(MORE))
    assert caught.value.bounds == [0.25, 0.5]


def test_a_native_histogram_is_interpolated_inside_a_narrow_bucket() -> None:
    before = histogram({(1.0, 1.1): 0.0}, exact=False)
    after = histogram({(1.0, 1.1): 8.0, (1.1, 1.21): 4.0}, exact=False)
    assert of_histogram("TC(1.1:)", before, after) == {0: 4}
    assert of_histogram(f"TC({1.1**0.5:.9f}:)", before, after)[0] == pytest.approx(8)


@pytest.mark.parametrize("bucket", [(1.0, 2.0), (-inf, 2.0), (1.0, inf)], ids=str)
def test_a_native_histogram_with_wide_buckets_needs_a_bound(bucket: tuple[float, float]) -> None:
    """Its bounds may be those of a classic histogram."""
    before, after = (histogram({bucket: count}, exact=False) for count in (1.0, 5.0))
    with pytest.raises(NoBoundError):
        of_histogram("TC(1.5:)", before, after)


def test_a_histogram_that_becomes_native_tells_nothing_of_that_scrape() -> None:
    native = [histogram({(1.0, 1.1): count}, exact=False) for count in (900.0, 903.0)]
    assert of_histogram("SampleCount", histogram(CLASSIC), *native) == {0: 3}


def test_an_average_without_the_sum_of_each_scrape_is_not_known() -> None:
    first, second = histogram(CLASSIC, total=1.0), histogram(MORE, total=None)
    assert of_histogram("Average", first, second) == {}
    assert of_histogram("Average", first, histogram(MORE, total=24.0)) == {0: 1}


def test_a_reset_counts_every_bucket_from_0_also_one_that_grew() -> None:
    after = {(-inf, 0.25): 1.0, (0.25, 0.5): 0.0, (0.5, inf): 3.0}
    assert of_histogram("TC(0.5:)", histogram(CLASSIC), histogram(after)) == {0: 3}


def test_wider_buckets_of_a_native_histogram_are_no_reset() -> None:
    narrow = histogram({(1.0, 2.0): 5.0, (2.0, 4.0): 5.0}, exact=False)
    wide = histogram({(1.0, 4.0): 12.0}, exact=False)
    assert of_histogram("SampleCount", narrow, wide) == {0: 2}


def test_a_release_with_other_bounds_counts_from_0() -> None:
    other = {(-inf, 0.1): 1.0, (0.1, 0.5): 1.0, (0.5, inf): 4.0}
    assert of_histogram("TC(0.5:)", histogram(CLASSIC), histogram(other)) == {0: 4}


def test_a_percentile_is_the_limit_above_which_its_share_is() -> None:
    before = histogram({(1.0, 1.1): 0.0}, exact=False)
    after = histogram({(0.9, 1.0): 900.0, (1.0, 1.1): 80.0, (1.1, 1.21): 20.0}, exact=False)
    p95 = of_histogram("p95", before, after)[0]
    assert of_histogram(f"TC({p95:.12f}:)", before, after)[0] == pytest.approx(50)


def test_a_percentile_is_interpolated_in_its_bucket() -> None:
    found = of_histogram("p50", histogram(CLASSIC), histogram(MORE))
    assert found[0] == pytest.approx(0.25 + 0.25 * (11.5 - 10) / 10)
