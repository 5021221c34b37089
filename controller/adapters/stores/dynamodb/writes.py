"""Conditional writes to a DynamoDB table, and the outcome of one that was refused or got lost.

Conditions and expressions refer to attributes as `#name`, because DynamoDB reserves many words.

botocore repeats a call whose answer was lost. Then the first attempt may have been written, and the
second refused because of it; the write id in the item tells the two cases apart.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from botocore.exceptions import ClientError

from controller.adapters.aws.clients import code_of, is_transient
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.dynamodb.items import (
    Attribute,
    Item,
    fence_of,
    number,
    rollout_of,
    size_of,
    version_of,
)
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable

ABSENT: Final = "attribute_not_exists(#pk)"
# Limits of one transaction; MOST_BYTES leaves room for expressions and keys below 4 MB.
MOST_WRITES: Final = 100
MOST_BYTES: Final = 3_800_000


class Write(Immutable):
    """One action of a transaction, or a single update; `size` in bytes."""

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    request: Mapping[str, Any]
    size: int = 0


def put(item: Item, condition: str = "", **values: Attribute) -> Write:
    """Return a write of a whole item."""
    return Write("Put", {"Item": item, **_expressions(condition, values)}, size_of(item))


def delete(key: Item) -> Write:
    """Return the removal of an item."""
    return Write("Delete", {"Key": key})


def check(key: Item, condition: str, **values: Attribute) -> Write:
    """Return a check that makes the whole transaction conditional, and writes nothing."""
    return Write("ConditionCheck", {"Key": key, **_expressions(condition, values)})


def update(
    key: Item,
    changes: Mapping[str, Attribute | None],
    condition: str = "",
    *,
    add: Mapping[str, int] | None = None,
    **values: Attribute,
) -> Write:
    """Return an update of attributes: set to a value, removed when None, incremented by `add`."""
    sets = [f"#{name} = :{name}" for name, value in changes.items() if value is not None]
    sets += [f"#{name} = #{name} + :{name}" for name in add or {}]
    removed = [f"#{name}" for name, value in changes.items() if value is None]
    clauses = [("SET", sets), ("REMOVE", removed)]
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)
    values = {
        **{name: value for name, value in changes.items() if value is not None},
        **{name: number(value) for name, value in (add or {}).items()},
        **values,
    }
    request = {
        "Key": key,
        "UpdateExpression": expression,
        **_expressions(condition, values, expression),
    }
    return Write("Update", request, size_of(values))


def batches(writes: Iterable[Write], room: int) -> Iterator[list[Write]]:
    """Yield `writes` in groups that fit in one transaction each, with `room` more writes."""
    batch: list[Write] = []
    for write in writes:
        full = len(batch) == MOST_WRITES - room
        if full or (batch and sum(one.size for one in (*batch, write)) > MOST_BYTES):
            yield batch
            batch = []
        batch.append(write)
    if batch:
        yield batch


def _expressions(
    condition: str, values: Mapping[str, Attribute], expression: str = ""
) -> dict[str, Any]:
    """Return the parameters of a condition, with the names and values of both expressions."""
    parameters: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
    if condition:
        parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    names = re.findall(r"#(\w+)", f"{expression} {condition}")
    if names:
        parameters["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
    if values:
        parameters["ExpressionAttributeValues"] = {
            f":{name}": value for name, value in values.items()
        }
    return parameters


class ConditionFailedError(Exception):
    """A condition failed, so the last attempt wrote nothing.

    failed: for each write, whether its condition failed. items: for each write, the item that made
    it fail. repeated: botocore had sent the call before, and that attempt may have been written.
    """

    def __init__(
        self, failed: Sequence[bool], items: Sequence[Item | None], repeated: bool
    ) -> None:
        super().__init__("a condition did not hold")
        self.failed, self.items, self.repeated = failed, items, repeated


class UnknownWriteOutcomeError(StoreError):
    """DynamoDB did not answer: the write may or may not have happened."""


class TransactionConflictError(Exception):
    """Another write to the same item was in progress; DynamoDB refuses both or the second.

    throttled: the message of DynamoDB, when the table was throttled instead; else empty.
    """

    def __init__(self, throttled: str = "") -> None:
        super().__init__(throttled or "another write was on its way")
        self.throttled = throttled


_COLLISION: Final = frozenset({"TransactionConflict", "TransactionConflictException"})
_CONDITION: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
# botocore does not recognise throttling inside a transaction.
_THROTTLED: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


def raise_refusal(error: ClientError) -> None:
    """Raise ConditionFailedError or TransactionConflictError for `error`; return for others."""
    reasons = _cancellation(error) or [{"Code": code_of(error), **error.response}]
    codes = {reason.get("Code", "None") for reason in reasons}
    if codes & _CONDITION:
        failed = [reason.get("Code") in _CONDITION for reason in reasons]
        repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
        raise ConditionFailedError(
            failed, [one.get("Item") for one in reasons], repeated
        ) from error
    if codes & (_COLLISION | _THROTTLED) and codes <= (_COLLISION | _THROTTLED | {"None"}):
        throttled = [one for one in reasons if one.get("Code") in _THROTTLED]
        raise TransactionConflictError(_reason_text(throttled)) from error


def _cancellation(error: Exception) -> Sequence[Mapping[str, Any]]:
    if not isinstance(error, ClientError):
        return ()
    reasons: Sequence[Mapping[str, Any]] = error.response.get("CancellationReasons", ())
    return reasons


def cancellation_text(error: Exception) -> str:
    """Return the reasons of a cancelled transaction, as the end of a sentence."""
    return "".join(f"; {one}" for one in [_reason_text(_cancellation(error))] if one)


def _reason_text(reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return the messages of AWS for `reasons`, or the code of a reason without one."""
    causes = [reason for reason in reasons if reason.get("Code", "None") != "None"]
    return "; ".join(cause.get("Message") or cause["Code"] for cause in causes)


