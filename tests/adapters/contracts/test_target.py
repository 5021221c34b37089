"""The contract of a target, on the simulation and on ministack."""

from typing import ClassVar

import pytest

from tests.adapters.contracts import benches
from tests.adapters.contracts.benches import LambdaBench
from tests.adapters.contracts.target import TargetContract
from tests.support.emulator import Emulator


class TestOnTheSimulation(TargetContract):
    @pytest.fixture
    def bench(self) -> LambdaBench:
        return benches.simulated_lambda()


class TestOnMinistack(TargetContract):
    CANNOT: ClassVar = {
        "test_a_raise_during_an_update_writes_nothing": "ministack takes a second update meanwhile",
        "test_the_end_of_an_update_makes_its_token_old": "ministack keeps the RevisionId then",
        "test_provisioned_concurrency_is_fatal": "it lists no provisioned concurrency",
    }

    @pytest.fixture
    def bench(self, ministack: Emulator, account: str) -> LambdaBench:
        return benches.ministack_lambda(ministack, account)
