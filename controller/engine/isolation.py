"""Isolates rollouts from each other: an exception becomes the problem of one rollout.

A tick visits many rollouts. A damaged record, an unforeseen answer or a fault of rolloutctl ends
the visit of one of them, and never the tick.
"""

import traceback
from typing import Final, TypeVar

from controller.errors import RolloutError, UnexpectedError
from controller.process import logging

log = logging.logger()

_Error = TypeVar("_Error", bound=Exception)

_FRAMES: Final = 12  # of the stack, the innermost; the log needs no more to find the place


def problem_of(error: Exception, rollout_id: str, doing: str) -> RolloutError:
    """Return `error` as the problem of one rollout; an unexpected one is logged with its place.

    doing: what failed, as in "deciding". The text of an unexpected error is neither in the message
    nor in the log: it may quote a value that was read, such as a secret of the function.
    """
    if isinstance(error, RolloutError):
        return error
    kind, places = type(error).__name__, places_of(error)
    stack = " > ".join(places)
    log.critical("unexpected_error", rollout=rollout_id, doing=doing, error=kind, stack=stack)
    place = places[-1] if places else "an unknown place"
    return UnexpectedError(
        f"unexpected {kind} while {doing} {rollout_id}, at {place}: a fault of rolloutctl, or a "
        "damaged record; report it. To set 0% at once: rolloutctl rollback POLICY.yaml",
        rollout=rollout_id,
        doing=doing,
        error=kind,
    )


def without_traces(error: _Error) -> _Error:
    """Return `error` as one that was never raised.

    The frames of its traceback, and of the errors before it, keep alive all that was read and
    parsed, while a tick keeps its error to the end.
    """
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def places_of(error: Exception) -> list[str]:
    """Return where `error` was raised, as `file:line`, from the outermost call to the innermost."""
    stack = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in stack]
