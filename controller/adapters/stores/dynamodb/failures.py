"""What DynamoDB refuses, and what it leaves open: the same few errors for every write."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from controller.adapters.aws.clients import code_of, is_transient
from controller.adapters.stores.dynamodb.items import Item
from controller.errors import StoreError


class ConditionFailedError(Exception):
    """A condition did not hold, so nothing was written by the last try.

    failed: for each write whether its condition failed; found: the items that made them fail.
    repeated: botocore had tried before, and that try may have been written unseen.
    """

    def __init__(
        self, failed: Sequence[bool], found: Sequence[Item | None], repeated: bool
    ) -> None:
        super().__init__("a condition did not hold")
        self.failed, self.items, self.repeated = failed, found, repeated


class UnknownWriteOutcomeError(StoreError):
    """No answer came: the write may or may not have happened."""


class TransactionConflictError(Exception):
    """Another write was on its way to the same item; DynamoDB refuses both or the second.

    throttled: what DynamoDB said, when it was too much for the table instead; else empty.
    """

    def __init__(self, throttled: str = "") -> None:
        super().__init__(throttled or "another write was on its way")
        self.throttled = throttled


_COLLISION: Final = frozenset({"TransactionConflict", "TransactionConflictException"})
_CONDITION: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
# Inside a transaction, botocore does not see that it was throttling.
_THROTTLED: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


def raise_refusal(error: ClientError) -> None:
    """Raise RefusedError or MetError when `error` is one of the two; return when it is not."""
    reasons = _cancellation(error) or [{"Code": code_of(error), **error.response}]
    codes = {reason.get("Code", "None") for reason in reasons}
    if codes & _CONDITION:
        failed = [reason.get("Code") in _CONDITION for reason in reasons]
        repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
        raise ConditionFailedError(
            failed, [one.get("Item") for one in reasons], repeated
        ) from error
    if codes & (_COLLISION | _THROTTLED) and codes <= (_COLLISION | _THROTTLED | {"None"}):
        slow = [one for one in reasons if one.get("Code") in _THROTTLED]
        raise TransactionConflictError(_reason_text(slow)) from error


def _cancellation(error: Exception) -> Sequence[Mapping[str, Any]]:
    if not isinstance(error, ClientError):
        return ()
    found: Sequence[Mapping[str, Any]] = error.response.get("CancellationReasons", ())
    return found


def cancellation_text(error: Exception) -> str:
    """Return what AWS says of each cancelled part of a transaction, to stand after a sentence."""
    return "".join(f"; {one}" for one in [_reason_text(_cancellation(error))] if one)


def _reason_text(reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return AWS's words for `reasons`, or its code where it says no more."""
    real = [one for one in reasons if one.get("Code", "None") != "None"]
    return "; ".join(one.get("Message") or one["Code"] for one in real)


def may_have_happened(error: Exception) -> bool:
    """Tell whether the write may have been made, or still be: no answer, or one that tells nothing.

    That is a failure inside DynamoDB, or that an earlier try of the same transaction, whose answer
    was lost, is still on its way.
    """
    if code_of(error) == "TransactionInProgressException":
        return True
    if not isinstance(error, ClientError):
        return is_transient(error)
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
