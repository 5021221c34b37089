"""What the target `alb-weights` promises beyond the contract of all routed targets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from controller.adapters.clock import SystemClock
from controller.adapters.targets.alb_weights import AlbWeightsTarget
from controller.core.policy import TargetSpec
from controller.core.policy.targets.alb_weights import AlbWeights, group_name
from controller.errors import WriteConflictError, WriteRefusedError
from controller.immutable import Immutable, field
from controller.ports.clock import Clock
from tests.adapters.contracts.routing import LIMIT, RoutingContract
from tests.support.accounts import OneClientAccount

Action = dict[str, Any]
LOGIN = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://login.example.com",
        "AuthorizationEndpoint": "https://login.example.com/authorize",
        "TokenEndpoint": "https://login.example.com/token",
        "UserInfoEndpoint": "https://login.example.com/user",
        "ClientId": "shop",
        "ClientSecret": "hunter2",
    },
}


class AlbBench(Immutable):
    """A load balancer with one rule. other: a third target group.

    set_targets: gives a target group targets in these states. login: an action that logs users in.
    """

    client: Any
    target: AlbWeights
    other: str
    set_targets: Callable[[str, Sequence[str]], None]
    clock: Clock = field(default_factory=SystemClock)

    @property
    def missing(self) -> AlbWeights:
        """A rule that is not there."""
        return self.target.model_copy(update={"rule": f"{self.target.rule[:-4]}0000"})

    def open(self, target: TargetSpec) -> AlbWeightsTarget:
        """Return the adapter of `target`."""
        assert isinstance(target, AlbWeights)
        return AlbWeightsTarget(target, OneClientAccount(lambda: self.client, clock=self.clock))

    def set(self, weight: int) -> None:
        """Set the weight as an operator does."""
        weights = {self.target.stable: 100 - weight, self.target.canary: weight}
        for action in (actions := self.actions()):
            if action["Type"] == "forward":
                action.update(forward(weights))
            else:
                action["AuthenticateOidcConfig"]["UseExistingClientSecret"] = True
        self.write(actions)

    def weight(self) -> float:
        """Return the percent of requests on the canary."""
        return self.shares()["canary"]

    def beside(self) -> dict[str, Any]:
        """Return the rule, or the listener, with its target groups and without their weights."""
        holder = self.holder()
        for action in self._actions_of(holder):
            for group in action.get("ForwardConfig", {}).get("TargetGroups", ()):
                del group["Weight"]
        return holder

    def as_new(self) -> "AlbBench":
        """Return the rule with all requests on the stable group, and a target in each group."""
        self.weigh(100, 0)
        self.set_targets(self.target.canary, ["healthy"])
        return self

    def holder(self) -> dict[str, Any]:
        """Return the rule, or the listener, as the service describes it."""
        if self.target.is_default_action:
            answer = self.client.describe_listeners(ListenerArns=[self.target.rule])["Listeners"]
        else:
            answer = self.client.describe_rules(RuleArns=[self.target.rule])["Rules"]
        (holder,) = answer
        return dict(holder)

    def actions(self) -> list[Action]:
        """Return the actions as the service describes them."""
        return self._actions_of(self.holder())

    def _actions_of(self, holder: Mapping[str, Any]) -> list[Action]:
        return list(holder["DefaultActions" if self.target.is_default_action else "Actions"])

    def write(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Replace the actions, outside rolloutctl."""
        if self.target.is_default_action:
            self.client.modify_listener(ListenerArn=self.target.rule, DefaultActions=actions)
        else:
            self.client.modify_rule(RuleArn=self.target.rule, Actions=actions)

    def weigh(self, stable: int | None, canary: int | None, other: int | None = None) -> None:
        """Let the rule forward to the groups that have a weight, outside rolloutctl."""
        weights = {self.target.stable: stable, self.target.canary: canary, self.other: other}
        self.write(
            [forward({arn: weight for arn, weight in weights.items() if weight is not None})]
        )

    def weights(self) -> dict[str, int]:
        """Return the weights of the rule by `stable`, `canary` and `other`."""
        names = {self.target.stable: "stable", self.target.canary: "canary", self.other: "other"}
        (action,) = [one for one in self.actions() if one["Type"] == "forward"]
        return {
            names[one["TargetGroupArn"]]: one["Weight"]
            for one in action["ForwardConfig"]["TargetGroups"]
        }

    def shares(self) -> dict[str, float]:
        """Return the percent of the requests that each group gets."""
        weights = self.weights()
        return {name: 100 * weight / sum(weights.values()) for name, weight in weights.items()}


def forward(weights: Mapping[str, int], **stickiness: Any) -> Action:
    """Return an action that forwards with these weights."""
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    config = {
        "TargetGroups": groups,
        "TargetGroupStickinessConfig": stickiness or {"Enabled": False},
    }
    return {"Type": "forward", "Order": 2, "ForwardConfig": config}