def may_have_happened(error: Exception) -> bool:
    """Tell whether the write may have happened, or may still happen.

    That is so without an answer, after a failure inside DynamoDB (5xx), and while an earlier
    attempt of the same transaction, whose answer was lost, is still in progress.
    """
    if code_of(error) == "TransactionInProgressException":
        return True
    if not isinstance(error, ClientError):
        return is_transient(error)
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500


Problem: TypeAlias = ConditionFailedError | UnknownWriteOutcomeError


def is_written(rollout: Rollout, write_id: Attribute, item: Item, problem: Problem) -> bool:
    """Tell whether `item` is the result of the write of `rollout`.

    Raises UnknownWriteOutcomeError when the write may have happened, and a newer version of another
    run has replaced it.
    """
    if item.get("write_id") == write_id:
        return True
    unseen = isinstance(problem, UnknownWriteOutcomeError) or problem.repeated
    if unseen and version_of(item) > rollout.version:
        raise UnknownWriteOutcomeError(
            f"whether version {rollout.version} of {rollout.id} was written is not known: "
            "an answer of DynamoDB was lost, and other runs have saved it since "
            f"(version {version_of(item)}); look at its history, and run again",
            rollout=rollout.id,
        )
    return False


def save_error(rollout: Rollout, fence: int | None, item: Item, problem: Problem) -> Exception:
    """Return the error of a save of `rollout` that was not written. fence: of this run, if any."""
    same = version_of(item) == rollout.version and fence in (None, fence_of(item))
    if same and isinstance(problem, UnknownWriteOutcomeError):
        return problem
    if same:
        return _leftover_history(rollout.id)
    return refusals.save_conflict(rollout, rollout_of(item))


def lost_locks(problem: Problem, locks: Sequence[str]) -> list[str]:
    """Return the locks that other rollouts hold by now, when nothing else made a save fail.

    The writes of `locks` are the last ones of the save.
    """
    if not isinstance(problem, ConditionFailedError) or not locks:
        return []
    other_writes, lock_writes = problem.failed[: -len(locks)], problem.failed[-len(locks) :]
    if any(other_writes):
        return []
    return [lock for lock, failed in zip(locks, lock_writes, strict=True) if failed]


def check_locks_changed(rollout_id: str, problem: Problem, entries: int) -> None:
    """Return if only the locks of a new rollout made its write fail; else raise the error.

    entries: the number of history writes between those of the rollout and of its locks.
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
