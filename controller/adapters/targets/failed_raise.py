"""What became of a raise whose write failed: the target is read back, and never written again."""

from collections.abc import Callable

from controller.adapters.aws.clients import code_of, is_conflict, is_transient
from controller.core.observation import TargetReading
from controller.errors import (
    TargetError,
    WriteConflictError,
    WriteRefusedError,
    WriteUncertainError,
)


def resolve_failed_raise(
    read: Callable[[], TargetReading],
    weight: int,
    error: Exception,
    problem: str,
    *,
    inactive: bool = False,
) -> None:
    """Return when `weight` was written all the same; else raise, as `Target.shift_to` says.

    botocore repeats a call whose answer was lost, and the repetition then fails with a 412 because
    of its own first write.

    problem: the failure in words. inactive: the resource takes no write now, which is its conflict.
    """
    code = code_of(error)
    if not is_transient(error):
        raise WriteRefusedError(problem, code=code) from error
    try:
        current = read().weight
    except TargetError as unread:
        raise WriteUncertainError(f"{problem}; and then {unread}", code=code) from error
    if current == weight:
        return
    if is_conflict(error) and inactive:
        raise WriteRefusedError(problem, code=code) from error
    kind = WriteConflictError if is_conflict(error) else WriteUncertainError
    raise kind(problem, code=code) from error
