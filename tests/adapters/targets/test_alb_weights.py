"""The target `alb-weights` when calls fail, and by which client each request is sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from controller.adapters.targets.alb_weights import AlbWeightsTarget
from controller.core.policy.targets.alb_weights import AlbWeights
from controller.errors import (
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.world import World
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.adapters.targets.odd_lambda import Odd, answered, fails, happens_but, meets
from tests.support.accounts import OneClientAccount

TIMEOUT = ReadTimeoutError(endpoint_url="https://elasticloadbalancing.invalid")
DENIED = answered("AccessDeniedException", "ModifyRule")
THROTTLED = answered("Throttling", "ModifyRule")
HEALTH = "DescribeTargetHealth"
TEN = timedelta(seconds=10)


@dataclass
class Opened:
    """A rule in a simulated account, and its adapter. once: the clients that try once."""

    world: World
    target: AlbWeights
    account: "CountingAccount"
    adapter: AlbWeightsTarget

    @property
    def twin(self) -> SimulatedAlbWeights:
        twin = self.world.simulated_target
        assert isinstance(twin, SimulatedAlbWeights)
        return twin

    def raise_to(self, weight: int) -> None:
        self.adapter.shift_to(weight, self.adapter.read().token)


@dataclass(frozen=True)
class CountingAccount(OneClientAccount):
    """An account that counts the clients that try once."""

    made: list[str] = field(default_factory=list)

    def single_try(self, service: str, read_s: float) -> Any:
        self.made.append(service)
        return self.open_client()


@pytest.fixture
def opened() -> Opened:
    target = simulated(RULE).target
    world = World(target=target)
    account = CountingAccount(lambda: world.client("elbv2"), clock=world.clock)
    return Opened(world, target, account, AlbWeightsTarget(target, account))


@pytest.mark.parametrize(
    ("odd", "error", "weight"),
    [
        pytest.param(happens_but(TIMEOUT), None, 10, id="written, and the answer lost"),
        pytest.param(fails(TIMEOUT), WriteUncertainError, 0, id="no answer, and not written"),
        pytest.param(fails(THROTTLED), WriteUncertainError, 0, id="throttled"),
        pytest.param(fails(DENIED), WriteRefusedError, 0, id="denied"),
    ],
)
def test_a_raise_that_fails_is_read_back_and_never_sent_again(
    opened: Opened, odd: Odd, error: type[Exception] | None, weight: int
) -> None:
    meets(opened.world, "ModifyRule", odd)
    if error is None:
        opened.raise_to(10)
    else:
        with pytest.raises(error, match=r"was not set to 10% \(elasticloadbalancing:ModifyRule\)"):
            opened.raise_to(10)
    assert opened.adapter.read().weight == weight
    assert opened.world.calls["elbv2", "ModifyRule"] == 1
    assert opened.account.made == ["elbv2"]  # a client that repeats nothing


def test_lowering_is_sent_again_until_it_is_accepted(opened: Opened) -> None:
    opened.raise_to(50)
    meets(opened.world, "ModifyRule", fails(TIMEOUT), times=3)
    opened.adapter.lower_to_zero(timedelta(minutes=1))
    assert opened.adapter.read().weight == 0
    assert opened.world.calls["elbv2", "ModifyRule"] == 1 + 4
    assert opened.account.made == ["elbv2"]  # that of the raise


def test_lowering_that_is_never_accepted_says_what_to_set_by_hand(opened: Opened) -> None:
    opened.raise_to(50)
    meets(opened.world, "ModifyRule", fails(TIMEOUT))
    with pytest.raises(TargetError, match=r"set the weights green=0 and blue=100 in the forward"):
        opened.adapter.lower_to_zero(TEN)


@pytest.mark.parametrize(
    ("states", "raised"),
    [
        (["healthy"], True),
        (["unhealthy", "healthy"], True),
        (["unhealthy", "draining"], False),
        (["initial"], False),
        (["unused"], False),  # no rule has the group
        ([], False),
    ],
)
def test_a_raise_needs_one_target_that_takes_requests(
    opened: Opened, states: list[str], raised: bool
) -> None:
    opened.twin.health[opened.target.canary] = states
    if raised:
        opened.raise_to(10)
    else:
        with pytest.raises(WriteRefusedError, match=", ".join(sorted(states)) or "none at all"):
            opened.raise_to(10)
    assert opened.adapter.read().weight == (10 if raised else 0)


def test_a_function_behind_the_load_balancer_needs_no_health_check(opened: Opened) -> None:
    def unchecked(_proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        health = {"State": "unavailable", "Reason": "Target.HealthCheckDisabled"}
        return {"TargetHealthDescriptions": [{"Target": {"Id": "f"}, "TargetHealth": health}]}

    meets(opened.world, HEALTH, unchecked)
    opened.raise_to(10)
    assert opened.adapter.read().weight == 10


def test_what_changes_the_rule_while_its_targets_are_checked_is_not_overwritten(
    opened: Opened,
) -> None:
    def meanwhile(proceed: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        opened.twin.set_weights(30)
        return proceed()

    meets(opened.world, HEALTH, meanwhile)
    with pytest.raises(WriteConflictError, match="was changed since 10% was decided"):
        opened.raise_to(10)
    assert opened.adapter.read().weight == 30


def test_a_health_that_cannot_be_read_raises_nothing_and_is_a_check_that_was_not_made(
    opened: Opened,
) -> None:
    meets(opened.world, HEALTH, fails(answered("AccessDeniedException", HEALTH)))
    with pytest.raises(TargetError, match="green could not be read"):
        opened.raise_to(10)
    (obstacle,) = opened.adapter.obstacles()
    assert (obstacle.fatal, obstacle.unread) == (False, True)
    assert opened.adapter.read().weight == 0
