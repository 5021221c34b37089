"""The weight in the environment of a Lambda function: a raise is one shot, lowering insists.

IAM: as lambda_function.py and lambda_reach.py say.
"""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from controller import events
from controller.adapters import lambda_names, lambda_reach
from controller.adapters.aws import AWS_ERRORS, code_of, is_conflict, is_passing, told
from controller.adapters.lambda_function import Configuration, LambdaFunction, NoAnswerError
from controller.adapters.pair import ENVIRONMENT_BYTES, Pair, environment_bytes
from controller.core.observation import Reading, Update
from controller.core.policy import LambdaEnv
from controller.core.units import format_duration
from controller.errors import (
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.ports import Clock, Obstacle

log = events.logger()

# The pause before each new try to lower: drawn between the first and a limit that doubles.
PAUSE_FIRST_S: Final = 0.5
PAUSE_MOST_S: Final = 8.0
# More than fit into the longest rollback; they end the loop where a clock stands still.
LOWER_ATTEMPTS: Final = 120


class LambdaEnvTarget:
    """`Target` and `Reachability` on one function's environment.

    client: a boto3 Lambda client. jitter: draws a pause between two limits, in seconds.
    """

    def __init__(
        self,
        client: Any,
        target: LambdaEnv,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._client = client
        self._pair = Pair(target.percentage, target.boolean)
        self._function = LambdaFunction(client, target.function, self._pair)
        self._clock = clock
        self._jitter = jitter

    def read(self) -> Reading:
        """Return the weight as it stands.

        Raises TargetError when Lambda does not answer, WriteRefusedError when it answers without
        the environment.
        """
        return self._function.read().reading

    def obstacles(self) -> Sequence[Obstacle]:
        """Return why a change of $LATEST may not reach traffic, the certain ones first."""
        return lambda_reach.obstacles(self._client, self._function.name, self._pair)

    def doubts(self) -> Sequence[Obstacle]:
        """Return why these may be the wrong names for the function. Raises what `read` raises."""
        found = self._function.read()
        return lambda_names.doubts(self._function.name, self._pair, found.variables)

    # --- shifting: one shot ---------------------------------------------------------------------

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the function still has the RevisionId `token`.

        Raises WriteRefusedError and WriteConflictError (nothing was written), or
        WriteUncertainError when the write may have happened and the weight was not seen afterwards.
        """
        found = self._function.read()
        self._check_shift(found, weight, token)
        try:
            self._function.write(found, weight)
        except AWS_ERRORS as error:
            self._resolve(weight, error)

    def _check_shift(self, found: Configuration, weight: int, token: str) -> None:
        name = self._function.name
        if not token:
            raise WriteRefusedError(
                f"{name} has no RevisionId, so nothing would keep a late raise from undoing a "
                "rollback; nothing was written: use an endpoint that gives one"
            )
        if found.reading.token != token:
            raise WriteConflictError(
                f"{name} was changed since {weight} % was decided; nothing was written: the next "
                "tick decides anew",
                weight_percent=weight,
            )
        size = environment_bytes(self._pair.merged(found.variables, weight))
        if size > ENVIRONMENT_BYTES:
            raise WriteRefusedError(
                f"the environment of {name} would have {size} bytes, and Lambda takes "
                f"{ENVIRONMENT_BYTES}; nothing was written: make room for the variables of the "
                "weight",
                size_bytes=size,
            )

    def _resolve(self, weight: int, error: Exception) -> None:
        """A failed or unanswered write: when the weight stands there, it happened after all.

        botocore repeats a call whose answer was lost, and the repetition then meets its own first
        write as a 412.
        """
        text, code = self._not_set(weight, error), code_of(error)
        if not is_passing(error):
            raise WriteRefusedError(text, code=code) from error
        try:
            stands = self.read().weight
        except TargetError as unread:
            raise WriteUncertainError(f"{text}; and then {unread}", code=code) from error
        if stands == weight:
            return
        kind = WriteConflictError if is_conflict(error) else WriteUncertainError
        raise kind(text, code=code) from error

    def _not_set(self, weight: int, error: Exception) -> str:
        name = self._function.name
        return told(f"{name} was not set to {weight} % (lambda:UpdateFunctionConfiguration)", error)

    # --- lowering: until it is done -------------------------------------------------------------

    def lower_to_zero(self, within: timedelta) -> None:
        """Write 0 % over whatever stands there, trying again until `within` is over.

        Raises WriteRefusedError at once when Lambda refuses the write for good or writing would
        lose settings, TargetError when the function cannot be read for good or time is over.
        """
        deadline = self._clock.now() + within
        retrying = Retrying(
            retry=retry_if_exception_type(_NotYetError),
            wait=self._pause_s,
            sleep=lambda pause_s: self._pause(pause_s, deadline - self._clock.now()),
            stop=lambda state: (
                self._clock.now() >= deadline or state.attempt_number >= LOWER_ATTEMPTS
            ),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            retrying(self._lower_once)
        except _NotYetError as error:
            # The answer to the last try may be all that was lost.
            found = self._found_now()
            if found is not None and _is_zero(found):
                return
            stands = error.stands if found is None else f"it shows {found.shown}"
            by_hand = self._pair.shown(self._pair.merged({}, 0))
            raise TargetError(
                f"{self._function.name} was not set to 0 % within {format_duration(within)}; "
                f"{stands}; last problem: {error}. Roll back again, or set {by_hand} by hand"
            ) from error

    def _lower_once(self) -> None:
        """Lower once. Raises _NotYetError for what may pass, else what `lower_to_zero` raises."""
        try:
            found = self._function.read()
        except NoAnswerError as error:
            raise _NotYetError(str(error), "what it shows is not known") from error
        reading = found.reading
        if _is_zero(reading):
            return
        stands = f"it shows {reading.shown}"
        if reading.update is Update.IN_PROGRESS:
            raise _NotYetError("an update is in progress", stands)
        try:
            self._function.write(found, 0)
        except WriteUncertainError as error:
            raise WriteRefusedError(str(error), **error.context) from error
        except AWS_ERRORS as error:
            text = self._not_set(0, error)
            if is_passing(error):
                raise _NotYetError(text, stands) from error
            raise WriteRefusedError(text, code=code_of(error)) from error

    def _found_now(self) -> Reading | None:
        """Return what the function shows; None when it does not answer."""
        try:
            return self.read()
        except TargetError:
            return None

    def _pause_s(self, state: RetryCallState) -> float:
        limit = PAUSE_FIRST_S * 2.0 ** min(state.attempt_number, 10)
        return self._jitter(PAUSE_FIRST_S, min(PAUSE_MOST_S, limit))

    def _pause(self, pause_s: float, left: timedelta) -> None:
        """Sleep, but not past the deadline: the last try is made there."""
        self._clock.sleep(min(timedelta(seconds=pause_s), left))

    def _log_retry(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        log.warning(
            "call_retried",
            function=self._function.name,
            attempt=state.attempt_number,
            problem=str(problem),
        )


def _is_zero(reading: Reading) -> bool:
    """Tell whether 0 % is written and may come into force; a failed update never does."""
    return reading.weight == 0 and reading.update is not Update.FAILED


class _NotYetError(Exception):
    """The lowering loop goes round once more. stands: what the function shows, in words."""

    def __init__(self, problem: str, stands: str) -> None:
        super().__init__(problem)
        self.stands = stands
