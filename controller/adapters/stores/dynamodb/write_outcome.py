"""What became of a write to DynamoDB that was refused, or found no answer.

botocore sends a call again when its answer was lost. Then the first try may have been written, and
the second one refused because of it; the write id in the item tells.
"""

from collections.abc import Sequence
from typing import TypeAlias

from controller.adapters.stores import refusals as refusals
from controller.adapters.stores.dynamodb.calls import Table
from controller.adapters.stores.dynamodb.failures import (
    ConditionFailedError,
    UnknownWriteOutcomeError,
)
from controller.adapters.stores.dynamodb.items import (
    Attribute,
    Item,
    fence_of,
    rollout_of,
    version_of,
)
from controller.adapters.stores.dynamodb.writes import Write
from controller.core.rollout import Rollout
from controller.errors import StoreError

Problem: TypeAlias = ConditionFailedError | UnknownWriteOutcomeError


def item_after(table: Table, doing: str, first: Write, problem: Problem) -> Item | None:
    """Return the item that `first` of the writes was for, as it stands after `problem`.

    Raises `problem` when no answer came and none comes now.
    """
    if isinstance(problem, ConditionFailedError) and problem.failed[0]:
        return problem.items[0]
    request = first.request
    key = request.get("Key") or {name: request["Item"][name] for name in ("pk", "sk")}
    try:
        return table.get(doing, key)
    except StoreError:
        if isinstance(problem, UnknownWriteOutcomeError):
            raise problem from None
        raise


def is_written(rollout: Rollout, write_id: Attribute, item: Item, problem: Problem) -> bool:
    """Tell whether `item` is what the write of `rollout` left.

    Raises UnansweredError when it may have been there, and others have written since.
    """
    if item.get("write_id") == write_id:
        return True
    unseen = isinstance(problem, UnknownWriteOutcomeError) or problem.repeated
    if unseen and version_of(item) > rollout.version:
        raise UnknownWriteOutcomeError(
            f"whether version {rollout.version} of {rollout.id} was written is not known: an answer of "
            f"DynamoDB was lost, and other runs have saved it since (version {version_of(item)}); "
            "look at its history, and run again",
            rollout=rollout.id,
        )
    return False


def save_error(rollout: Rollout, fence: int | None, item: Item, problem: Problem) -> Exception:
    """Return why a save of `rollout`, under `fence` if it has one, was not written."""
    same = version_of(item) == rollout.version and fence in (None, fence_of(item))
    if same and isinstance(problem, UnknownWriteOutcomeError):
        return problem
    if same:
        return _leftover_history(rollout.id)
    return refusals.save_conflict(rollout, rollout_of(item))


def lost_locks(problem: Problem, locks: Sequence[str]) -> list[str]:
    """Return which of `locks` alone kept a save from being written, for they are others' by now.

    Their writes are the last ones of the save.
    """
    if not isinstance(problem, ConditionFailedError) or not locks:
        return []
    others, ours = problem.failed[: -len(locks)], problem.failed[-len(locks) :]
    if any(others):
        return []
    return [lock for lock, failed in zip(locks, ours, strict=True) if failed]


def check_locks_changed(rollout_id: str, problem: Problem, entries: int) -> None:
    """Return if a new rollout was refused for its locks alone; raise what was wrong otherwise.

    entries: how many writes of history stand between the rollout and its locks.
    """
    if isinstance(problem, UnknownWriteOutcomeError):
        raise problem
    if any(problem.failed[1 : 1 + entries]):
        raise _leftover_history(rollout_id) from problem


def _leftover_history(rollout_id: str) -> StoreError:
    return StoreError(
        f"{rollout_id} has entries in its history already that it does not know of, as a copy from "
        "another store that was cut short leaves them; nothing was written: finish that copy",
        rollout=rollout_id,
    )
