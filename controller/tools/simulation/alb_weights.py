"""The simulated target of the kind `alb-weights`: a rule of a load balancer and its target groups.

As at AWS, a write replaces all actions, has no condition, and is applied at once. The rule has an
action beside the weights, whose secret AWS keeps and does not show.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from controller.core.policy.targets.alb_weights import AlbWeights
from controller.errors import PolicyError
from controller.tools.simulation.fakes.errors import AwsResponse, client_error, validation_error
from controller.tools.simulation.scenario.fault_events import ManualChange, StackUpdate
from controller.tools.simulation.target import (
    Operation,
    SimulatedTarget,
    TargetChange,
    refuse_variables,
)

if TYPE_CHECKING:
    from controller.tools.simulation.world import World

_LOGIN: Final = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://login.example.com",
        "AuthorizationEndpoint": "https://login.example.com/authorize",
        "TokenEndpoint": "https://login.example.com/token",
        "UserInfoEndpoint": "https://login.example.com/user",
        "ClientId": "shop",
        "SessionTimeout": 3_600,
        "OnUnauthenticatedRequest": "authenticate",
    },
}
_CONDITIONS: Final = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/shop/*"]}}]


class SimulatedAlbWeights(SimulatedTarget):
    """`SimulatedTarget` on one rule, or the default action of one listener.

    actions: of the rule. writes: how often they were replaced. health: the states of the targets of
    each group, by its ARN. default: it is the default rule of its listener.
    """

    def __init__(self, target: AlbWeights, world: "World") -> None:
        refuse_variables(target, world)
        self._target, self._world = target, world
        self.health = {target.stable: ["healthy"], target.canary: ["healthy"]}
        self.actions: list[dict[str, Any]] = []
        self.writes = 0
        self.default = False
        self._original: Sequence[Mapping[str, Any]] = ()

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        calls: Mapping[str, Callable[[Mapping[str, Any]], AwsResponse]] = {
            "DescribeRules": self._describe_rules,
            "DescribeListeners": self._describe_listeners,
            "DescribeTargetHealth": self._describe_target_health,
            "ModifyRule": self._modify_rule,
            "ModifyListener": self._modify_listener,
        }
        return {("elbv2", operation): call for operation, call in calls.items()}

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Take the first weight."""
        self.set_weights(100 if adopted else weight)
        self._original = deepcopy(self.actions)

    def perform(self, change: TargetChange) -> None:
        """Let a person set the weight, or a stack restore the actions of the start."""
        match change:
            case ManualChange(weight=int(weight)):
                self.set_weights(weight)
            case StackUpdate():
                self.replace(self._original)
            case _:
                raise PolicyError(f"the event {change.kind} does not fit an alb-weights target")

    def set_weights(self, weight: int) -> None:
        """Send `weight` percent of the requests to the canary, from now on."""
        shares = {self._target.stable: 100 - weight, self._target.canary: weight}
        groups = [{"TargetGroupArn": arn, "Weight": share} for arn, share in shares.items()]
        stickiness = {"Enabled": False}
        forward = {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}
        self.replace([_LOGIN, {"Type": "forward", "Order": 2, "ForwardConfig": forward}])

    def replace(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Replace all actions of the rule, from now on."""
        self.actions = [dict(deepcopy(action)) for action in actions]
        self.writes += 1
        self._world.note_weight(share_of(self._target.canary, self.actions))

    # --- calls ----------------------------------------------------------------------------------

    def _describe_rules(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check("DescribeRules", "RuleNotFound", request["RuleArns"][0])
        return {"Rules": [self._rule()]}

    def _describe_listeners(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check("DescribeListeners", "ListenerNotFound", request["ListenerArns"][0])
        return {"Listeners": [self._listener()]}

    def _describe_target_health(self, request: Mapping[str, Any]) -> AwsResponse:
        states = self.health.get(request["TargetGroupArn"])
        if states is None:
            raise client_error("DescribeTargetHealth", "TargetGroupNotFound", "Not found")
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": f"10.0.0.{index}"}, "TargetHealth": {"State": state}}
                for index, state in enumerate(states)
            ]
        }

    def _modify_rule(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check("ModifyRule", "RuleNotFound", request["RuleArn"])
        if self.default:
            message = f"Default rule '{request['RuleArn']}' cannot be modified"
            raise client_error("ModifyRule", "OperationNotPermitted", message)
        self._write("ModifyRule", request["Actions"])
        return {"Rules": [self._rule()]}

    def _modify_listener(self, request: Mapping[str, Any]) -> AwsResponse:
        self._check("ModifyListener", "ListenerNotFound", request["ListenerArn"])
        self._write("ModifyListener", request["DefaultActions"])
        return {"Listeners": [self._listener()]}

    def _rule(self) -> dict[str, Any]:
        return {
            "RuleArn": self._target.rule,
            "Priority": "default" if self.default else "10",
            "Conditions": [] if self.default else deepcopy(_CONDITIONS),
            "Actions": deepcopy(self.actions),
            "IsDefault": self.default,
        }

    def _listener(self) -> dict[str, Any]:
        actions = deepcopy(self.actions)
        return {"ListenerArn": self._target.rule, "Port": 443, "DefaultActions": actions}

    def _check(self, operation: str, code: str, arn: str) -> None:
        if arn != self._target.rule:
            raise client_error(operation, code, "One or more rules not found")

    def _write(self, operation: str, actions: Sequence[Mapping[str, Any]]) -> None:
        """Replace the actions. Raises ClientError as AWS does."""
        written = [_stored(operation, action) for action in actions]
        raised = share_of(self._target.canary, written) > share_of(
            self._target.canary, self.actions
        )
        if raised and self._world.refuses_raises():
            message = f"not authorized to perform elasticloadbalancing:{operation}"
            raise client_error(operation, "AccessDenied", message, status=403)
        self.replace(written)


def share_of(group: str, actions: Sequence[Mapping[str, Any]]) -> int:
    """Return the percent of the requests that these actions forward to `group`, rounded."""
    weights: dict[str, int] = {
        one["TargetGroupArn"]: one.get("Weight", 1)
        for action in actions
        for one in action.get("ForwardConfig", {}).get("TargetGroups", ())
    }
    return round(100 * weights.get(group, 0) / (sum(weights.values()) or 1))


def _stored(operation: str, action: Mapping[str, Any]) -> dict[str, Any]:
    """Return an action as AWS keeps and shows it. Raises ClientError and ParamValidationError."""
    kept = deepcopy(dict(action))
    login = kept.get("AuthenticateOidcConfig", {})
    secrets = [login.pop(name, None) for name in ("ClientSecret", "UseExistingClientSecret")]
    if login and not any(secrets):
        raise client_error(operation, "ValidationError", "A client secret is required")
    if kept["Type"] == "forward" and "ForwardConfig" not in kept:  # AWS shows both forms
        group = {"TargetGroupArn": kept["TargetGroupArn"], "Weight": 1}
        kept["ForwardConfig"] = {"TargetGroups": [group]}
    groups = kept.get("ForwardConfig", {}).get("TargetGroups", ())
    if any(not isinstance(one.get("Weight", 1), int) for one in groups):
        raise validation_error("Weight is a whole number")
    if any(not 0 <= one.get("Weight", 1) <= 999 for one in groups):
        raise client_error(operation, "ValidationError", "A weight is between 0 and 999")
    if "TargetGroupArn" in kept and len(groups) > 1:
        text = "You can specify only one target group beside TargetGroupArn"
        raise client_error(operation, "ValidationError", text)
    return kept
