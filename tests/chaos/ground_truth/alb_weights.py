"""The ground truth of an `alb-weights` target: the actions of a rule in a fake load balancer.

Its API has no condition on a write. A process is therefore judged by what it has read: see
`TargetWrite.unseen`.
"""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from controller.core.policy import TargetSpec
from controller.core.policy.targets.alb_weights import AlbWeights
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.world import World
from tests.chaos.ground_truth.truth import GroundTruth, TargetState

_ELB: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
_LISTENER: Final = "app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
RULE: Final = f"{_ELB}:listener-rule/{_LISTENER}/9683b2d02a6cabee"
LISTENER: Final = f"{_ELB}:listener/{_LISTENER}"
STABLE: Final = f"{_ELB}:targetgroup/blue/73e2d6bc24d8a067"
CANARY: Final = f"{_ELB}:targetgroup/green/943f017f100becff"
THIRD: Final = f"{_ELB}:targetgroup/red/6d0ecf831eec9f09"

_HEALTH: Final = "DescribeTargetHealth"


def _metric(name: str, group: str, statistic: str = "Sum", **more: str) -> dict[str, Any]:
    dimensions = {
        "LoadBalancer": _LISTENER.rpartition("/")[0],
        "TargetGroup": group.rpartition(":")[2],
    }
    common = {"namespace": "AWS/ApplicationELB", "dimensions": dimensions}
    return {**common, "name": name, "statistic": statistic, **more}


class AlbWeightsTruth(GroundTruth):
    """`GroundTruth` of two target groups in a rule, or in the default action of a listener."""

    service: ClassVar[str] = "elbv2"
    reads: ClassVar[frozenset[str]] = frozenset({"DescribeRules", "DescribeListeners"})
    optional: ClassVar[frozenset[str]] = frozenset({_HEALTH})
    at_once: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "requests": _metric("RequestCount", CANARY),
        "client_errors": _metric("HTTPCode_Target_4XX_Count", CANARY, missing="zero"),
        "server_errors": _metric("HTTPCode_Target_5XX_Count", CANARY, missing="zero"),
        "latency": _metric("TargetResponseTime", CANARY, "p95", unit="s"),
        "direct_requests": _metric("RequestCount", STABLE),
    }
    usual_latency: ClassVar[float] = 0.164

    def __init__(self, target: AlbWeights, world: World) -> None:
        simulated = world.simulated_target
        assert isinstance(simulated, SimulatedAlbWeights)
        self._rule = simulated
        self._template = list(simulated.actions)
        self._releases = 1

    @staticmethod
    def draw(chance: Random) -> dict[str, Any]:
        """Return the target of a policy: a rule, or the default action of a listener."""
        place = RULE if chance.random() < 0.7 else LISTENER
        return {"kind": "alb-weights", "rule": place, "stable": STABLE, "canary": CANARY}

    @staticmethod
    def calls(target: TargetSpec) -> Sequence[str]:
        """Return the operations of a rule or a listener, and that of its target groups."""
        verb = "Listener" if isinstance(target, AlbWeights) and target.is_default_action else "Rule"
        return [f"elbv2:{one}" for one in (f"Modify{verb}", f"Describe{verb}s", _HEALTH)]

    @property
    def changes(self) -> object:
        """How often the actions were replaced."""
        return self._rule.writes

    def state(self) -> TargetState:
        """Return the rule as it is now; beside the weight are other actions, groups and options."""
        weights = self._weights()
        weight = percent(weights)
        return TargetState(
            version=json.dumps([self._beside(), weights], sort_keys=True),
            weight=weight,
            served_weight=weight,
            own=weights,
            beside=self._beside(),
        )

    def share(self) -> int:
        """Return the share of the canary, in whole percent."""
        return percent(self._weights())

    def is_sound(self, answer: Mapping[str, Any]) -> bool:
        """Return true: a rule is changed at once, and its answer is complete."""
        return True

    @property
    def revision(self) -> str | None:
        """The number of the release: a target group names none."""
        return f"release {self._releases}"

    def _weights(self) -> dict[str, int]:
        """Return the weight of each target group, by ARN."""
        forward = next(action for action in self._rule.actions if action["Type"] == "forward")
        groups = forward["ForwardConfig"]["TargetGroups"]
        return {group["TargetGroupArn"]: group["Weight"] for group in groups}

    def _beside(self) -> dict[str, object]:
        """Return all of the actions but the weights of the two groups, by names for people."""
        others = {group: weight for group, weight in self._weights().items() if group == THIRD}
        beside: dict[str, object] = {f"group {group}": other for group, other in others.items()}
        for number, action in enumerate(self._rule.actions, 1):
            config = dict(action.get("ForwardConfig", {}))
            config.pop("TargetGroups", None)
            beside[f"action {number}"] = {**action, "ForwardConfig": config}
        return beside

    # --- external actors --------------------------------------------------------------------------

    def set_weight(self, weight: int) -> None:
        """Set the weights of the two groups, as a console does: they add up to 100."""
        self._rule.set_weights(weight)

    def contradict(self) -> None:
        """Forward to a third group, so that the weights of the two are no percent any more."""
        weights = {**self._weights(), THIRD: 50}
        groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights.items()]
        self._rule.replace(
            [
                {**action, "ForwardConfig": {**action["ForwardConfig"], "TargetGroups": groups}}
                if action["Type"] == "forward"
                else action
                for action in self._rule.actions
            ]
        )

    def deploy(self, code: str = "") -> None:
        """Reset the actions of the template; new code is a new release."""
        self._rule.replace(self._template)
        self._releases += bool(code)


def percent(weights: Mapping[str, int]) -> int:
    """Return the weight of the canary in whole percent; 0 and 100 only where they are exact.

    This is a second implementation, as that of `lambda_env` is.
    """
    own, others = weights.get(CANARY, 0), sum(weights.values()) - weights.get(CANARY, 0)
    if not own:
        return 0
    return min(99, max(1, round(100 * own / (own + others)))) if others else 100
