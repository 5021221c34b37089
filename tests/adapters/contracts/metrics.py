"""The contract of every metric source. A test module subclasses it for each implementation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.core.observation import MetricQuery, Span
from tests.adapters.contracts.benches import Dimensions, MetricsBench
from tests.support.core import QueryStatus

ORDERS: Dimensions = (("ApiName", "orders"),)
TEN_MINUTES = 600


def latency(
    statistic: str, period_s: int = 60, dimensions: Dimensions = ORDERS, namespace: str = "Shop"
) -> MetricQuery:
    """Return a query for the latency of the orders API, unless said otherwise."""
    return MetricQuery(namespace, "Latency", statistic, period_s, dimensions)


def publish(
    bench: MetricsBench,
    minutes: Mapping[int, Sequence[float]],
    dimensions: Dimensions = ORDERS,
    namespace: str = "Shop",
) -> None:
    """Publish values by minutes after the bench's start."""
    for minute, values in minutes.items():
        second = bench.start + 60 * minute + 7
        bench.put(namespace, "Latency", dimensions, second, values)


def source(bench: MetricsBench) -> CloudWatchMetrics:
    """Return the source of metrics on the client of `bench`."""
    return CloudWatchMetrics(lambda: bench.client)


def points(
    bench: MetricsBench, query: MetricQuery, span: Span | None = None
) -> list[tuple[int, float]]:
    """Return the series of `query` in its order, by seconds after the bench's start."""
    span = span or Span(bench.start, bench.start + TEN_MINUTES)
    series = source(bench).read([query], span)[query]
    assert series.status is QueryStatus.COMPLETE
    return [(second - bench.start, value) for second, value in series.points.items()]


class MetricsContract:
    """Promises of a `MetricSource` on CloudWatch.

    CANNOT: promises that this implementation cannot keep, and why; each is expected to fail.
    """

    CANNOT: ClassVar[Mapping[str, str]] = {}

    @pytest.mark.parametrize(
        ("statistic", "value"),
        [("Sum", 60.0), ("SampleCount", 3.0), ("Average", 20), ("Minimum", 5), ("Maximum", 40)],
    )
    def test_a_statistic_is_of_all_values_of_the_period(
        self, bench: MetricsBench, statistic: str, value: float
    ) -> None:
        publish(bench, {0: [5, 15, 40]})
        assert points(bench, latency(statistic)) == [(0, value)]

    def test_a_percentile_is_near_the_value_that_so_many_stay_below(
        self, bench: MetricsBench
    ) -> None:
        """CloudWatch does not document its interpolation, so 1% of tolerance is allowed."""
        publish(bench, {0: range(1, 1_001)})
        ((_, p95),) = points(bench, latency("p95"))
        assert p95 == pytest.approx(950, rel=0.01)

    def test_a_trimmed_count_is_of_the_values_above_its_bound(self, bench: MetricsBench) -> None:
        """The count is interpolated: values within 2% of the bound may count or not."""
        publish(bench, {0: range(1, 1_001), 1: [412.5], 2: [413.5, 900]})
        (_, many), *few = points(bench, latency("TC(412.5:)"))
        assert many == pytest.approx(588, abs=9)
        assert few == [(60, 0), (120, 2)]

    def test_points_are_keyed_by_the_start_of_their_period_and_the_oldest_comes_first(
        self, bench: MetricsBench
    ) -> None:
        publish(bench, {4: [4], 0: [1], 1: [2]})
        assert points(bench, latency("Sum")) == [(0, 1), (60, 2), (240, 4)]

    def test_a_longer_period_puts_minutes_together(self, bench: MetricsBench) -> None:
        publish(bench, {0: [1], 4: [2], 5: [10]})
        assert points(bench, latency("Sum", 300)) == [(0, 3), (300, 10)]

    def test_a_span_has_its_start_and_not_its_end(self, bench: MetricsBench) -> None:
        publish(bench, {0: [1], 1: [2], 2: [4], 3: [8]})
        span = Span(bench.start + 60, bench.start + 180)
        assert points(bench, latency("Sum"), span) == [(60, 2), (120, 4)]

    def test_silence_is_an_empty_and_complete_series(self, bench: MetricsBench) -> None:
        assert points(bench, latency("Sum")) == []

    def test_other_values_of_a_dimension_are_another_metric(self, bench: MetricsBench) -> None:
        publish(bench, {0: [1]})
        publish(bench, {0: [100]}, (("ApiName", "returns"),))
        assert points(bench, latency("Sum")) == [(0, 1)]

    def test_another_namespace_has_other_metrics(self, bench: MetricsBench) -> None:
        publish(bench, {0: [1]})
        publish(bench, {0: [100]}, namespace="Warehouse")
        assert points(bench, latency("Sum")) == [(0, 1)]

    def test_no_dimensions_match_no_metric_that_has_some(self, bench: MetricsBench) -> None:
        publish(bench, {0: [1]})
        assert points(bench, latency("Sum", dimensions=())) == []

    def test_more_queries_than_fit_into_one_call_are_all_answered(
        self, bench: MetricsBench
    ) -> None:
        publish(bench, {0: [1]}, (("ApiName", "0"),))
        publish(bench, {0: [2]}, (("ApiName", "500"),))
        queries = [latency("Sum", dimensions=(("ApiName", str(name)),)) for name in range(501)]
        span = Span(bench.start, bench.start + 60)
        series = source(bench).read(queries, span)
        answered = {
            query.dimensions[0][1]: one.points for query, one in series.items() if one.points
        }
        assert len(series) == 501
        assert answered == {"0": {bench.start: 1}, "500": {bench.start: 2}}
