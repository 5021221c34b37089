"""Deployments of AWS AppConfig: the fake, ministack, the model of a policy and flag.py."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from controller import flag
from controller.core.policy.targets.appconfig import LONGEST_CACHE, READ_USD, RECEIVED_USD
from controller.errors import PolicyError
from controller.policy_file.loader import load, loads
from tests.adapters.contracts.appconfig_benches import AppConfigBench, in_ministack, simulated
from tests.aws_facts.published import facts
from tests.support.emulator import Emulator
from tests.support.shipped import POLICIES

FACTS: Final = facts("appconfig")
# Minutes of growth and of bake in which a deployment has a state.
_TIMES: Final = {"DEPLOYING": (30, 30), "BAKING": (0, 30), "COMPLETE": (0, 0)}


def _strategy(bench: AppConfigBench, state: str, emulated: bool) -> str:
    """Return a strategy whose deployment is in `state` at first."""
    grows, bakes = _TIMES[state]
    if not emulated:
        return f"x{grows}y{bakes}"
    return str(
        bench.client.create_deployment_strategy(
            Name=state,
            DeploymentDurationInMinutes=grows,
            FinalBakeTimeInMinutes=bakes,
            GrowthFactor=50.0,
        )["Id"]
    )


@pytest.mark.parametrize("emulated", [False, True], ids=["the fake", "ministack"])
@pytest.mark.parametrize(
    "fact", FACTS["stops"], ids=lambda one: f"{one['state']}, revert: {one['revert']}"
)
def test_a_deployment_is_stopped_as_aws_says(
    request: pytest.FixtureRequest, fact: Mapping[str, Any], emulated: bool
) -> None:
    if emulated:
        emulator: Emulator = request.getfixturevalue("ministack")
        number = 610_000_000_000 + FACTS["stops"].index(fact)
        bench = in_ministack(emulator, str(number))
    else:
        bench = simulated()
        grows, bakes = _TIMES[fact["state"]]
        twin = bench.client._world.simulated_target
        twin.strategies[f"x{grows}y{bakes}"] = (grows, bakes)
    number = bench.change(percentage=10, strategy=_strategy(bench, fact["state"], emulated))
    assert bench.deployments()[0]["State"] == fact["state"]
    if "refused" in fact:
        with pytest.raises(ClientError) as refused:
            bench.stop(number, revert=fact["revert"])
        assert refused.value.response["Error"]["Code"] == fact["refused"]
    else:
        bench.stop(number, revert=fact["revert"])
        assert bench.deployments()[0]["State"] == fact["becomes"]


@pytest.mark.parametrize("fact", FACTS["strategies"], ids=lambda one: one["name"])
def test_no_strategy_of_aws_may_be_named(fact: Mapping[str, Any]) -> None:
    """Each of them bakes: no other weight could be deployed meanwhile, not even 0."""
    assert fact["bakes"] > 0
    text = POLICIES["appconfig"].read_text(encoding="utf-8")
    with pytest.raises(PolicyError, match=r"target\.strategy: .*those of AWS bake for minutes"):
        loads(text.replace("strategy: jkl3456", f"strategy: {fact['name']}"), "policy.yaml")


def test_prices_and_intervals_are_those_of_the_sources() -> None:
    assert [one["usd"] for one in FACTS["prices"]] == [READ_USD, RECEIVED_USD]
    assert FACTS["poll"]["least_s"] == flag._SHORTEST_CACHE_S
    assert timedelta(seconds=flag._LONGEST_CACHE_S) == LONGEST_CACHE
    assert load(POLICIES["appconfig"]).target.kept_for == LONGEST_CACHE
