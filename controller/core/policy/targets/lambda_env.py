"""The target `lambda-env`: a percentage, and a boolean, in the environment of a Lambda function."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from controller.core.policy.field_types import AwsLocation, Form
from controller.core.policy.metric import CountedPath, Metric
from controller.core.policy.targets import ColdStarts, TargetSpec, lambda_environments
from controller.core.policy.verify_rollback import lambda_log_group

ENV_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{1,254}$"
FUNCTION_PATTERN = r"^(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,140}$"


def _unreserved(name: str) -> str:
    if name.startswith(("AWS_", "LAMBDA_")) or name in ("_HANDLER", "TZ"):
        raise ValueError(f"{name} is reserved by AWS Lambda")
    return name


EnvName: TypeAlias = Annotated[
    str,
    Field(pattern=ENV_NAME_PATTERN),
    Form("an environment variable (a letter, then letters, digits, _; at least 2)"),
    AfterValidator(_unreserved),
]


class LambdaEnv(TargetSpec):
    """A percentage (and a boolean) in the environment of one Lambda function."""

    example: ClassVar[str] = "{kind: lambda-env, function: checkout, percentage: CANARY_PERCENTAGE}"
    opened_by: ClassVar[str] = "controller.adapters.targets.lambda_env:open_target"
    simulated_by: ClassVar[str] = "controller.tools.simulation.lambda_env:SimulatedLambdaEnv"
    permanent_by: ClassVar[str] = "controller.tools.permanent:LambdaEnvGuide"
    rollback_options: ClassVar[tuple[str, ...]] = ("function", "percentage", "boolean")
    resource_word: ClassVar[str] = "function"
    runs_code: ClassVar[bool] = True
    bypass_hint: ClassVar[str] = (
        "callers that use a published version or an alias of the function, and for another "
        "function or client that has the flag on"
    )
    split_caveat: ClassVar[str] = "a flag key that few callers share"
    drafted_by: ClassVar[str] = "controller.adapters.targets.lambda_env_finder:find_target"
    init_options: ClassVar[Mapping[str, str]] = {
        "function": "The Lambda function. On a terminal: pick one.",
        "percentage": "Its variable that holds the weight, 0 to 100.",
        "boolean": "Its variable that is true exactly at 100.",
    }

    kind: Literal["lambda-env"] = Field(description="What holds the weight.")
    function: Annotated[
        str,
        Field(pattern=FUNCTION_PATTERN),
        Form("the name or ARN of a function, without version or alias"),
    ] = Field(
        description="Name or ARN of the function, without version or alias: only $LATEST changes."
    )
    percentage: EnvName = Field(description="Variable that holds the weight, 0 to 100.")
    boolean: EnvName | None = Field(
        default=None,
        examples=["CANARY_ENABLED"],
        description='Variable that is "true" exactly at 100, else "false".',
    )

    @field_validator("boolean")
    @classmethod
    def _another_variable(cls, boolean: str | None, info: ValidationInfo) -> str | None:
        if boolean is not None and boolean == info.data.get("percentage"):
            raise ValueError("must be another variable than `percentage`")
        return boolean

    @property
    def name(self) -> str:
        """The function, by its name or ARN."""
        return self.function

    def settings(self, weight: int) -> dict[str, str]:
        variables = {self.percentage: str(weight)}
        if self.boolean is not None:
            variables[self.boolean] = "true" if weight == 100 else "false"
        return variables

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        arn = where.full_arn(self.function, "lambda", "function:{}")
        return {"target": [arn], "function": [arn]}

    @classmethod
    def arns_of_any(cls, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {"function": [where.arn("lambda", "function:*")]}

    def requests_counted_by(self, metric: Metric) -> CountedPath | None:
        """Return `both` for the metrics of the function itself: it runs for every request."""
        function = metric.dimensions.get("FunctionName")
        is_own = metric.namespace == "AWS/Lambda" and function == self.function.rpartition(":")[2]
        return "both" if is_own else None

    @property
    def cold_starts(self) -> ColdStarts:
        """All environments: Lambda starts new ones with the new variables."""
        name = self.function.rpartition(":")[2]
        return ColdStarts(
            f"each change of the weight replaces all warm environments of {name}, on both paths",
            lambda_environments(name),
        )

    @property
    def log_group(self) -> str:
        return lambda_log_group(self.function)
