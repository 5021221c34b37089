"""The contract of routed targets, on the simulation and on ministack: a class for each cell."""

import pytest

from tests.adapters.contracts import benches, routing_benches
from tests.adapters.contracts.routing import RoutingBench, RoutingContract
from tests.support.emulator import Emulator


@pytest.fixture(scope="module")
def on_ministack(ministack: Emulator) -> RoutingBench:
    return routing_benches.alias_in(benches.ministack_lambda(ministack, "400000000001"))


class TestAliasOnTheSimulation(RoutingContract):
    @pytest.fixture
    def bench(self) -> RoutingBench:
        return routing_benches.simulated_alias()


class TestAliasOnMinistack(RoutingContract):
    @pytest.fixture
    def bench(self, on_ministack: RoutingBench) -> RoutingBench:
        """Return the target, which all tests share, with all requests on the stable path."""
        on_ministack.set(0)
        return on_ministack
