"""The weights of two target groups in a rule of an ALB listener, or in its default action.

The API has no condition on a write. A raise reads, compares, and is sent once; the token is a
digest of the actions, and every write gives another one: the weights 90 and 10, 180 and 20, up to
810 and 90 are the same shares, and each write takes the next of these nine forms.

IAM: elasticloadbalancing:DescribeRules, elasticloadbalancing:DescribeListeners,
elasticloadbalancing:DescribeTargetHealth, and elasticloadbalancing:ModifyRule or
elasticloadbalancing:ModifyListener.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of, error_text
from controller.adapters.iam import METRIC_JOBS, TRAFFIC_JOBS, Permission
from controller.adapters.targets.resource_target import Resource, ResourceTarget, raise_unreadable
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.policy.targets.alb_weights import (
    AlbWeights,
    group_name,
    is_default_action,
    rule_name,
)
from controller.core.units import format_duration, format_percent
from controller.errors import TargetError, UsageError, WriteRefusedError
from controller.immutable import Immutable
from controller.policy_file.named_target import named_target
from controller.ports.account import Account
from controller.ports.target import Chooser, FoundTarget, NameWarning, Obstacle, one_of

_ANY_LOAD_BALANCER: Final = "{load_balancers}"  # Describe calls support no narrower resource
IAM: Final = (
    Permission("elasticloadbalancing:DescribeRules", _ANY_LOAD_BALANCER, METRIC_JOBS),
    Permission("elasticloadbalancing:DescribeListeners", _ANY_LOAD_BALANCER, METRIC_JOBS),
    Permission("elasticloadbalancing:DescribeTargetHealth", _ANY_LOAD_BALANCER, METRIC_JOBS),
    Permission("elasticloadbalancing:ModifyRule", "{listener_rule}", TRAFFIC_JOBS),
    Permission("elasticloadbalancing:ModifyListener", "{listener}", TRAFFIC_JOBS),
)

RAISE_S: Final = 10.0  # how long the one request of a raise may take
FORMS: Final = 9  # the weights of a group end at 999
_CHECKS_ARE_OFF: Final = "Target.HealthCheckDisabled"  # of a Lambda function, unless they are on

Action: TypeAlias = Mapping[str, Any]
"""An action of a rule, as DescribeRules answers it."""


class RuleActions(Immutable):
    """All actions of a rule, which a write replaces, and the reading of their weights.

    default: it is the default rule of its listener, which cannot be written as a rule.
    """

    reading: TargetReading
    actions: Sequence[Action]
    default: bool = False

    @property
    def forward(self) -> Action | None:
        """The action that forwards to target groups; AWS allows one."""
        return forward_of(self.actions)


class ListenerRule(Resource[RuleActions]):
    """The rule of `target`: how its weights are read and written. client: of `elbv2`."""

    def __init__(self, client: Any, target: AlbWeights) -> None:
        self.name = target.name
        self._client, self._target = client, target
        verb = "Listener" if target.is_default_action else "Rule"
        self._writing = f"elasticloadbalancing:Modify{verb}"

    def read(self) -> RuleActions:
        actions, default = read_rule(self._client, self._target.rule)
        weights = weights_of(forward_of(actions) or {})
        others = [arn for arn in weights if arn not in (self._target.stable, self._target.canary)]
        total = sum(weights.values())  # another one after each write: the shares are what counts
        shown = ", ".join(
            f"{group_name(arn)}={format_percent(round(weight / total, 3) if total else 0.0)}"
            for arn, weight in weights.items()
        )
        reading = TargetReading(
            identity=self._target.rule,
            weight=_percent(weights.get(self._target.canary, 0), total),
            variables=shown or "forwards to no target group",
            token=_digest(actions),
            update=UpdateStatus.SUCCESSFUL,  # the API names no state of a rule
            others=" and ".join(group_name(arn) for arn in others if weights[arn]),
        )
        return RuleActions(reading, actions, default)

    def write(self, snapshot: RuleActions, weight: int) -> None:
        self.write_by(self._client, snapshot, weight)

    def write_by(self, client: Any, snapshot: RuleActions, weight: int) -> None:
        """As `write`, by another client of `elbv2`."""
        forward = snapshot.forward
        if forward is None:
            raise WriteRefusedError(f"{self.name} forwards to no target group")
        weighted = with_weight(forward, self._target, weight)
        actions = [
            weighted if action is forward else _with_secret(action) for action in snapshot.actions
        ]
        if self._target.is_default_action:
            client.modify_listener(ListenerArn=self._target.rule, DefaultActions=actions)
        else:
            client.modify_rule(RuleArn=self._target.rule, Actions=actions)

    def write_problem(self, weight: int, error: Exception, snapshot: RuleActions) -> str:
        return error_text(f"{self.name} was not set to {weight}% ({self._writing})", error)


def read_rule(client: Any, rule: str) -> tuple[Sequence[Action], bool]:
    """Return the actions of `rule`, the ARN of a rule or a listener; is it a default rule?

    Raises NoAnswerError or TargetError when the load balancer does not answer.
    """
    is_listener = is_default_action(rule)
    try:
        if is_listener:
            answer = client.describe_listeners(ListenerArns=[rule])
            found, key = answer.get("Listeners") or [{}], "DefaultActions"
        else:
            answer = client.describe_rules(RuleArns=[rule])
            found, key = answer.get("Rules") or [{}], "Actions"
        if key not in found[0]:
            raise StrangeAnswerError
    except AWS_ERRORS as error:
        action = f"elasticloadbalancing:Describe{'Listener' if is_listener else 'Rule'}s"
        raise_unreadable(rule_name(rule), action, error)
    actions: Sequence[Action] = found[0][key]
    return actions, bool(found[0].get("IsDefault"))


def _default_rule_problem(rule: str) -> str:
    """Return why the default rule of a listener cannot be written, and what to name instead."""
    listener = rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
    return (
        f"{rule_name(rule)} is the default rule of its listener, and AWS refuses to modify it as a "
        f"rule: name the listener instead, {listener}"
    )


def forward_of(actions: Sequence[Action]) -> Action | None:
    """Return the action that forwards to target groups; AWS allows one."""
    return next((action for action in actions if action.get("Type") == "forward"), None)


def weights_of(forward: Action) -> dict[str, int]:
    """Return the weight of each target group of a forward action, by ARN."""
    groups = forward.get("ForwardConfig", {}).get("TargetGroups")
    if groups is None:  # one group, in the short form; an emulator may answer neither form
        groups = [forward] if "TargetGroupArn" in forward else []
    return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}


def with_weight(forward: Action, target: AlbWeights, weight: int) -> dict[str, Any]:
    """Return `forward` with `weight` percent on the canary, and all else in it as it was.

    Other groups keep their weights; the pair then keeps its sum, and only 0% is exact.
    """
    weights = weights_of(forward)
    pair = weights.get(target.stable, 0) + weights.get(target.canary, 0)
    if weights.keys() <= {target.stable, target.canary}:
        # Which of the forms these weights are, by their sum; 0 for none.
        form = pair // 100 if pair % 100 == 0 and pair <= FORMS * 100 else 0
        pair = (form % FORMS + 1) * 100
    weights[target.stable] = pair * (100 - weight) // 100
    weights[target.canary] = pair * weight // 100
    groups = [{"TargetGroupArn": arn, "Weight": each} for arn, each in weights.items()]
    kept = {key: value for key, value in forward.items() if key != "TargetGroupArn"}
    return {**kept, "ForwardConfig": {**forward.get("ForwardConfig", {}), "TargetGroups": groups}}


def _percent(weight: int, total: int) -> int:
    """Return the share of the canary; 0 and 100 only where one of the paths gets no request."""
    if weight in (0, total):
        return 100 if weight else 0
    return min(99, max(1, round(100 * weight / total)))


def _with_secret(action: Action) -> Action:
    """Return `action` as it may be written: AWS keeps the secret that it never shows."""
    oidc = action.get("AuthenticateOidcConfig")
    if oidc is None:
        return action
    return {**action, "AuthenticateOidcConfig": {**oidc, "UseExistingClientSecret": True}}


def _digest(actions: Sequence[Action]) -> str:
    """Return a digest of `actions`, whatever the order of their target groups."""
    text = json.dumps(
        [
            {**action, "ForwardConfig": {**action.get("ForwardConfig", {}), "TargetGroups": {}}}
            | ({"weights": weights_of(action)} if action.get("Type") == "forward" else {})
            for action in actions
        ],
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def open_target(target: AlbWeights, account: Account) -> "AlbWeightsTarget":
    """Return the adapter of `target` in `account`."""
    return AlbWeightsTarget(target, account)


def find_target(account: Account, names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
    """Find the two target groups of a rule, as a `Finder` does."""
    if "rule" not in names:
        raise UsageError("name the rule or the listener that forwards to both groups with --rule")
    client = account.lowering_client("elbv2")
    actions, default = read_rule(client, names["rule"])
    if default:
        raise UsageError(_default_rule_problem(names["rule"]))
    weights = weights_of(forward_of(actions) or {})
    groups = _pair(names, weights, chooser)
    target = named_target(AlbWeights, {**names, **groups})
    opened = open_target(target, account)
    notes = [obstacle.text for obstacle in opened.obstacles()]
    return FoundTarget(target, opened.read().weight, notes=notes)


def _pair(
    names: Mapping[str, str], weights: Mapping[str, int], chooser: Chooser
) -> Mapping[str, str]:
    """Return the groups of both paths: the named ones, and for the rest those of the rule.

    The canary is the one without requests, if there is only one of these.
    """
    pair = {name: names[name] for name in ("stable", "canary") if name in names}
    rest = [group for group in weights if group not in pair.values()]
    if len(pair) + len(rest) < 2:
        rule, option = rule_name(names["rule"]), "stable" if "canary" in pair else "canary"
        if not weights:
            raise UsageError(
                f"{rule} forwards to no target group: add both groups to it, that of the new path "
                "with weight 0, or name the rule that forwards to them with --rule"
            )
        raise UsageError(
            f"{rule} forwards to {' and '.join(map(group_name, weights))}: add the second group "
            f"with weight 0, or name it with --{option}"
        )
    if "canary" not in pair:
        idle = [group for group in rest if not weights[group]]
        candidates = idle if len(idle) == 1 else rest
        what = "target group of the new path"
        pair["canary"] = one_of(chooser, what, "--canary ARN", candidates)
        rest.remove(pair["canary"])
    if "stable" not in pair:
        pair["stable"] = one_of(chooser, "target group of the old path", "--stable ARN", rest)
    return pair


class AlbWeightsTarget(ResourceTarget[RuleActions]):
    """`InspectableTarget` on the weights of a rule."""

    def __init__(self, target: AlbWeights, account: Account) -> None:
        self._target, self._account = target, account
        self._client = account.lowering_client("elbv2")
        self._rule = ListenerRule(self._client, target)
        by_hand = target.by_hand(0, target.rule)
        super().__init__(self._rule, by_hand, account.clock, account.jitter)

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` by one request, if the actions are still those of `token`.

        Nothing keeps a change that is made between this reading and this write; it would be
        overwritten. Raises WriteRefusedError or WriteConflictError (nothing was written),
        WriteUncertainError when the write was not read back.
        """
        health_problems = [*self._health_problems()]
        # No other call between this reading and the write: what comes meanwhile is overwritten.
        snapshot = self._rule.read()
        self._check_token(snapshot, weight, token)
        if problems := [*self._problems(snapshot), *health_problems]:
            raise WriteRefusedError(f"{weight}% was not written: {'; '.join(problems)}")
        once = self._account.single_try("elbv2", RAISE_S)
        self._write_once(snapshot, weight, partial(self._rule.write_by, once))

    # --- checks before a start ------------------------------------------------------------------

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why a weight would not divide the requests as it says; all of them are fatal."""
        try:
            problems = [*self._problems(self._rule.read()), *self._health_problems()]
        except TargetError as error:
            return [Obstacle(fatal=False, text=str(error), unread=True)]
        return [Obstacle(fatal=True, text=problem) for problem in problems]

    def name_warnings(self) -> Sequence[NameWarning]:
        """Return a warning when the rule does not forward to the canary. Raises TargetError."""
        weights = weights_of(self._rule.read().forward or {})
        if self._target.canary in weights:
            return []
        groups = " and ".join(map(group_name, weights)) or "no target group"
        text = f"{group_name(self._target.canary)} is not in {self._rule.name}, which has {groups}"
        return [NameWarning(text, mistaken=True)]

    def _problems(self, snapshot: RuleActions) -> Iterator[str]:
        """Yield what makes a weight of these actions no share of the requests."""
        if snapshot.default:
            yield _default_rule_problem(self._target.rule)
            return
        forward = snapshot.forward
        if forward is None:
            yield f"{self._rule.name} forwards to no target group"
            return
        groups = weights_of(forward).keys()
        for missing in {self._target.stable, self._target.canary} - groups:
            yield (
                f"{group_name(missing)} is not in the forward action of {self._rule.name}: add it "
                "with weight 0, so that its targets are checked before they get requests"
            )
        if others := groups - {self._target.stable, self._target.canary}:
            yield (
                f"{self._rule.name} also forwards to {' and '.join(map(group_name, others))}: "
                "rolloutctl divides the requests between two groups"
            )
        stickiness = forward.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {})
        if stickiness.get("Enabled"):
            length = format_duration(timedelta(seconds=stickiness.get("DurationSeconds", 0)))
            yield (
                f"{self._rule.name} has target group stickiness: a client stays with its group for "
                f"{length} whatever the weights are, also after a rollback; switch it off"
            )

    def _health_problems(self) -> Iterator[str]:
        """Yield a problem when the canary has no target that takes requests. Raises TargetError."""
        group = group_name(self._target.canary)
        try:
            answer = self._client.describe_target_health(TargetGroupArn=self._target.canary)
        except AWS_ERRORS as error:
            action = f"{group} could not be read (elasticloadbalancing:DescribeTargetHealth)"
            raise TargetError(error_text(action, error), code=code_of(error)) from error
        states = [one.get("TargetHealth", {}) for one in answer.get("TargetHealthDescriptions", ())]
        if not any(
            state.get("State") == "healthy" or state.get("Reason") == _CHECKS_ARE_OFF
            for state in states
        ):
            found = {str(state.get("State")) for state in states}
            # With registered targets of which all are unhealthy, a load balancer fails open.
            result = (
                "go to targets that fail their health checks, because a load balancer sends to all "
                "of them then"
                if "unhealthy" in found
                else "get an error (503) of the load balancer"
            )
            yield (
                f"{group} has no healthy target ({', '.join(sorted(found)) or 'none at all'}): its "
                f"share of the requests would {result}"
            )
