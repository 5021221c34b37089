"""The contract of the target `alb-weights`, on the simulation and on moto.

ministack keeps no ForwardConfig: neither weights nor a second group.
"""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from boto3.session import Session
from moto import mock_aws

from tests.adapters.contracts import alb_benches
from tests.adapters.contracts.alb_benches import DEFAULT_ACTION, RULE
from tests.adapters.contracts.alb_weights import AlbBench, AlbWeightsContract
from tests.support.emulator import REGION


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