class AlbWeightsContract(RoutingContract):
    """Promises of a `Target` on a rule of a load balancer, with a healthy target in each group."""

    # --- reading --------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("stable", "canary", "weight", "shares"),
        [
            (100, 0, 0, ("100%", "0%")),
            (9, 1, 10, ("90%", "10%")),
            (1, 1, 50, ("50%", "50%")),
            (0, 1, 100, ("0%", "100%")),
            (0, 0, 0, ("0%", "0%")),
            (998, 1, 1, ("99.9%", "0.1%")),
            (1, 998, 99, ("0.1%", "99.9%")),
        ],
    )
    def test_the_weight_is_the_share_of_the_canary(
        self, bench: AlbBench, stable: int, canary: int, weight: int, shares: tuple[str, str]
    ) -> None:
        bench.weigh(stable, canary)
        reading = bench.open(bench.target).read()
        assert reading.identity == bench.target.rule
        assert reading.has_applied(weight)
        blue, green = group_name(bench.target.stable), group_name(bench.target.canary)
        assert reading.variables == f"{blue}={shares[0]}, {green}={shares[1]}"

    def test_a_rule_with_one_group_in_the_short_form_is_at_0_or_100(self, bench: AlbBench) -> None:
        for group, weight in ((bench.target.stable, 0), (bench.target.canary, 100)):
            bench.write([{"Type": "forward", "Order": 1, "TargetGroupArn": group}])
            assert bench.open(bench.target).read().has_applied(weight)

    # --- raising --------------------------------------------------------------------------------

    def test_a_login_before_the_forwarding_stays_with_its_secret(self, bench: AlbBench) -> None:
        bench.write([LOGIN, forward({bench.target.stable: 100, bench.target.canary: 0})])
        before = bench.actions()
        target = bench.open(bench.target)
        target.shift_to(10, target.read().token)
        assert bench.actions()[0] == before[0]

    def test_a_raise_that_was_rolled_back_cannot_be_written_any_more(self, bench: AlbBench) -> None:
        bench.weigh(100, 0)
        target = bench.open(bench.target)
        tokens = [target.read().token]
        for weight in (10, 50):
            target.shift_to(weight, tokens[-1])
            tokens.append(target.read().token)
            target.lower_to_zero(LIMIT)
            for token in tokens:
                with pytest.raises(WriteConflictError):
                    target.shift_to(weight, token)
            tokens.append(target.read().token)
        assert bench.shares()["canary"] == 0

    # --- lowering -------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("stable", "canary"), [(90, 10), (0, 100), (3, 7), (0, 0), (None, 1), (500, 499)]
    )
    def test_lowering_sends_everything_to_stable_whatever_the_weights(
        self, bench: AlbBench, stable: int | None, canary: int
    ) -> None:
        bench.weigh(stable, canary)
        bench.open(bench.target).lower_to_zero(LIMIT)
        at_zero = (stable, canary) == (0, 0)  # no request at all reaches the canary
        assert bench.shares() == {"stable": 100, "canary": 0} if not at_zero else True
        assert bench.open(bench.target).read().has_applied(0)

    def test_lowering_takes_the_canary_out_of_the_short_form(self, bench: AlbBench) -> None:
        bench.write([{"Type": "forward", "Order": 1, "TargetGroupArn": bench.target.canary}])
        bench.open(bench.target).lower_to_zero(LIMIT)
        assert bench.shares() == {"stable": 100, "canary": 0}

    def test_lowering_leaves_a_third_group_its_share(self, bench: AlbBench) -> None:
        bench.weigh(60, 20, 20)
        bench.open(bench.target).lower_to_zero(LIMIT)
        assert bench.shares() == {"stable": 80, "canary": 0, "other": 20}

    def test_a_rule_that_answers_by_itself_is_at_0_and_takes_no_raise(
        self, bench: AlbBench
    ) -> None:
        answer = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "later"}
        bench.write([{"Type": "fixed-response", "Order": 1, "FixedResponseConfig": answer}])
        before, target = bench.actions(), bench.open(bench.target)
        assert target.read().has_applied(0)
        assert any(obstacle.fatal for obstacle in target.obstacles())
        with pytest.raises(WriteRefusedError, match="forwards to no target group"):
            target.shift_to(10, target.read().token)
        target.lower_to_zero(LIMIT)
        assert bench.actions() == before

    # --- what keeps a raise from being written ----------------------------------------------------

    @pytest.mark.parametrize(
        ("case", "words"),
        [
            ("stickiness", "stays with its group for 1h"),
            ("third group", "also forwards to"),
            ("no canary", "with weight 0, so that its targets are checked"),
            ("no target", r"no healthy target \(none at all\)"),
        ],
    )
    def test_a_weight_that_would_be_no_share_is_refused_and_lowering_is_not(
        self, bench: AlbBench, case: str, words: str
    ) -> None:
        bench.weigh(100, 0)
        target = bench.open(bench.target)
        self._let(bench, case)
        (obstacle,) = target.obstacles()
        assert obstacle.fatal
        with pytest.raises(WriteRefusedError, match=words):
            target.shift_to(10, target.read().token)
        target.lower_to_zero(LIMIT)
        assert target.read().has_applied(0)

    def _let(self, bench: AlbBench, case: str) -> None:
        weights = {bench.target.stable: 100, bench.target.canary: 0}
        match case:
            case "stickiness":
                bench.write([forward(weights, Enabled=True, DurationSeconds=3_600)])
            case "third group":
                bench.weigh(50, 0, 50)
            case "no canary":
                bench.weigh(100, None)
            case _:
                bench.set_targets(bench.target.canary, [])
