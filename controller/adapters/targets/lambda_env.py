"""The weight in the environment of a Lambda function: a raise is tried once, lowering is retried.

IAM: as in lambda_environment.py and change_obstacles.py.
"""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.targets.failed_raise import resolve_failed_raise
from controller.adapters.targets.lambda_environment import (
    Configuration,
    LambdaFunction,
    encryption_key,
)
from controller.adapters.targets.lower_to_zero import LoweringLoop
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, Pair, environment_bytes
from controller.core.observation import TargetReading
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import LogsError, WriteConflictError, WriteRefusedError
from controller.immutable import replace
from controller.ports.account import Account
from controller.ports.clock import Clock
from controller.ports.target import InspectableTarget, NameWarning, Obstacle


def open_target(target: LambdaEnv, account: Account) -> "LambdaEnvTarget":
    """Return the adapter of `target` in `account`."""
    client = account.lowering_client("lambda")
    return LambdaEnvTarget(client, target, account.clock, account.jitter)


class LambdaEnvTarget(InspectableTarget):
    """`InspectableTarget` on the environment of one function.

    client: a boto3 Lambda client. jitter: draws a pause between two limits, in seconds.
    """

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
        self._clock = clock
        self._jitter = jitter

    def read(self) -> TargetReading:
        """Return the current weight.

        Raises TargetError when Lambda does not answer, WriteRefusedError when it answers without
        the environment.
        """
        return self._function.read().reading

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why a change of $LATEST may not reach traffic, fatal obstacles first."""
        from controller.adapters.targets import change_obstacles

        return change_obstacles.obstacles(self._client, self._function.name, self._pair)

    def name_warnings(self) -> Sequence[NameWarning]:
        """Return why the variable names may be wrong for the function. Raises as `read` does."""
        from controller.adapters.targets import variable_name_warnings

        variables = self._function.read().variables
        warnings = variable_name_warnings.name_warnings(self._function.name, self._pair, variables)
        return [replace(one, command=self._command(one.left_on)) for one in warnings]

    def _command(self, left_on: str) -> str:
        """Return the rollback that also lowers the boolean variable `left_on`; empty without."""
        related = self._target.model_copy(update={"boolean": left_on})
        return related.rollback_command if left_on else ""

    def foreign_values(self) -> Sequence[str]:
        """Return the variables whose values are no weight and would be overwritten.

        Raises what `read` raises.
        """
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

    # --- shift: one attempt ---------------------------------------------------------------------

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the function still has the RevisionId `token`.

        Raises WriteRefusedError and WriteConflictError (nothing was written), or
        WriteUncertainError when the write may have happened and was not read back.
        """
        configuration = self._function.read()
        self._check_shift(configuration, weight, token)
        try:
            self._function.write(configuration, weight)
        except AWS_ERRORS as error:
            self._resolve(configuration, weight, error)

    def _check_shift(self, configuration: Configuration, weight: int, token: str) -> None:
        name = self._function.name
        if not token:
            raise WriteRefusedError(
                f"{name} has no RevisionId, so nothing would keep a late raise from undoing a "
                "rollback; nothing was written: use an endpoint that gives one"
            )
        if configuration.reading.token != token:
            raise WriteConflictError(
                f"{name} was changed since {weight} % was decided; nothing was written, and it "
                "has to be decided anew",
                weight_percent=weight,
            )
        size = environment_bytes(self._pair.merged(configuration.variables, weight))
        if size > ENVIRONMENT_BYTES:
            raise WriteRefusedError(
                f"the environment of {name} would have {size} bytes as JSON, and Lambda takes "
                f"{ENVIRONMENT_BYTES}; nothing was written: make room for the variables of the "
                "weight",
                size_bytes=size,
            )

    def _resolve(self, configuration: Configuration, weight: int, error: Exception) -> None:
        """Return when the failed write was done all the same, else raise as `shift_to` says."""
        problem = self._function.write_problem(weight, error, configuration)
        inactive = bool(configuration.state)
        resolve_failed_raise(self.read, weight, error, problem, inactive=inactive)

    # --- lowering: with retries -----------------------------------------------------------------

    def lower_to_zero(
        self,
        within: timedelta,
        *,
        void: str = "",
        check: Callable[[TargetReading], object] | None = None,
    ) -> None:
        """Write 0 % whatever the current weight, with retries until `within` is over.

        void: a RevisionId to invalidate: while the function still has it, 0 % is written even over
        0 %, because every update gives a new one. check: called with each reading before a write.
        Raises WriteRefusedError at once when Lambda refuses the write permanently or the write
        would lose settings, TargetError when the function can never be read or time is over, and
        what `check` raises.
        """
        by_hand = f"set {self._pair.shown(self._pair.merged({}, 0))} in AWS"
        loop = LoweringLoop(self._function, by_hand, self._clock, self._jitter, void, check)
        loop.run(within)
