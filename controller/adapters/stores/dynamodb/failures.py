"""Outcomes of a write that DynamoDB refused or did not answer: three errors for every write."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from controller.adapters.aws.clients import code_of, is_transient
from controller.adapters.stores.dynamodb.items import Item
from controller.errors import StoreError


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
    causes = [one for one in reasons if one.get("Code", "None") != "None"]
    return "; ".join(one.get("Message") or one["Code"] for one in causes)


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
