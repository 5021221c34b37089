"""A target whose weight is in one AWS resource: a raise is tried once, lowering is retried."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from controller.adapters.aws.clients import (
    AWS_ERRORS,
    code_of,
    error_text,
    is_conflict,
    is_transient,
)
from controller.adapters.aws.request_rates import lowering
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.units import format_duration
from controller.errors import (
    NoAnswerError,
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.target import InspectableTarget, ReadingCheck
from controller.process import logging, signals

log = logging.logger()

# Pauses between attempts, in seconds: jittered between the first and a limit that doubles.
PAUSE_FIRST_S: Final = 0.5
PAUSE_MOST_S: Final = 8.0
# More than fit into the longest rollback; ends the loop when the clock does not advance.
LOWER_ATTEMPTS: Final = 120
_IN_PROGRESS: Final = "an update is in progress"


class Snapshot(Protocol):
    """A resource as AWS describes it, with all that a write has to keep."""

    @property
    def reading(self) -> TargetReading:
        """The weight in it."""


S = TypeVar("S", bound=Snapshot)


class Resource(Protocol[S]):
    """The AWS resource that holds a weight. name: for messages."""

    name: str

    def read(self) -> S:
        """Return the resource as it is.

        Raises NoAnswerError where a retry may succeed, TargetError where none does, and
        WriteRefusedError where a write would lose settings.
        """

    def write(self, snapshot: S, weight: int) -> None:
        """Write `weight` once, conditional on `snapshot`; raises what boto3 raises.

        WriteRefusedError and WriteUncertainError end the attempts.
        """

    def write_problem(self, weight: int, error: Exception, snapshot: S) -> str:
        """Return why `weight` was not written, in one sentence with what to do."""

    def stop_update(self, snapshot: S) -> str:
        """Stop the update in progress of `snapshot`, which 0% would have to wait for.

        Never where that could raise the weight. Returns why it was not stopped; empty: it was, or
        the service stops none.
        """
        return ""


def raise_unreadable(name: str, action: str, error: Exception) -> NoReturn:
    """Raise NoAnswerError where a retry may read `name`, else TargetError.

    action: the call that failed, like `lambda:GetAlias`.
    """
    kind = NoAnswerError if is_transient(error) else TargetError
    text = error_text(f"{name} could not be read ({action})", error)
    raise kind(text, code=code_of(error)) from error


class ResourceTarget(InspectableTarget, Generic[S]):
    """`InspectableTarget` on one resource. What is particular to its kind is in `resource`.

    by_hand: what an operator does in AWS for 0%, in words. jitter: draws a pause between two
    limits, in seconds.
    """

    def __init__(
        self,
        resource: Resource[S],
        by_hand: str,
        clock: Clock,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._resource, self._by_hand = resource, by_hand
        self._clock, self._jitter = clock, jitter

    def read(self) -> TargetReading:
        return self._resource.read().reading

    # --- a raise: one attempt -------------------------------------------------------------------

    def shift_to(self, weight: int, token: str) -> None:
        snapshot = self._resource.read()
        self._check_token(snapshot, weight, token)
        self._check_raise(snapshot, weight)
        self._write_once(snapshot, weight, self._resource.write)

    def _check_token(self, snapshot: S, weight: int, token: str) -> None:
        name = self._resource.name
        if not token:
            raise WriteRefusedError(
                f"{name} has no RevisionId, so nothing would keep a late raise from undoing a "
                "rollback; nothing was written: use an endpoint that gives one"
            )
        if snapshot.reading.token != token:
            raise WriteConflictError(
                f"{name} was changed since {weight}% was decided; nothing was written, and it "
                "has to be decided anew",
                weight_percent=weight,
            )

    def _check_raise(self, snapshot: S, weight: int) -> None:
        """Raise WriteRefusedError where `weight` cannot be written over `snapshot`."""

    def _takes_writes(self, snapshot: S) -> bool:
        """Tell whether the resource takes writes now. One that does not is in conflict with any."""
        return True

    def _write_once(self, snapshot: S, weight: int, write: Callable[[S, int], None]) -> None:
        """Write `weight`; where that fails, read it back, and never write again.

        botocore repeats a call whose answer was lost, and the repetition then fails with a 412
        because of the first write of this call.
        """
        try:
            write(snapshot, weight)
        except AWS_ERRORS as error:
            problem, code = self._resource.write_problem(weight, error, snapshot), code_of(error)
            if not is_transient(error):
                raise WriteRefusedError(problem, code=code) from error
            try:
                current = self.read().weight
            except TargetError as unread:
                raise WriteUncertainError(f"{problem}; and then {unread}", code=code) from error
            if current == weight:
                return
            if not is_conflict(error):
                raise WriteUncertainError(problem, code=code) from error
            kind = WriteConflictError if self._takes_writes(snapshot) else WriteRefusedError
            raise kind(problem, code=code) from error

    # --- lowering: with retries -----------------------------------------------------------------

    def lower_to_zero(
        self, within: timedelta, *, outdated_token: str = "", check: ReadingCheck | None = None
    ) -> None:
        """Write 0% over any other weight, with retries until `within` is over.

        Every write gives a new token, so that 0% over 0% outdates `outdated_token`. Raises
        WriteRefusedError also where AWS refuses the write permanently, and TargetError also where
        the resource can never be read.
        """
        LoweringLoop(
            self._resource, self._by_hand, self._clock, self._jitter, outdated_token, check
        ).run(within)


class LoweringLoop(Immutable, Generic[S]):
    """Writes 0% to `resource`, whatever its current weight, with retries.

    by_hand, jitter: as in `ResourceTarget`; outdated_token, check: as in its `lower_to_zero`.
    """

    resource: Resource[S]
    by_hand: str
    clock: Clock
    jitter: Callable[[float, float], float]
    outdated_token: str
    check: ReadingCheck | None

    def run(self, within: timedelta) -> None:
        """Retry until 0% is written or `within` is over; raise as `Target.lower_to_zero` does.

        After a stop signal the loop goes on through the grace period: lowering has priority.
        """
        deadline = self.clock.now() + within
        retrying = Retrying(
            retry=retry_if_exception_type(_RetryError),
            wait=self._pause_s,
            # Not past the deadline, where the last attempt is made.
            sleep=lambda pause_s: self.clock.sleep(
                min(timedelta(seconds=pause_s), deadline - self.clock.now())
            ),
            stop=lambda state: (
                self.clock.now() >= deadline
                or state.attempt_number >= LOWER_ATTEMPTS
                or signals.grace_is_over()
            ),
            before_sleep=self._log_retry,
            reraise=True,
        )
        with lowering():  # its requests wait for no others
            try:
                retrying(self._attempt)
            except _RetryError as error:
                # The last write may have succeeded with only its answer lost.
                reading = None
                with suppress(TargetError):
                    reading = self.resource.read().reading
                if reading is not None and self._is_done(reading):
                    return
                shown = error.shown if reading is None else _shown(reading)
                limit = f"within {format_duration(within)}"
                if signals.grace_is_over():
                    limit = "before this run had to end"
                raise TargetError(
                    f"{self.resource.name} was not set to 0% {limit}; {shown}; last problem: "
                    f"{error}. Roll back again, or {self.by_hand}"
                ) from error

    def _attempt(self) -> None:
        """Lower once. Raises _RetryError for a transient failure, else what `run` raises."""
        try:
            snapshot = self.resource.read()
        except NoAnswerError as error:
            raise _RetryError(str(error), "what the target shows is unknown") from error
        reading = snapshot.reading
        if self._is_done(reading):
            return
        shown = _shown(reading)
        if reading.update is UpdateStatus.IN_PROGRESS:
            raise _RetryError(self.resource.stop_update(snapshot) or _IN_PROGRESS, shown)
        try:
            self.resource.write(snapshot, 0)
        except WriteUncertainError as error:
            raise WriteRefusedError(str(error), **error.context) from error
        except AWS_ERRORS as error:
            text = self.resource.write_problem(0, error, snapshot)
            if is_transient(error):
                raise _RetryError(text, shown) from error
            raise WriteRefusedError(text, code=code_of(error)) from error

    def _is_done(self, reading: TargetReading) -> bool:
        """Tell whether 0% is written and its update did not fail: a failed one is never applied.

        Raises what `check` raises.
        """
        if self.check is not None:
            self.check(reading)
        at_zero = reading.weight == 0 and reading.update is not UpdateStatus.FAILED
        return at_zero and not (self.outdated_token and reading.token == self.outdated_token)

    def _pause_s(self, state: RetryCallState) -> float:
        limit = PAUSE_FIRST_S * 2.0 ** min(state.attempt_number, 10)
        return self.jitter(PAUSE_FIRST_S, min(PAUSE_MOST_S, limit))

    def _log_retry(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        log.warning(
            "call_retried",
            target=self.resource.name,
            attempt=state.attempt_number,
            problem=str(problem),
        )


class _RetryError(Exception):
    """Makes the loop retry. shown: what the target shows, in words."""

    def __init__(self, problem: str, shown: str) -> None:
        super().__init__(problem)
        self.shown = shown


def _shown(reading: TargetReading) -> str:
    return f"the target shows {reading.variables}"
