"""The weight in the environment of a Lambda function.

IAM: lambda:GetFunctionConfiguration, lambda:UpdateFunctionConfiguration; for `obstacles` also
lambda:ListAliases and lambda:ListProvisionedConcurrencyConfigs (without them: a warning). With a
customer key on the environment: kms:Decrypt and kms:Encrypt on it.

Lambda replaces the environment whole, so every write is read, merge, write under the RevisionId
that was read. Only the two variables of the target are ever told to anybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from controller import events
from controller.adapters.aws import AWS_ERRORS, code_of, status_of, told
from controller.adapters.pair import Pair, fits, variables_for
from controller.core.observation import Reading, Update
from controller.core.policy import LambdaEnv
from controller.errors import (
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.ports import Clock, Obstacle

log = events.logger()

# The lowering loop: at most this often, with this pause before each new try.
LOWER_ATTEMPTS: Final = 60
PAUSE_FIRST_S: Final = 0.5
PAUSE_MOST_S: Final = 8.0

_UPDATES: Final = {
    "Successful": Update.SUCCESSFUL,
    "InProgress": Update.IN_PROGRESS,
    "Failed": Update.FAILED,
}
_CONFLICTS: Final = frozenset({"ResourceConflictException", "PreconditionFailedException"})


class _Again(TargetError):
    """The lowering loop goes round once more; the message says why."""


@dataclass(frozen=True, slots=True)
class _Configuration:
    """A function as it answered: our reading, and the environment that a write must keep."""

    reading: Reading
    variables: Mapping[str, str]


class LambdaEnvTarget:
    """`Target` and `Reachability` on one function's environment.

    client: a boto3 Lambda client. One call at a time; it is not shared between threads.
    """

    def __init__(self, client: Any, target: LambdaEnv, clock: Clock) -> None:
        self._client = client
        self._function = target.function
        self._pair = Pair(target.percentage, target.boolean)
        self._clock = clock

    # --- reading --------------------------------------------------------------------------------

    def read(self) -> Reading:
        """Return the weight as it stands, from one GetFunctionConfiguration.

        Raises TargetError when Lambda does not answer, WriteRefusedError when it answers without
        the environment.
        """
        return self._configuration().reading

    def _configuration(self) -> _Configuration:
        answer = self._get()
        variables = self._environment_of(answer)
        reading = Reading(
            identity=answer["FunctionArn"],
            weight=self._pair.weight(variables),
            shown=self._pair.shown(variables),
            token=answer.get("RevisionId", ""),
            update=_UPDATES.get(answer.get("LastUpdateStatus", "Successful"), Update.IN_PROGRESS),
            code=answer.get("CodeSha256", ""),
            detail=": ".join(
                answer[key]
                for key in ("LastUpdateStatusReasonCode", "LastUpdateStatusReason")
                if answer.get(key)
            ),
        )
        return _Configuration(reading, variables)

    def _get(self) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = self._client.get_function_configuration(
                FunctionName=self._function
            )
        except AWS_ERRORS as error:
            action = f"{self._function} could not be read (lambda:GetFunctionConfiguration)"
            raise TargetError(told(action, error), code=code_of(error)) from error
        return answer

    def _environment_of(self, answer: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the variables. Raises WriteRefusedError when Lambda could not decrypt them."""
        environment = answer.get("Environment") or {}
        if environment.get("Error"):
            code = environment["Error"].get("ErrorCode", "unknown")
            raise WriteRefusedError(
                f"the environment of {self._function} cannot be read ({code}): a write would wipe "
                "every variable, so nothing is written; give this role kms:Decrypt on the "
                "function's key",
                code=code,
            )
        variables: Mapping[str, str] = environment.get("Variables") or {}
        return variables

    # --- raising: one shot ----------------------------------------------------------------------

    def raise_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the function still has the RevisionId `token`.

        Raises WriteRefusedError and WriteConflictError (nothing was written), or
        WriteUncertainError when no answer came and the weight was not seen afterwards.
        """
        found = self._configuration()
        if found.reading.token != token:
            raise WriteConflictError(
                f"{self._function} was changed since {weight} % was decided; nothing was written",
                weight_percent=weight,
            )
        try:
            self._write(found, weight)
        except AWS_ERRORS as error:
            self._resolve(weight, error)

    def _resolve(self, weight: int, error: Exception) -> None:
        """A failed or unanswered write: when the weight stands there, it happened after all.

        botocore repeats a call whose answer was lost, and the repetition then meets its own first
        write as a 412.
        """
        action = f"{self._function} was not set to {weight} % (lambda:UpdateFunctionConfiguration)"
        refused = 400 <= status_of(error) < 500 and code_of(error) not in _CONFLICTS
        if refused:
            raise WriteRefusedError(told(action, error), code=code_of(error)) from error
        if self.read().weight == weight:
            return
        if code_of(error) in _CONFLICTS:
            raise WriteConflictError(told(action, error), code=code_of(error)) from error
        raise WriteUncertainError(told(action, error), code=code_of(error)) from error

    def _write(self, found: _Configuration, weight: int) -> None:
        """Send the merged environment. Raises WriteRefusedError, or what boto3 raises."""
        wanted = variables_for(self._pair, found.variables, weight)
        fits(self._function, wanted)
        answer = self._client.update_function_configuration(
            FunctionName=self._function,
            Environment={"Variables": wanted},
            **({"RevisionId": found.reading.token} if found.reading.token else {}),
        )
        self._environment_of(answer)  # Lambda may accept a write and then fail to decrypt it

    # --- lowering: until it is done -------------------------------------------------------------

    def lower_to_zero(self, within: timedelta) -> None:
        """Write 0 % over whatever stands there, trying again until `within` is over.

        Raises WriteRefusedError at once when writing would lose settings, TargetError with the
        last problem when time or attempts are used up.
        """
        deadline = self._clock.now() + within
        retrying = Retrying(
            sleep=lambda seconds: self._clock.sleep(timedelta(seconds=seconds)),
            stop=lambda state: self._clock.now() >= deadline or _worn_out(state),
            wait=wait_random_exponential(multiplier=PAUSE_FIRST_S, max=PAUSE_MOST_S),
            retry=retry_if_exception_type(_Again),
            before_sleep=self._log_retry,
            reraise=True,
        )
        retrying(self._lower_once)

    def _lower_once(self) -> None:
        try:
            found = self._configuration()
        except WriteRefusedError:
            raise
        except TargetError as error:
            raise _Again(str(error), **error.context) from error
        reading = found.reading
        if reading.weight == 0 and reading.update is not Update.FAILED:
            return
        if reading.update is Update.IN_PROGRESS:
            raise _Again(f"{self._function} is being updated and shows {reading.shown}")
        try:
            self._write(found, 0)
        except AWS_ERRORS as error:
            action = f"{self._function} was not set to 0 % (lambda:UpdateFunctionConfiguration)"
            raise _Again(told(action, error), code=code_of(error)) from error

    def _log_retry(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        log.warning(
            "call_retried",
            function=self._function,
            attempt=state.attempt_number,
            problem=str(problem),
        )

    # --- reach ----------------------------------------------------------------------------------

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why a change of $LATEST may not reach traffic, the certain ones first."""
        try:
            answer = self._get()
        except TargetError as error:
            return [Obstacle(fatal=True, text=str(error))]
        found = [*self._published_only(answer), *self._provisioned(), *self._aliases()]
        return sorted(found, key=lambda obstacle: not obstacle.fatal)

    def _published_only(self, answer: Mapping[str, Any]) -> list[Obstacle]:
        name, found = self._function, []
        if (answer.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
            text = (
                f"{name} has SnapStart: callers use a published version, whose environment is fixed"
            )
            found.append(Obstacle(fatal=True, text=text))
        if answer.get("CapacityProviderConfig"):
            text = f"{name} runs on managed instances: callers get $LATEST.PUBLISHED, not $LATEST"
            found.append(Obstacle(fatal=True, text=text))
        return found

    def _provisioned(self) -> list[Obstacle]:
        action = "lambda:ListProvisionedConcurrencyConfigs"
        try:
            answer = self._client.list_provisioned_concurrency_configs(FunctionName=self._function)
        except AWS_ERRORS as error:
            return [_unchecked("provisioned concurrency", action, error)]
        if not answer.get("ProvisionedConcurrencyConfigs"):
            return []
        text = f"{self._function} has provisioned concurrency: callers use a published version"
        return [Obstacle(fatal=True, text=text)]

    def _aliases(self) -> list[Obstacle]:
        try:
            answer = self._client.list_aliases(FunctionName=self._function)
        except AWS_ERRORS as error:
            return [_unchecked("aliases", "lambda:ListAliases", error)]
        names = ", ".join(alias["Name"] for alias in answer.get("Aliases", []))
        if not names:
            return []
        text = (
            f"{self._function} has aliases ({names}): a caller of one gets a published version and "
            "does not see a change of $LATEST"
        )
        return [Obstacle(fatal=False, text=text)]


def _worn_out(state: RetryCallState) -> bool:
    return stop_after_attempt(LOWER_ATTEMPTS)(state)


def _unchecked(what: str, action: str, error: Exception) -> Obstacle:
    return Obstacle(fatal=False, text=told(f"{what} could not be checked ({action})", error))
