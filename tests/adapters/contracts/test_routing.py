"""The contract of routed targets, on the simulation, moto and ministack: a class for each cell."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.adapters.contracts import benches, routing_benches
from tests.adapters.contracts.routing import RoutingBench, RoutingContract
from tests.support.emulator import Emulator

_ONE_REVISION = "moto keeps the RevisionId of an alias"
_NO_PROVISIONED = "moto has no GetProvisionedConcurrencyConfig"


def at_0(bench: RoutingBench) -> RoutingBench:
    """Return the target, which the tests of a place share, with all requests on the stable path."""
    bench.set(0)
    return bench


@pytest.fixture(scope="module")
def on_ministack(ministack: Emulator) -> RoutingBench:
    return routing_benches.alias_in(benches.ministack_lambda(ministack, "400000000001"))


@pytest.fixture(scope="module")
def on_moto() -> Iterator[RoutingBench]:
    with benches.moto_lambda() as lambda_:
        yield routing_benches.alias_in(lambda_)


class TestAliasOnTheSimulation(RoutingContract):
    @pytest.fixture
    def bench(self) -> RoutingBench:
        return routing_benches.simulated_alias()


class TestAliasOnMinistack(RoutingContract):
    @pytest.fixture
    def bench(self, on_ministack: RoutingBench) -> RoutingBench:
        return at_0(on_ministack)


class TestAliasOnMoto(RoutingContract):
    CANNOT: ClassVar = {
        "test_a_raise_under_an_old_token_writes_nothing": _ONE_REVISION,
        "test_lowering_at_0_makes_the_token_of_a_raise_old_and_once_is_enough": _ONE_REVISION,
        "test_nothing_is_in_the_way_of_a_plain_target": _NO_PROVISIONED,
    }

    @pytest.fixture
    def bench(self, on_moto: RoutingBench) -> RoutingBench:
        return at_0(on_moto)


@pytest.mark.parametrize("place", RoutingContract.__subclasses__())
def test_what_a_place_cannot_show_is_in_the_contract(place: type[RoutingContract]) -> None:
    """A renamed promise would leave an entry in CANNOT that excuses nothing."""
    assert [name for name in place.CANNOT if not hasattr(RoutingContract, name)] == []
