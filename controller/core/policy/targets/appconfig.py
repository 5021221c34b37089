"""The target `appconfig`: a percentage in a hosted configuration of AWS AppConfig."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from controller.core.policy.aws_metrics import FLAG
from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.metric import CountedPath, Metric, RequestMetrics, RequestSource
from controller.core.policy.targets import PaidReads, TargetSpec, lambda_environments
from controller.core.policy.verify_rollback import lambda_log_group
from controller.core.units import DurationRange

# Identifiers as AppConfig gives them: the API, IAM and a deployment name resources by these alone.
_ID: Final = r"[a-z0-9]{4,7}"
_ENVIRONMENT: Final = (
    rf"^arn:[a-z-]+:appconfig:[a-z0-9-]+:[0-9]{{12}}:application/{_ID}/environment/{_ID}$"
)
FLAG_METRICS: Final = RequestMetrics(
    "flag", "the flag", FLAG, "Requests", "Failures", "", "Duration", ("Flag", "Path"),
    named_by=("Flag",), paths="The flag measures at the caller, each path by itself (counts: "
    "canary, counts: stable).",
)  # fmt: skip
# The longest time that a function may keep what it read, and the shortest that the API allows.
LONGEST_CACHE: Final = timedelta(seconds=45)
# What AWS bills for GetLatestConfiguration, and for each configuration that it brings, in US
# dollars (tests/aws_facts/appconfig.yaml has the source).
READ_USD: Final = 0.000_000_2
RECEIVED_USD: Final = 0.000_8


class AppConfigFlag(TargetSpec):
    """A percentage in a feature flag, or in a JSON document, that AWS AppConfig deploys."""

    example: ClassVar[str] = (
        "{kind: appconfig, environment: "
        '"arn:aws:appconfig:eu-central-1:123456789012:application/abc1234/environment/def5678", '
        "profile: ghi9012, flag: checkout, strategy: jkl3456}"
    )
    opened_by: ClassVar[str] = "controller.adapters.targets.appconfig:open_target"
    simulated_by: ClassVar[str] = "controller.tools.simulation.appconfig:SimulatedAppConfig"
    permanent_by: ClassVar[str] = "controller.tools.permanent:AppConfigGuide"
    resource_word: ClassVar[str] = "configuration"
    bypass_hint: ClassVar[str] = (
        "functions that read another environment or profile, or keep what they read for longer "
        "than `cache`, and for callers that reach the new path without the flag"
    )
    split_caveat: ClassVar[str] = "a flag key that few callers share"
    drafted_by: ClassVar[str] = "controller.adapters.targets.appconfig:find_target"
    init_options: ClassVar[Mapping[str, str]] = {
        "environment": "An environment of AppConfig, by its ARN.",
        "profile": "Its configuration profile. Default: the only one, or pick one.",
        "flag": "The feature flag in it. Default: the only one, or pick one.",
        "strategy": "A deployment strategy without growth and bake. Default: the only one.",
        "function": "The Lambda function that reads the flag.",
    }
    names_revision: ClassVar[bool] = False
    rollback_options: ClassVar[tuple[str, ...]] = (
        "environment",
        "profile",
        "flag",
        "attribute",
        "strategy",
    )

    kind: Literal["appconfig"] = Field(description="What holds the weight.")
    environment: Annotated[
        str,
        Field(pattern=_ENVIRONMENT),
        Form("the ARN of an environment of AppConfig, arn:...:application/ID/environment/ID"),
    ] = Field(description="ARN of the environment that the configuration is deployed to.")
    profile: Annotated[
        str,
        Field(pattern=rf"^{_ID}$"),
        Form("the ID of a configuration profile (4 to 7 small letters and digits)"),
    ] = Field(description="ID of the hosted configuration profile.")
    flag: (
        Annotated[
            str,
            Field(pattern=r"^[a-z][a-zA-Z0-9_-]{0,63}$"),
            Form("the key of a feature flag (a small letter, then letters, digits, _ -)"),
        ]
        | None
    ) = Field(
        default=None,
        examples=["checkout"],
        description="Key of the feature flag; without one the profile is a JSON object.",
    )
    attribute: Annotated[
        str,
        Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$"),
        Form("the name of an attribute (a letter, then letters, digits, _ -)"),
    ] = Field(default="percentage", description="Its attribute that holds the weight, 0 to 100.")
    strategy: Annotated[
        str,
        Field(pattern=rf"^{_ID}$"),
        Form("the ID of a deployment strategy of the account; those of AWS bake for minutes"),
    ] = Field(description="ID of a deployment strategy with 0 minutes of growth and of bake.")
    cache: Annotated[timedelta, DurationRange("15s", "45s")] = Field(
        default=LONGEST_CACHE,
        description="How long a function keeps what it read; flag.py has the same number.",
    )
    function: (
        Annotated[
            str,
            Field(pattern=r"^[A-Za-z0-9_-]{1,140}$"),
            Form("the name of a function"),
        ]
        | None
    ) = Field(
        default=None,
        examples=["checkout"],
        description="Name of the Lambda function that reads it, for its log group and for costs.",
    )

    @field_validator("attribute")
    @classmethod
    def _of_a_flag(cls, attribute: str, info: ValidationInfo) -> str:
        if info.data.get("flag") is not None and not attribute[0].islower():
            raise ValueError("an attribute of a feature flag starts with a small letter")
        return attribute

    @property
    def application(self) -> str:
        return self.environment.split("/")[1]

    @property
    def environment_id(self) -> str:
        return self.environment.split("/")[3]

    @property
    def identity(self) -> str:
        """The ARN of the configuration, as functions are allowed to read it."""
        return f"{self.environment}/configuration/{self.profile}"

    @property
    def name(self) -> str:
        """The configuration, without the part of its ARN that every resource has."""
        return self.identity.rpartition(":")[2]

    @property
    def setting(self) -> str:
        """What holds the weight: `checkout.percentage`."""
        return f"{self.flag}.{self.attribute}" if self.flag else self.attribute

    def settings(self, weight: int) -> dict[str, str]:
        """Return the attribute that holds `weight`."""
        return {self.setting: str(weight)}

    def locks(self, identity: str) -> tuple[str, ...]:
        """Return one lock: a deployment replaces all that the profile has."""
        return (f"{identity}#weight",)

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARNs that IAM wants for each action: all that its request names."""
        root, _, path = self.environment.rpartition(":")
        application = f"{root}:{'/'.join(path.split('/')[:2])}"
        profile = f"{application}/configurationprofile/{self.profile}"
        strategy = f"{root}:deploymentstrategy/{self.strategy}"
        versions = f"{profile}/hostedconfigurationversion/*"
        return {
            "target": [self.identity],
            "appconfig_environment": [application, self.environment],
            "appconfig_profile": [application, profile],
            "appconfig_versions": [application, profile, versions],
            "appconfig_strategy": [strategy],
            "appconfig_start": [application, self.environment, profile, strategy],
            "appconfig_stop": [application, self.environment, f"{self.environment}/deployment/*"],
            "appconfig_any": [application],
            "appconfig_strategies": ["*"],
        }

    @classmethod
    def arns_of_any(cls, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return what reads any configuration, and lists profiles and strategies."""
        application = where.arn("appconfig", "application/*")
        return {
            "appconfig_environment": [application],
            "appconfig_versions": [application],
            "appconfig_profile": [application],
            "appconfig_strategy": [where.arn("appconfig", "deploymentstrategy/*")],
            "appconfig_stop": [application],
            "appconfig_any": [application],
            "appconfig_strategies": ["*"],
        }

    def requests_counted_by(self, metric: Metric) -> CountedPath | None:
        """Return `both` for the metrics of the function itself: it runs for every request."""
        own = self.function is not None and metric.dimensions.get("FunctionName") == self.function
        return "both" if own and metric.namespace == "AWS/Lambda" else None

    @property
    def counted_by(self) -> RequestSource | None:
        """The metrics of the flag in the function that is named."""
        if self.function is None:
            return None
        canary, stable = ({"Flag": self.function, "Path": one} for one in ("canary", "stable"))
        return RequestSource(FLAG_METRICS, canary, stable)

    @property
    def kept_for(self) -> timedelta:
        """How long a function may go on with an earlier weight."""
        return self.cache

    @property
    def paid_reads(self) -> PaidReads:
        """One read for each environment of the function whenever its cache is over."""
        environments = None if self.function is None else lambda_environments(self.function)
        return PaidReads(self.cache, environments, READ_USD, RECEIVED_USD)

    @property
    def default_warmup(self) -> timedelta:
        """The time in which functions still have the earlier weight: no environment is replaced."""
        return self.cache

    @property
    def short_name(self) -> str:
        """The function, or the flag; else the ID of the profile."""
        return self.function or self.flag or self.profile

    @property
    def log_group(self) -> str:
        return lambda_log_group(self.function) if self.function else ""

    def by_hand(self, weight: int, identity: str) -> str:
        return (
            f"save a version of profile {self.profile} with {self.setting} {weight}, and deploy it "
            f"to {self.environment} with strategy {self.strategy}; if a deployment is in progress "
            "there, stop it first"
        )

    @property
    def display_name(self) -> str:
        return f"{self.name}: {self.setting}"
