"""Lowering the weight of one Lambda function: again and again, until it is done or time is over."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from controller.adapters.aws.clients import AWS_ERRORS, code_of, is_transient
from controller.adapters.targets.lambda_function import LambdaFunction, NoAnswerError
from controller.adapters.targets.weight_variables import Pair
from controller.core.observation import TargetReading, UpdateStatus
from controller.core.units import format_duration
from controller.errors import TargetError, WriteRefusedError, WriteUncertainError
from controller.ports.clock import Clock
from controller.process import logging, signals

log = logging.logger()

# The pause before each new try: drawn between the first and a limit that doubles.
PAUSE_FIRST_S: Final = 0.5
PAUSE_MOST_S: Final = 8.0
# More than fit into the longest rollback; they end the loop where a clock stands still.
LOWER_ATTEMPTS: Final = 120


@dataclass(frozen=True, slots=True)
class LoweringLoop:
    """Writes 0 % over whatever `function` shows.

    jitter: draws a pause between two limits, in seconds. void: while this is the RevisionId, 0 % is
    written where it stands too, because any update gives another one. check: is shown each reading
    first, and what it raises ends the matter.
    """

    function: LambdaFunction
    pair: Pair
    clock: Clock
    jitter: Callable[[float, float], float]
    void: str
    check: Callable[[TargetReading], object] | None

    def run(self, within: timedelta) -> None:
        """Try until it is done, or `within` is over; raise what `Target.lower_to_zero` says.

        A process that is asked to end goes on as long as that allows: less traffic comes first.
        """
        deadline = self.clock.now() + within
        retrying = Retrying(
            retry=retry_if_exception_type(_RetryError),
            wait=self._pause_s,
            sleep=lambda pause_s: self._pause(pause_s, deadline - self.clock.now()),
            stop=lambda state: (
                self.clock.now() >= deadline
                or state.attempt_number >= LOWER_ATTEMPTS
                or signals.grace_is_over()
            ),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            retrying(self._attempt)
        except _RetryError as error:
            # The answer to the last try may be all that was lost.
            found = self._read_or_none()
            if found is not None and self._is_done(found):
                return
            stands = error.stands if found is None else f"it shows {found.shown}"
            by_hand = self.pair.shown(self.pair.merged({}, 0))
            limit = "before this run had to end" if signals.grace_is_over() else ""
            raise TargetError(
                f"{self.function.name} was not set to 0 % "
                f"{limit or f'within {format_duration(within)}'}; "
                f"{stands}; last problem: {error}. Roll back again, or set {by_hand} by hand"
            ) from error

    def _attempt(self) -> None:
        """Lower once. Raises _NotYetError for what may pass, else what `run` raises."""
        try:
            found = self.function.read()
        except NoAnswerError as error:
            raise _RetryError(str(error), "what it shows is not known") from error
        reading = found.reading
        if self._is_done(reading):
            return
        stands = f"it shows {reading.shown}"
        if reading.update is UpdateStatus.IN_PROGRESS:
            raise _RetryError("an update is in progress", stands)
        try:
            self.function.write(found, 0)
        except WriteUncertainError as error:
            raise WriteRefusedError(str(error), **error.context) from error
        except AWS_ERRORS as error:
            text = self.function.write_problem(0, error, found)
            if is_transient(error):
                raise _RetryError(text, stands) from error
            raise WriteRefusedError(text, code=code_of(error)) from error

    def _is_done(self, reading: TargetReading) -> bool:
        """Tell whether 0 % is written and may come into force; a failed update never does.

        Raises what `check` raises.
        """
        if self.check is not None:
            self.check(reading)
        at_zero = reading.weight == 0 and reading.update is not UpdateStatus.FAILED
        return at_zero and not (self.void and reading.token == self.void)

    def _read_or_none(self) -> TargetReading | None:
        """Return what the function shows; None when it does not answer."""
        try:
            return self.function.read().reading
        except TargetError:
            return None

    def _pause_s(self, state: RetryCallState) -> float:
        limit = PAUSE_FIRST_S * 2.0 ** min(state.attempt_number, 10)
        return self.jitter(PAUSE_FIRST_S, min(PAUSE_MOST_S, limit))

    def _pause(self, pause_s: float, left: timedelta) -> None:
        """Sleep, but not past the deadline: the last try is made there."""
        self.clock.sleep(min(timedelta(seconds=pause_s), left))

    def _log_retry(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        log.warning(
            "call_retried",
            function=self.function.name,
            attempt=state.attempt_number,
            problem=str(problem),
        )


class _RetryError(Exception):
    """The lowering loop goes round once more. stands: what the function shows, in words."""

    def __init__(self, problem: str, stands: str) -> None:
        super().__init__(problem)
        self.stands = stands
