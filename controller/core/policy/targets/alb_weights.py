"""The target `alb-weights`: the weights of two target groups in a rule of an ALB listener."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from controller.core.policy.aws_location import AwsLocation
from controller.core.policy.base import Form
from controller.core.policy.metric import Counts, Metric
from controller.core.policy.targets import TargetSpec

METRICS: Final = "AWS/ApplicationELB"  # the namespace in CloudWatch

_ELB: Final = r"arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}"
_PART: Final = r"/[A-Za-z0-9-]{1,64}"
_RULE: Final = rf"^{_ELB}:(listener-rule/app({_PART}){{4}}|listener/app({_PART}){{3}})$"
_GROUP: Final = rf"^{_ELB}:targetgroup({_PART}){{2}}$"

TargetGroup: TypeAlias = Annotated[
    str,
    Field(pattern=_GROUP),
    Form("the ARN of a target group"),
]


class AlbWeights(TargetSpec):
    """The weights of two target groups behind an Application Load Balancer."""

    opened_by: ClassVar[str] = "controller.adapters.targets.alb_weights:open_target"
    simulated_by: ClassVar[str] = "controller.simulation.alb_weights:SimulatedAlbWeights"
    permanent_by: ClassVar[str] = "controller.render.permanent.alb_weights:AlbWeightsGuide"
    placeholders: ClassVar[tuple[str, ...]] = ("load_balancer", "canary", "stable")
    bare_names: ClassVar[tuple[str, ...]] = ("rule", "stable", "canary")

    kind: Literal["alb-weights"] = Field(description="What holds the weight.")
    rule: Annotated[
        str,
        Field(pattern=_RULE),
        Form("the ARN of a rule or a listener of an Application Load Balancer"),
    ] = Field(description="ARN of a listener rule; or of a listener, for its default action.")
    stable: TargetGroup = Field(description="ARN of the target group of the old path.")
    canary: TargetGroup = Field(description="ARN of the target group of the new path.")

    @field_validator("stable", "canary")
    @classmethod
    def _beside_the_rule(cls, group: str, info: ValidationInfo) -> str:
        rule = info.data.get("rule", "")
        if rule and _place(group) != _place(rule):
            raise ValueError("must be in the account and region of `rule`")
        if group == info.data.get("stable"):
            raise ValueError("must be another target group than `stable`")
        return group

    @property
    def name(self) -> str:
        """The rule or listener, without the part of its ARN that every resource has."""
        return _resource(self.rule)

    @property
    def is_default_action(self) -> bool:
        """Whether the weights are in the default action of a listener."""
        return self.name.startswith("listener/")

    def settings(self, weight: int) -> dict[str, str]:
        """Return the percent of the canary, by the name of its target group."""
        return {group_name(self.canary): str(weight)}

    def locks(self, identity: str) -> tuple[str, ...]:
        """Return one lock: a write replaces all actions of the rule."""
        return (f"{identity}#weights",)

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARN of what is written; IAM knows no narrower resource for reading it."""
        kind = "listener" if self.is_default_action else "listener_rule"
        return {"target": [self.rule], kind: [self.rule], "load_balancers": ["*"]}

    def requests_counted_by(self, metric: Metric) -> Counts | None:
        """Return whose requests a metric of the load balancer counts, by its target group."""
        group = metric.dimensions.get("TargetGroup", "")
        if group in (self.values["canary"], "${canary}"):
            return "canary"
        if group in (self.values["stable"], "${stable}"):
            return "stable"
        return "both" if "LoadBalancer" in metric.dimensions else None

    @property
    def values(self) -> Mapping[str, str]:
        """The dimensions of the load balancer's metrics: its own name, and those of the groups."""
        balancer = "/".join(self.name.split("/")[1:4])
        groups = {"canary": _resource(self.canary), "stable": _resource(self.stable)}
        return {"load_balancer": balancer, **groups}

    def by_hand(self, weight: int, identity: str) -> str:
        """Return what an operator does in AWS for `weight`, in words."""
        weights = f"{group_name(self.canary)}={weight} and {group_name(self.stable)}={100 - weight}"
        return f"set the weights {weights} in the forward action of {identity}"


def group_name(group: str) -> str:
    """Return the name in the ARN of a target group."""
    return group.split("/")[1]


def _resource(arn: str) -> str:
    return arn.rpartition(":")[2]


def _place(arn: str) -> str:
    """Return partition, account and region of an ARN."""
    return arn.rpartition(":")[0]
