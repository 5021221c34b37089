"""The default rule of a listener, and target groups without a healthy target."""

from collections.abc import Mapping
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from controller.adapters.targets import alb_weights
from controller.adapters.targets.alb_weights import AlbWeightsTarget
from controller.errors import UsageError, WriteRefusedError
from controller.testing import account_of
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.world import World
from tests.adapters.contracts.alb_benches import DEFAULT_ACTION, RULE, on_moto, simulated
from tests.adapters.targets.odd_lambda import MINUTE
from tests.aws_facts.published import facts
from tests.tools.init.accounts import NoTerminal

FACTS: Final = facts("alb")
TARGET: Final = simulated(RULE).target
RULES: Final = pytest.mark.parametrize("fact", FACTS["rules"], ids=lambda one: str(one["default"]))


def a_world() -> tuple[World, SimulatedAlbWeights]:
    """Return a world with the rule, and the rule."""
    world = World(target=TARGET)
    rule = world.simulated_target
    assert isinstance(rule, SimulatedAlbWeights)
    return world, rule


def opened(world: World) -> AlbWeightsTarget:
    """Return the rule as a target."""
    return AlbWeightsTarget(TARGET, account_of(world))


@RULES
def test_the_fake_takes_the_rules_that_modify_rule_takes(fact: Mapping[str, Any]) -> None:
    world, rule = a_world()
    rule.default = fact["default"]
    client = world.client("elbv2")
    (described,) = client.describe_rules(RuleArns=[TARGET.rule])["Rules"]
    assert described["IsDefault"] is fact["default"]
    request = {
        "RuleArn": TARGET.rule,
        "Actions": [one for one in described["Actions"] if one["Type"] == "forward"],
    }
    if "refused" not in fact:
        client.modify_rule(**request)
        return
    with pytest.raises(ClientError, match=fact["message"]) as error:
        client.modify_rule(**request)
    assert error.value.response["Error"]["Code"] == fact["refused"]
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == fact["status"]


@RULES
def test_a_rule_that_cannot_be_written_is_an_obstacle_with_the_listener_to_name(
    fact: Mapping[str, Any],
) -> None:
    world, rule = a_world()
    rule.default = fact["default"]
    target = opened(world)
    obstacles = target.obstacles()
    assert [obstacle.fatal for obstacle in obstacles] == [True] * fact["default"]
    if fact["default"]:
        listener = TARGET.rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        assert obstacles[0].text.endswith(f"name the listener instead, {listener}")
        before = rule.writes
        with pytest.raises(WriteRefusedError, match="is the default rule of its listener"):
            target.shift_to(10, target.read().token)
        assert rule.writes == before
        with pytest.raises(UsageError, match="name the listener instead"):
            alb_weights.find_target(account_of(world), {"rule": TARGET.rule}, NoTerminal())


@pytest.mark.xfail(strict=True, reason="moto modifies a default rule")
def test_moto_refuses_the_default_rule_of_a_listener() -> None:
    (fact,) = [one for one in FACTS["rules"] if one["default"]]
    with mock_aws():
        ec2, elb = (boto3.client(one, region_name="us-east-1") for one in ("ec2", "elbv2"))
        listener = on_moto(ec2, elb, DEFAULT_ACTION).target.rule
        (rule,) = elb.describe_rules(ListenerArn=listener)["Rules"]
        assert rule["IsDefault"]
        with pytest.raises(ClientError, match=fact["message"]):
            elb.modify_rule(RuleArn=rule["RuleArn"], Actions=rule["Actions"])


def test_a_rollback_of_a_default_rule_says_at_once_that_it_is_refused() -> None:
    world, rule = a_world()
    target = opened(world)
    target.shift_to(10, target.read().token)
    rule.default = True
    (refused,) = [one["refused"] for one in FACTS["rules"] if one["default"]]
    began = world.clock.now()
    with pytest.raises(WriteRefusedError, match=refused):
        target.lower_to_zero(MINUTE)
    assert world.clock.now() == began


@pytest.mark.parametrize("fact", FACTS["health"], ids=lambda one: " and ".join(one["states"]))
def test_a_group_without_a_healthy_target_is_refused_with_where_its_requests_go(
    fact: Mapping[str, Any],
) -> None:
    world, rule = a_world()
    rule.health[TARGET.canary] = list(fact["states"])
    obstacles = opened(world).obstacles()
    assert [obstacle.fatal for obstacle in obstacles] == [True] * fact["refused"]
    for obstacle in obstacles:
        assert ("(503)" in obstacle.text) is (fact["to"] == "503")
        assert ("go to targets that fail" in obstacle.text) is (fact["to"] == "targets")
