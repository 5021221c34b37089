"""The contract of a target, on the simulation, moto and ministack."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import LambdaBench
from tests.adapters.contracts.target import TargetContract
from tests.support.emulator import Emulator

_NO_REVISION = "moto has no RevisionId, and nothing is raised without one"
_NO_PROVISIONED = "it lists no provisioned concurrency"


class TestOnTheSimulation(TargetContract):
    @pytest.fixture
    def bench(self) -> LambdaBench:
        return benches.simulated_lambda()


class TestOnMinistack(TargetContract):
    CANNOT: ClassVar = {
        "test_a_raise_during_an_update_writes_nothing": "ministack takes a second update meanwhile",
        "test_the_end_of_an_update_makes_its_token_old": "ministack keeps the RevisionId then",
        "test_provisioned_concurrency_is_fatal": _NO_PROVISIONED,
    }

    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> LambdaBench:
        return benches.ministack_lambda(ministack, account)


class TestOnMoto(TargetContract):
    CANNOT: ClassVar = {
        "test_a_raise_sets_both_variables_and_keeps_all_others": _NO_REVISION,
        "test_a_raise_of_a_function_without_variables_adds_them": _NO_REVISION,
        "test_a_raise_is_applied_only_after_a_while": _NO_REVISION,
        "test_a_raise_under_an_old_token_writes_nothing": _NO_REVISION,
        "test_a_raise_during_an_update_writes_nothing": _NO_REVISION,
        "test_the_end_of_an_update_makes_its_token_old": _NO_REVISION,
        "test_lowering_waits_for_an_update_that_is_in_progress": _NO_REVISION,
        "test_lowering_at_0_writes_nothing": _NO_REVISION,
        "test_lowering_at_0_makes_the_token_of_a_raise_old_and_once_is_enough": _NO_REVISION,
        "test_nothing_is_in_the_way_of_a_plain_function": _NO_PROVISIONED,
        "test_provisioned_concurrency_is_fatal": _NO_PROVISIONED,
        "test_snap_start_is_fatal": "moto keeps no SnapStart",
    }

    @pytest.fixture
    def bench(self) -> Iterator[LambdaBench]:
        with benches.moto_lambda() as bench:
            yield bench


@pytest.mark.parametrize("place", [TestOnMinistack, TestOnMoto])
def test_what_a_place_cannot_show_is_in_the_contract(place: type[TargetContract]) -> None:
    """A renamed promise would leave an entry in CANNOT that excuses nothing."""
    assert [name for name in place.CANNOT if not hasattr(TargetContract, name)] == []


def test_what_only_the_simulation_shows_is_listed() -> None:
    """Every other promise is also shown on moto or ministack, which others wrote."""
    assert not TestOnTheSimulation.CANNOT
    assert TestOnMinistack.CANNOT.keys() & TestOnMoto.CANNOT.keys() == {
        "test_a_raise_during_an_update_writes_nothing",
        "test_the_end_of_an_update_makes_its_token_old",
        "test_provisioned_concurrency_is_fatal",
    }
