"""The weight in the environment of a Lambda function, which Lambda reads and replaces as a whole.

IAM: lambda:GetFunctionConfiguration and lambda:UpdateFunctionConfiguration; with a customer managed
key on the environment also kms:Decrypt, kms:Encrypt and kms:CreateGrant on it; and as in
environment_checks.py.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.adapters.aws.clients import (
    AWS_ERRORS,
    StrangeAnswerError,
    code_of,
    error_text,
    redact,
)
from controller.adapters.iam import (
    FUNCTION,
    FUNCTION_KEY,
    METRIC_JOBS,
    TRAFFIC_JOBS,
    Permission,
)
from controller.adapters.targets.resource_target import Resource, ResourceTarget, raise_unreadable
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, Pair, environment_bytes
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import LogsError, WriteRefusedError, WriteUncertainError
from controller.immutable import replace
from controller.ports.account import Account
from controller.ports.clock import Clock
from controller.ports.target import NameWarning, Obstacle

IAM: Final = (
    Permission("lambda:GetFunctionConfiguration", FUNCTION, METRIC_JOBS),
    Permission("lambda:UpdateFunctionConfiguration", FUNCTION, TRAFFIC_JOBS),
    Permission("kms:Decrypt", FUNCTION_KEY, METRIC_JOBS, via="lambda"),
    Permission("kms:Encrypt", FUNCTION_KEY, TRAFFIC_JOBS, via="lambda"),
    # Lambda makes a grant on the key with the rights of the caller, at a write of 0% too.
    Permission("kms:CreateGrant", FUNCTION_KEY, TRAFFIC_JOBS, via="lambda"),
)

_UPDATES: Final = {
    "Successful": UpdateStatus.SUCCESSFUL,
    "InProgress": UpdateStatus.IN_PROGRESS,
    "Failed": UpdateStatus.FAILED,
}


def open_target(target: LambdaEnv, account: Account) -> "LambdaEnvTarget":
    """Return the adapter of `target` in `account`."""
    client = account.lowering_client("lambda")
    return LambdaEnvTarget(client, target, account.clock, account.jitter)


# --- the function ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configuration:
    """A function as Lambda describes it: our reading, and the environment that a write must keep.

    state: why the function is not active, and what to do; empty while it is active.
    """

    reading: TargetReading
    variables: Mapping[str, str] = field(repr=False)
    state: str = ""


class LambdaFunction(Resource[Configuration]):
    """The function called `name`; readings and errors show only the variables of `pair`."""

    def __init__(self, client: Any, name: str, pair: Pair) -> None:
        self.name = name
        self._client = client
        self._pair = pair

    def describe(self) -> Mapping[str, Any]:
        """Return the answer of one GetFunctionConfiguration. Raises NoAnswerError, TargetError."""
        try:
            return _check_answer(self._client.get_function_configuration(FunctionName=self.name))
        except AWS_ERRORS as error:
            raise_unreadable(self.name, "lambda:GetFunctionConfiguration", error)

    def read(self) -> Configuration:
        """Raises WriteRefusedError when Lambda answers without the environment."""
        answer = self.describe()
        problem = _undecryptable(answer)
        if problem:
            raise WriteRefusedError(
                f"the environment of {self.name} cannot be read ({problem}): a write would wipe "
                "every variable, so nothing is written; give this role kms:Decrypt on the "
                "function's key",
                problem=problem,
            )
        variables: Mapping[str, str] = (answer.get("Environment") or {}).get("Variables") or {}
        return Configuration(self._reading(answer, variables), variables, _state(answer))

    def write(self, configuration: Configuration, weight: int) -> None:
        """Write the environment of `configuration` with `weight` in it.

        The write is conditional on the RevisionId of `configuration`. Raises what boto3 raises,
        redacted where it may quote another variable, and WriteUncertainError when Lambda accepted
        the write and cannot read the environment back.
        """
        condition = (
            {"RevisionId": configuration.reading.token} if configuration.reading.token else {}
        )
        variables = self._pair.merged(configuration.variables, weight)
        failure: Exception | None = None
        answer: Mapping[str, Any] = {}
        try:
            answer = _check_answer(
                self._client.update_function_configuration(
                    FunctionName=self.name,
                    Environment={"Variables": variables},
                    **condition,
                )
            )
        except AWS_ERRORS as error:
            failure = redact(error, {**configuration.variables, **variables})
        if failure is not None:
            raise failure  # outside of `except`: its context would quote what was redacted
        problem = _undecryptable(answer)
        if problem:
            raise WriteUncertainError(
                f"Lambda took {weight}% for {self.name} but cannot read the environment back "
                f"({problem}); look at the function, and give this role kms:Decrypt on its key",
                problem=problem,
            )

    def write_problem(self, weight: int, error: Exception, configuration: Configuration) -> str:
        """Return why `weight` was not written, in one sentence with what to do.

        Lambda's message is left out where it may quote a value, so this adds what can be known
        here: an environment that is too large, or a function that is not active.
        """
        action = f"{self.name} was not set to {weight}% (lambda:UpdateFunctionConfiguration)"
        text = error_text(action, error)
        if configuration.state:
            text += f"; the function is not active: {configuration.state}"
        size = environment_bytes(self._pair.merged(configuration.variables, weight))
        if size > ENVIRONMENT_BYTES:
            text += (
                f"; its environment would have {size} bytes as JSON, and Lambda takes "
                f"{ENVIRONMENT_BYTES}: shorten or remove another variable"
            )
        return text

    def _reading(self, answer: Mapping[str, Any], variables: Mapping[str, str]) -> TargetReading:
        reasons = ("LastUpdateStatusReasonCode", "LastUpdateStatusReason")
        return TargetReading(
            identity=answer["FunctionArn"],
            weight=self._pair.weight(variables),
            variables=self._pair.shown(variables),
            token=answer.get("RevisionId", ""),
            update=_UPDATES.get(
                answer.get("LastUpdateStatus", "Successful"), UpdateStatus.IN_PROGRESS
            ),
            code=answer.get("CodeSha256", ""),
            detail=": ".join(str(answer[key]) for key in reasons if answer.get(key)),
            may_be_full=self._pair.may_be_full(variables),
        )


def _check_answer(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `answer`. Raises StrangeAnswerError when it cannot come from Lambda."""
    if "FunctionArn" not in answer:
        raise StrangeAnswerError
    return answer


