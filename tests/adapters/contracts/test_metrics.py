"""The contract of a metric source, on the simulation and on ministack."""

from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import MetricsBench
from tests.adapters.contracts.metrics import MetricsContract
from tests.support.emulator import Emulator


class TestOnTheSimulation(MetricsContract):
    @pytest.fixture
    def bench(self) -> MetricsBench:
        return benches.simulated_metrics()


class TestOnMinistack(MetricsContract):
    CANNOT: ClassVar = {
        "test_no_dimensions_match_no_metric_that_has_some": "it takes no dimensions as any",
        "test_a_trimmed_count_is_of_the_values_above_its_bound": "it answers with the average",
    }

    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> MetricsBench:
        return benches.ministack_metrics(ministack, account)
