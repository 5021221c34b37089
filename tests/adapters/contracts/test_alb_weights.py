"""The contract of the target `alb-weights`, on the simulation, moto and ministack."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from boto3.session import Session
from moto import mock_aws

from tests.adapters.contracts import alb_benches
from tests.adapters.contracts.alb_benches import DEFAULT_ACTION, RULE
from tests.adapters.contracts.alb_weights import AlbBench, AlbWeightsContract
from tests.support.emulator import REGION, Emulator

_FORGETS_WEIGHTS = "ministack keeps no ForwardConfig: neither weights nor a second group"
# What needs no weights.
_WITHOUT_WEIGHTS = (
    "test_a_rule_with_one_group_in_the_short_form_is_at_0_or_100",
    "test_a_rule_that_answers_by_itself_is_at_0_and_takes_no_raise",
)


@pytest.fixture(scope="module", params=[RULE, DEFAULT_ACTION])
def place(request: pytest.FixtureRequest) -> str:
    """Where the weights are."""
    return str(request.param)


@pytest.fixture(scope="module")
def on_moto(place: str) -> Iterator[AlbBench]:
    """One load balancer for all tests of a place."""
    with mock_aws():
        session = Session(region_name=REGION)
        yield alb_benches.on_moto(session.client("ec2"), session.client("elbv2"), place)


@pytest.fixture(scope="module")
def on_ministack(ministack: Emulator) -> AlbBench:
    client = ministack.client("elbv2", "400000000002")
    return alb_benches.emulated(client, RULE, "vpc-1", ["subnet-1"])


class TestOnTheSimulation(AlbWeightsContract):
    @pytest.fixture
    def bench(self, place: str) -> AlbBench:
        return alb_benches.simulated(place)


class TestOnMoto(AlbWeightsContract):
    CANNOT: ClassVar = {
        "test_a_login_before_the_forwarding_stays_with_its_secret": "moto shows the secret, and "
        "keeps whatever is written instead of it",
    }

    @pytest.fixture
    def bench(self, on_moto: AlbBench) -> AlbBench:
        return on_moto.as_new()


class TestOnMinistack(AlbWeightsContract):
    CANNOT: ClassVar = {
        **{
            name: _FORGETS_WEIGHTS
            for name in dir(AlbWeightsContract)
            if name.startswith("test_") and name not in _WITHOUT_WEIGHTS
        },
        "test_a_target_that_does_not_exist_is_an_error_with_its_name": "ministack answers with no "
        "rule, and no error",
    }

    @pytest.fixture
    def bench(self, on_ministack: AlbBench) -> AlbBench:
        return on_ministack.as_new()


def test_every_promise_is_also_shown_by_software_of_others() -> None:
    """ministack keeps no weights, so moto has to show everything that needs them."""
    assert not TestOnTheSimulation.CANNOT
    assert TestOnMinistack.CANNOT.keys() & TestOnMoto.CANNOT.keys() == {
        "test_a_login_before_the_forwarding_stays_with_its_secret"
    }
