"""The target `alb-weights`: the weights of two target groups in a rule of an ALB listener."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.metric import CountedPath, Metric, RequestMetrics, RequestSource
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

TARGET_GROUP: Final = RequestMetrics(
    "load-balancer", "load balancer", METRICS, "RequestCount", "HTTPCode_Target_5XX_Count",
    "HTTPCode_Target_4XX_Count", "TargetResponseTime", ("LoadBalancer", "TargetGroup"),
    named_by=("LoadBalancer", "TargetGroup"), unit="s", zero=True,
    successes=tuple((f"answers_{code}xx", f"HTTPCode_Target_{code}XX_Count") for code in "234"),
    refused="HTTPCode_ELB_5XX_Count", refused_by=("LoadBalancer",),
    refused_text="Answers of the load balancer itself, for any rule and target group: 502 and 504 "
    "for a target that dies or hangs, 503 where there is none.",
)  # fmt: skip
_GROUPS: Final = TARGET_GROUP._replace(
    kind="target-groups",
    title="the target groups",
    named_by=(),
    paths="The load balancer counts the requests of each target group by itself, and those that "
    "another rule forwards to it as well.",
)


class AlbWeights(TargetSpec):
    """The weights of two target groups behind an Application Load Balancer."""

    example: ClassVar[str] = (
        "{kind: alb-weights, rule: "
        '"arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee",'
        " stable: "
        '"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/blue/73e2d6bc24d8a067",'
        " canary: "
        '"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/green/943f017f100becff"}'
    )
    opened_by: ClassVar[str] = "controller.adapters.targets.alb_weights:open_target"
    simulated_by: ClassVar[str] = "controller.tools.simulation.alb_weights:SimulatedAlbWeights"
    permanent_by: ClassVar[str] = "controller.tools.permanent:AlbWeightsGuide"
    resource_word: ClassVar[str] = "rule"
    bypass_hint: ClassVar[str] = (
        "another rule or listener that forwards to one of the target groups, and for callers that "
        "reach its targets without the load balancer"
    )
    drafted_by: ClassVar[str] = "controller.adapters.targets.alb_weights:find_target"
    init_options: ClassVar[Mapping[str, str]] = {
        "rule": "A listener rule, or a listener, that forwards to two target groups.",
        "stable": "The target group of the old path. Default: the one that has the requests.",
        "canary": "The target group of the new path. Default: the other one.",
    }
    names_revision: ClassVar[bool] = False
    placeholders: ClassVar[tuple[str, ...]] = ("load_balancer", "canary", "stable")
    rollback_options: ClassVar[tuple[str, ...]] = ("rule", "stable", "canary")

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
        return rule_name(self.rule)

    @property
    def is_default_action(self) -> bool:
        """Whether the weights are in the default action of a listener."""
        return is_default_action(self.rule)

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

    @classmethod
    def arns_of_any(cls, _where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return what reads any rule: IAM knows no narrower resource."""
        return {"load_balancers": ["*"]}

    def requests_counted_by(self, metric: Metric) -> CountedPath | None:
        """Return whose requests a metric of the load balancer counts, by its target group."""
        group = metric.dimensions.get("TargetGroup", "")
        if group in (self.values["canary"], "${canary}"):
            return "canary"
        if group in (self.values["stable"], "${stable}"):
            return "stable"
        return "both" if "LoadBalancer" in metric.dimensions else None

    @property
    def counted_by(self) -> RequestSource:
        """The metrics of its two target groups."""
        balancer = {"LoadBalancer": "${load_balancer}"}
        canary, stable = {"TargetGroup": "${canary}"}, {"TargetGroup": "${stable}"}
        return RequestSource(_GROUPS, balancer | canary, balancer | stable)

    @property
    def values(self) -> Mapping[str, str]:
        """The dimensions of the load balancer's metrics: its own name, and those of the groups."""
        balancer = "/".join(self.name.split("/")[1:4])
        groups = {"canary": _resource(self.canary), "stable": _resource(self.stable)}
        return {"load_balancer": balancer, **groups}

    def serving(self, weight: int) -> str:
        return group_name(self.canary if weight == 100 else self.stable)

    @property
    def short_name(self) -> str:
        """The name of the load balancer."""
        return self.name.split("/")[2]

    def by_hand(self, weight: int, identity: str) -> str:
        weights = f"{group_name(self.canary)}={weight} and {group_name(self.stable)}={100 - weight}"
        return f"set the weights {weights} in the forward action of {identity}"


def rule_name(rule: str) -> str:
    """Return the name of a rule or a listener: the part of its ARN that others do not have."""
    return _resource(rule)


def is_default_action(rule: str) -> bool:
    """Tell whether `rule` is the ARN of a listener, whose default action is meant."""
    return rule_name(rule).startswith("listener/")


def group_name(group: str) -> str:
    """Return the name in the ARN of a target group."""
    return group.split("/")[1]


def _resource(arn: str) -> str:
    return arn.rpartition(":")[2]


def _place(arn: str) -> str:
    """Return partition, account and region of an ARN."""
    return arn.rpartition(":")[0]
