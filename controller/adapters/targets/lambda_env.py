"""The weight in the environment of a Lambda function.

IAM: as in lambda_configuration.py and environment_checks.py.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.targets.lambda_configuration import (
    Configuration,
    LambdaFunction,
    encryption_key,
)
from controller.adapters.targets.resource_target import ResourceTarget
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, Pair, environment_bytes
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import LogsError, WriteRefusedError
from controller.immutable import replace
from controller.ports.account import Account
from controller.ports.clock import Clock
from controller.ports.target import NameWarning, Obstacle


def open_target(target: LambdaEnv, account: Account) -> "LambdaEnvTarget":
    """Return the adapter of `target` in `account`."""
    client = account.lowering_client("lambda")
    return LambdaEnvTarget(client, target, account.clock, account.jitter)


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
        """Return the ARN of the customer managed key of the environment; empty without one."""
        return encryption_key(self._client, self._function.name)

    def log_group(self) -> str:
        """Return the log group that the function is configured to log to.

        Raises LogsError when Lambda does not say.
        """
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
