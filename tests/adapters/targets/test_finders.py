"""What an alias and a rule show before there is a policy: the target that `init` drafts one for."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.adapters.targets import alb_weights, lambda_alias
from controller.core.policy.targets.alb_weights import rule_name
from controller.errors import TargetError, UsageError
from controller.ports.target import FoundTarget
from controller.testing import account_of
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.world import World
from tests.adapters.contracts.alb_benches import DEFAULT_ACTION, RULE, simulated
from tests.adapters.contracts.alb_weights import forward
from tests.adapters.targets.test_lambda_alias import Account
from tests.support.cases import cases
from tests.tools.init.accounts import NoTerminal, Picks

# --- an alias -------------------------------------------------------------------------------------

NAMES = {"function": "handler", "alias": "live"}


def find_alias(account: Account, **names: str) -> FoundTarget:
    return lambda_alias.find_target(account_of(account.world), NAMES | names, NoTerminal())


def versions(found: FoundTarget) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the versions that the policy names, and those that a start would find."""
    return found.target.values, (found.live or found.target).values


def test_the_versions_of_an_alias_are_left_to_the_start() -> None:
    found = find_alias(Account())
    assert versions(found) == ({}, {"stable": "1", "canary": "3"})
    assert (found.weight, found.notes) == (0, [])


def test_without_a_newer_version_the_command_that_publishes_one_is_told() -> None:
    found = find_alias(Account().routed("3"))
    assert versions(found) == ({}, {})
    (note,) = found.notes
    assert "handler:live has version 3, and no newer one is published" in note
    assert "aws lambda publish-version --function-name handler" in note


def test_an_alias_of_the_unpublished_code_is_explained() -> None:
    (note,) = find_alias(Account().routed("$LATEST")).notes
    assert "handler:live has $LATEST" in note


def test_what_keeps_the_versions_apart_is_told() -> None:
    account = Account()
    account.alias.publish("3", Role="arn:aws:iam::123456789012:role/other")
    account.alias.provisioned = "READY"
    roles, provisioned = find_alias(account).notes
    assert "have another role" in roles
    assert "provisioned concurrency" in provisioned


def test_an_alias_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TargetError, match="handler:gone could not be read"):
        find_alias(Account(), alias="gone")


def test_an_alias_needs_its_function() -> None:
    world = account_of(Account().world)
    with pytest.raises(UsageError, match="--function: is required"):
        lambda_alias.find_target(world, {"alias": "live"}, NoTerminal())


# --- a rule ---------------------------------------------------------------------------------------


class Rule:
    """A rule of a simulated account, with the groups blue and green; red is one more."""

    def __init__(self, place: str = RULE) -> None:
        bench = simulated(place)
        self.target, self.red = bench.target, bench.other
        self.world = World(target=self.target)
        self.blue, self.green = self.target.stable, self.target.canary

    @property
    def twin(self) -> SimulatedAlbWeights:
        twin = self.world.simulated_target
        assert isinstance(twin, SimulatedAlbWeights)
        return twin

    def forwards(self, weights: Mapping[str, int], **more: Any) -> "Rule":
        """Let the rule forward to these groups."""
        action = forward(weights)
        action["ForwardConfig"].update(more)
        self.twin.replace([{"Order": 1, **action}])
        return self

    def find(self, *picks: int, **names: str) -> FoundTarget:
        account = account_of(self.world)
        chooser = Picks(*picks) if picks else NoTerminal()
        return alb_weights.find_target(account, {"rule": self.target.rule, **names}, chooser)


@pytest.mark.parametrize("place", [RULE, DEFAULT_ACTION])
def test_the_group_without_requests_is_the_canary(place: str) -> None:
    rule = Rule(place)
    found = rule.forwards({rule.blue: 100, rule.green: 0}).find()
    assert (found.target, found.weight, found.notes) == (rule.target, 0, [])


def test_of_two_groups_with_requests_a_person_chooses_the_canary() -> None:
    rule = Rule()
    rule.forwards({rule.blue: 90, rule.green: 10})
    found = rule.find(1)
    assert (found.target, found.weight) == (rule.target, 10)
    with pytest.raises(UsageError, match="target group of the new path: --canary ARN"):
        rule.find()
    assert rule.find(canary=rule.green).target == found.target
    assert rule.find(stable=rule.blue).target == found.target


def test_a_group_that_the_rule_lacks_has_to_be_named_and_is_a_note() -> None:
    rule = Rule()
    rule.forwards({rule.blue: 1})
    with pytest.raises(UsageError, match="forwards to blue: add the second group with weight 0"):
        rule.find()
    found = rule.find(canary=rule.green)
    assert (found.target, found.weight) == (rule.target, 0)
    assert "green is not in the forward action" in found.notes[0]


def test_stickiness_and_a_canary_without_targets_are_explained() -> None:
    rule = Rule()
    sticky = {"Enabled": True, "DurationSeconds": 3_600}
    weights = {rule.blue: 100, rule.green: 0}
    rule.forwards(weights, TargetGroupStickinessConfig=sticky)
    rule.twin.health[rule.green] = ["unhealthy"]
    stickiness, health = rule.find().notes
    assert "a client stays with its group for 1h" in stickiness
    assert "green has no healthy target (unhealthy)" in health


@cases("action", {
    "another kind of action": {"Type": "fixed-response"},
    "neither form of a forward action": {"Type": "forward"},
    "no groups": {"Type": "forward", "ForwardConfig": {}},
    "an empty list of groups": {"Type": "forward", "ForwardConfig": {"TargetGroups": []}},
})  # fmt: skip
@pytest.mark.parametrize("place", [RULE, DEFAULT_ACTION])
def test_a_rule_that_forwards_nowhere_is_told_by_its_name(
    place: str, action: Mapping[str, Any]
) -> None:
    rule = Rule(place)
    rule.twin.replace([{"Order": 1, **action}])
    with pytest.raises(UsageError) as refused:
        rule.find()
    message = str(refused.value)
    assert f"{rule_name(rule.target.rule)} forwards to no target group" in message
    assert "add both groups" in message
    notes = rule.find(stable=rule.blue, canary=rule.green).notes
    assert all("forward" in note for note in notes)
    assert notes


def test_a_rule_that_is_not_there_is_an_error() -> None:
    rule = Rule()
    gone = f"{rule.target.rule[:-4]}0000"
    with pytest.raises(TargetError, match="could not be read"):
        alb_weights.find_target(account_of(rule.world), {"rule": gone}, NoTerminal())


def test_the_groups_alone_name_no_rule() -> None:
    rule = Rule()
    with pytest.raises(UsageError, match="--rule"):
        alb_weights.find_target(account_of(rule.world), {"canary": rule.green}, NoTerminal())
