"""The target `lambda-alias`: the share of a published version in the traffic of an alias."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.metric import CountedPath, Metric, RequestMetrics, RequestSource
from controller.core.policy.targets import ColdStarts, TargetSpec
from controller.core.policy.targets.lambda_env import FUNCTION_PATTERN
from controller.core.policy.verify_rollback import lambda_log_group

# A name with a character that is no digit: AWS takes a number for a version.
ALIAS_PATTERN = r"^[0-9]*[A-Za-z_-][A-Za-z0-9_-]*$"
VERSION_PATTERN = r"^[1-9][0-9]{0,17}$"

PublishedVersion: TypeAlias = Annotated[
    str,
    Field(pattern=VERSION_PATTERN),
    Form('the number of a published version, in quotes ("7"); $LATEST takes no weight'),
]

THROTTLED: Final = (
    "Throttled calls are neither invocations nor errors. Both paths share the function's "
    "concurrency, and a slower canary holds more of it."
)
_BY_VERSION: Final = "ExecutedVersion"
_VERSIONS: Final = RequestMetrics(
    "versions", "the versions of the alias", "AWS/Lambda", "Invocations", "Errors", "", "Duration",
    ("FunctionName", "Resource", _BY_VERSION),
    paths="Lambda counts each version of an alias by itself while the alias has a weight: "
    "`start` puts the versions in for ${canary} and ${stable}. At 100% there is no weight, and "
    "the metrics of the alias are those of the canary.",
    refused="Throttles", refused_by=("FunctionName", "Resource"), refused_text=THROTTLED,
)  # fmt: skip


class LambdaAlias(TargetSpec):
    """The weight of a published version in the routing of an alias of a Lambda function."""

    example: ClassVar[str] = "{kind: lambda-alias, function: checkout, alias: live}"
    opened_by: ClassVar[str] = "controller.adapters.targets.lambda_alias:open_target"
    simulated_by: ClassVar[str] = "controller.tools.simulation.lambda_alias:SimulatedLambdaAlias"
    permanent_by: ClassVar[str] = "controller.tools.permanent:LambdaAliasGuide"
    resource_word: ClassVar[str] = "alias"
    bypass_hint: ClassVar[str] = (
        "callers that name a version instead of the alias, and for another alias that has it"
    )
    drafted_by: ClassVar[str] = "controller.adapters.targets.lambda_alias:find_target"
    init_options: ClassVar[Mapping[str, str]] = {
        "function": "The Lambda function.",
        "alias": "Its alias, whose version is the old path and a newer one the new path.",
        "version": "The newer version of an alias. Default: each start takes the newest published.",
    }
    placeholders: ClassVar[tuple[str, ...]] = ("canary", "stable")
    rollback_options: ClassVar[tuple[str, ...]] = ("function", "alias", "stable")

    kind: Literal["lambda-alias"] = Field(description="What holds the weight.")
    function: Annotated[
        str,
        Field(pattern=FUNCTION_PATTERN),
        Form("the name or ARN of a function, without version or alias"),
    ] = Field(description="Name or ARN of the function, without version or alias.")
    alias: Annotated[
        str,
        Field(pattern=ALIAS_PATTERN, max_length=128),
        Form("the name of an alias (letters, digits, - and _; not digits alone)"),
    ] = Field(description="Name of the alias that callers use.")
    canary: PublishedVersion | None = Field(
        default=None,
        examples=["7"],
        description="Version that gets the weight. Left out: `--version`, else the newest "
        "published one. `start` stores it.",
    )
    stable: PublishedVersion | None = Field(
        default=None,
        examples=["6"],
        description="Version that has the other requests. Left out: the version of the alias. "
        "`start` stores it.",
    )

    @model_validator(mode="after")
    def _two_versions(self) -> Self:
        if self.canary is not None and self.canary == self.stable:
            raise ValueError(f"canary and stable are both version {self.canary}")
        return self

    @property
    def name(self) -> str:
        """The function and its alias, as AWS writes them in metrics and ARNs."""
        return f"{self.function}:{self.alias}"

    def settings(self, weight: int) -> dict[str, str]:
        return {f"version {self.canary or '(newest)'}": str(weight)}

    def locks(self, identity: str) -> tuple[str, ...]:
        """Return one lock: an alias has one routing, whatever its versions are."""
        return (f"{identity}#routing",)

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        """Return the ARNs of the alias, and those that its calls are checked against.

        AWS checks calls of an alias against the function or the alias, those of a version against
        the function or the version.
        """
        function = where.full_arn(self.function, "lambda", "function:{}")
        alias = f"{function}:{self.alias}"
        return {
            "target": [alias],
            "alias": [function, alias],
            "versions": [function, f"{function}:*"],
        }

    @classmethod
    def arns_of_any(cls, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        every = [where.arn("lambda", "function:*")]
        return {"alias": every, "versions": every}

    def requests_counted_by(self, metric: Metric) -> CountedPath | None:
        """Return the path of a metric of the function: by its version, else both.

        None for another function, and for a number that only `start` can compare with the canary's.
        """
        if metric.dimensions.get("FunctionName") != self.function.rpartition(":")[2]:
            return None
        version = metric.dimensions.get(_BY_VERSION, "")
        if version in (self.canary, "${canary}"):
            return "canary"
        may_be_canary = self.canary is None and version != self.stable
        if may_be_canary and re.match(VERSION_PATTERN, version):
            return None
        return "stable" if version else "both"

    @property
    def counted_by(self) -> RequestSource:
        """The metrics of its two versions; at 100% AWS counts the alias alone."""
        alias = {"FunctionName": self.function.rpartition(":")[2]}
        alias["Resource"] = f"{alias['FunctionName']}:{self.alias}"
        canary, stable = {_BY_VERSION: "${canary}"}, {_BY_VERSION: "${stable}"}
        return RequestSource(_VERSIONS, alias | canary, alias | stable, whole=alias)

    def at_zero(self, metric: Metric) -> Metric:
        """Return the metric of the alias for one of its stable version."""
        if self.requests_counted_by(metric) != "stable":
            return metric
        dimensions = {
            name: dimension for name, dimension in metric.dimensions.items() if name != _BY_VERSION
        }
        return metric.model_copy(update={"dimensions": dimensions})

    # --- what a start decides -------------------------------------------------------------------

    @property
    def unresolved(self) -> bool:
        """Whether a version is left to the account."""
        return self.canary is None or self.stable is None

    @property
    def values(self) -> Mapping[str, str]:
        versions = {"canary": self.canary, "stable": self.stable}
        return {name: version for name, version in versions.items() if version is not None}

    def is_same_alias(self, other: TargetSpec | None) -> bool:
        return isinstance(other, LambdaAlias) and other.name == self.name

    def resolved_as(self, other: TargetSpec) -> TargetSpec:
        """Return the target with the versions of `other`, where that is on the same alias."""
        if not (isinstance(other, LambdaAlias) and self.is_same_alias(other)):
            return self
        return self.with_versions(self.canary or other.canary, self.stable or other.stable)

    def serving(self, weight: int) -> str:
        return f"version {self.canary if weight == 100 else self.stable}"

    def taken_out(self, code: str) -> str:
        """Return the version that the alias shows to be the canary."""
        return "" if self.canary else f"version {code}"

    def with_versions(self, canary: str | None, stable: str | None) -> Self:
        """Return the target with these versions. Raises ValueError when they are the same."""
        versions = {"canary": canary, "stable": stable}
        return type(self).model_validate({**self.model_dump(), **versions})

    def rehearsed(self) -> TargetSpec:
        """Return the target with versions 1 and 2 where the policy names none."""
        stable = self.stable or ("1" if self.canary != "1" else "2")
        return self.with_versions(self.canary or str(int(stable) + 1), stable)

    def with_version(self, version: str) -> Self:
        if not (version.isascii() and version.isdecimal() and version[0] != "0"):
            raise ValueError(f"the number of a published version, like 7; not {version!r}")
        return self.with_versions(version, self.stable)

    @property
    def cold_starts(self) -> ColdStarts:
        """Those of the version that gets more requests; the other one keeps its environments."""
        return ColdStarts(
            f"each raise starts new environments of the canary's version of {self.name}; "
            "the stable version keeps its warm ones until it has no requests"
        )

    # --- for people -----------------------------------------------------------------------------

    @property
    def short_name(self) -> str:
        return f"{self.function.rpartition(':')[2]}-{self.alias}"

    @property
    def log_group(self) -> str:
        """The default log group of the function: all of its versions log there."""
        return lambda_log_group(self.function)

    def by_hand(self, weight: int, identity: str) -> str:
        """Return the call of AWS's command line for `weight`."""
        version = (self.canary if weight == 100 else self.stable) or "VERSION"
        share = f"{self.canary}={weight / 100}" if 0 < weight < 100 else ""
        return (
            f"aws lambda update-alias --function-name {self.function} --name {self.alias} "
            f"--function-version {version} "
            f"--routing-config 'AdditionalVersionWeights={{{share}}}'"
        )