# What makes a function active again, so that it accepts an update.
_REMEDIES: Final = {
    "Pending": "wait until it is created",
    "Inactive": "invoke it once",
    "Failed": "deploy it again, so that Lambda can create it",
}


def _state(answer: Mapping[str, Any]) -> str:
    """Return why the function is not active, and what to do; empty while it is active."""
    state = str(answer.get("State") or "Active")
    if state == "Active":
        return ""
    reasons = [str(answer[key]) for key in ("StateReasonCode", "StateReason") if answer.get(key)]
    remedy = _REMEDIES.get(state, "look at the function")
    return f"{': '.join([state, *reasons])}; {remedy}"


def _undecryptable(answer: Mapping[str, Any]) -> str:
    """Return why Lambda cannot decrypt the environment; empty when it can."""
    error = (answer.get("Environment") or {}).get("Error")
    return f"{error.get('ErrorCode')}: {error.get('Message')}" if error else ""


# --- the target -----------------------------------------------------------------------------------


class LambdaEnvTarget(ResourceTarget[Configuration]):
    """`InspectableTarget` on the environment of one function. client: a boto3 Lambda client."""

    def __init__(
        self,
        client: Any,
        target: LambdaEnv,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._client, self._target = client, target
        self._pair = Pair(target.percentage, target.boolean)
        self._function = LambdaFunction(client, target.function, self._pair)
        by_hand = f"set {self._pair.shown(self._pair.merged({}, 0))} in AWS"
        super().__init__(self._function, by_hand, clock, jitter)

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why a change of $LATEST may not reach traffic, fatal obstacles first."""
        from controller.adapters.targets import environment_checks

        return environment_checks.obstacles(self._client, self._function.name, self._pair)

    def name_warnings(self) -> Sequence[NameWarning]:
        from controller.adapters.targets import environment_checks

        variables = self._function.read().variables
        warnings = environment_checks.name_warnings(self._function.name, self._pair, variables)
        return [replace(warning, command=self._command(warning.left_on)) for warning in warnings]

    def _command(self, left_on: str) -> str:
        """Return the rollback that also lowers the boolean variable `left_on`; empty without."""
        related = self._target.model_copy(update={"boolean": left_on})
        return related.rollback_command if left_on else ""

    def foreign_values(self) -> Sequence[str]:
        return self._pair.foreign_values(self._function.read().variables)

    def encryption_key(self) -> str:
        return str(self._function.describe().get("KMSKeyArn", ""))

    def log_group(self) -> str:
        name = self._function.name
        try:
            answer = self._client.get_function_configuration(FunctionName=name)
        except AWS_ERRORS as error:
            action = f"the log group of {name} is not known (lambda:GetFunctionConfiguration)"
            raise LogsError(error_text(action, error), code=code_of(error)) from error
        configured: str = (answer.get("LoggingConfig") or {}).get("LogGroup") or ""
        return configured or self._target.log_group

    # --- a raise --------------------------------------------------------------------------------

    def _check_raise(self, snapshot: Configuration, weight: int) -> None:
        """Raise WriteRefusedError where the environment would be too large."""
        size = environment_bytes(self._pair.merged(snapshot.variables, weight))
        if size > ENVIRONMENT_BYTES:
            raise WriteRefusedError(
                f"the environment of {self._function.name} would have {size} bytes as JSON, and "
                f"Lambda takes {ENVIRONMENT_BYTES}; nothing was written: make room for the "
                "variables of the weight",
                size_bytes=size,
            )

    def _takes_writes(self, snapshot: Configuration) -> bool:
        """Tell whether the function is active: Lambda answers with a conflict until it is."""
        return not snapshot.state
