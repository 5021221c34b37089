"""Writes a weight without a rollout, a policy or a store: only with a target and a clock."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from tenacity import Retrying, retry_if_exception_type, wait_exponential

from controller.core.observation import TargetReading, UpdateStatus
from controller.errors import TargetError, WriteConflictError, WriteUncertainError
from controller.ports.clock import Clock
from controller.ports.target import ReadingCheck, Target
from controller.process import logging, signals

log = logging.logger()

# The time limit for writing a weight, and again for reading it back as applied.
LIMIT = timedelta(minutes=5)
POLL_INTERVAL = timedelta(seconds=1)
# More attempts than fit into the limit; they end the loop where a clock stands still.
_ATTEMPTS: Final = 60
_PAUSE: Final = wait_exponential(multiplier=0.5, max=8)


def lower_and_confirm(
    target: Target, clock: Clock, check: ReadingCheck | None = None
) -> TargetReading:
    """Lower `target` to 0% and return its reading once that is applied, or at the limit.

    A weight of 0% is written once more: it voids the token of a first raise that was decided and
    is not written yet. Without a store it is unknown whether there is such a raise.
    After a stop signal the weight is still lowered, without waiting for it to be applied.
    Raises TargetError when the target cannot be lowered or read.
    """
    token = ""
    with suppress(TargetError):  # a token that cannot be read stops no rollback
        token = target.read().token
    target.lower_to_zero(LIMIT, outdated_token=token, check=check)
    return wait_for_update(target, clock)


def wait_for_update(target: Target, clock: Clock) -> TargetReading:
    """Return the reading of `target` after its update, at the limit, or after a stop signal.

    Raises TargetError when it cannot be read.
    """
    deadline = clock.now() + LIMIT
    while (reading := target.read()).update is UpdateStatus.IN_PROGRESS:
        if clock.now() >= deadline or signals.stop_requested():
            break
        clock.sleep(POLL_INTERVAL)
    return reading


def shift_and_confirm(
    target: Target, before: TargetReading, weight: int, clock: Clock
) -> TargetReading:
    """Set `target` from `before` to a `weight` above 0; return its reading after the update.

    A raise is written once: a change outside rolloutctl in between is left alone. Lowering is tried
    again as long as the weight is above `weight`.
    Raises TargetError when the weight was not written, or when that is unknown.
    """
    if before.may_exceed(weight):
        _lower(target, weight, clock)
    else:
        target.shift_to(weight, before.token)
    try:
        return wait_for_update(target, clock)
    except TargetError as error:
        raise TargetError(
            f"{weight}% was written; whether it is applied is unknown: {error}",
            **error.context,
        ) from error


def _lower(target: Target, weight: int, clock: Clock) -> None:
    deadline = clock.now() + LIMIT

    def lower_once() -> None:
        reading = target.read()
        if reading.may_exceed(weight):
            target.shift_to(weight, reading.token)
        elif reading.weight != weight:
            raise TargetError(
                f"{weight}% was not set: the weight was changed outside rolloutctl meanwhile and "
                f"is not above {weight}% ({reading.variables}); check who changed it"
            )

    Retrying(
        retry=retry_if_exception_type((WriteConflictError, WriteUncertainError)),
        wait=_PAUSE,
        sleep=lambda pause_s: clock.sleep(timedelta(seconds=pause_s)),
        stop=lambda state: (
            clock.now() >= deadline or state.attempt_number >= _ATTEMPTS or signals.stop_requested()
        ),
        before_sleep=lambda state: log.warning(
            "call_retried",
            attempt=state.attempt_number,
            problem=str(state.outcome.exception() if state.outcome else None),
        ),
        reraise=True,
    )(lower_once)
