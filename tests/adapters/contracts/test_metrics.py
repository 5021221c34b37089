"""The contract of a metric source, on the simulation, moto and ministack."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import MetricsBench
from tests.adapters.contracts.metrics import MetricsContract
from tests.support.emulator import Emulator

_NO_DIMENSIONS = "it takes no dimensions as any dimensions"
_TRIMMED = "test_a_trimmed_count_is_of_the_values_above_its_bound"


class TestOnTheSimulation(MetricsContract):
    @pytest.fixture
    def bench(self) -> MetricsBench:
        return benches.simulated_metrics()


class TestOnMinistack(MetricsContract):
    CANNOT: ClassVar = {
        "test_no_dimensions_match_no_metric_that_has_some": _NO_DIMENSIONS,
        _TRIMMED: "ministack answers with the average",
    }

    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> MetricsBench:
        return benches.ministack_metrics(ministack, account)


class TestOnMoto(MetricsContract):
    CANNOT: ClassVar = {
        "test_a_percentile_is_near_the_value_that_so_many_stay_below": "moto has no percentiles",
        "test_another_namespace_has_other_metrics": "moto looks for dimensions in every namespace",
        "test_no_dimensions_match_no_metric_that_has_some": _NO_DIMENSIONS,
        _TRIMMED: "moto has no trimmed counts",
    }

    @pytest.fixture
    def bench(self) -> Iterator[MetricsBench]:
        with benches.moto_metrics() as bench:
            yield bench


@pytest.mark.parametrize("place", [TestOnMinistack, TestOnMoto])
def test_what_a_place_cannot_show_is_in_the_contract(place: type[MetricsContract]) -> None:
    """A renamed promise would leave an entry in CANNOT that excuses nothing."""
    assert [name for name in place.CANNOT if not hasattr(MetricsContract, name)] == []


def test_what_only_the_simulation_shows_is_listed() -> None:
    """Every other promise is also shown on moto or ministack, which others wrote."""
    assert not TestOnTheSimulation.CANNOT
    assert TestOnMinistack.CANNOT.keys() & TestOnMoto.CANNOT.keys() == {
        "test_no_dimensions_match_no_metric_that_has_some",
        _TRIMMED,
    }
