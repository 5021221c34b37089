"""A DynamoDB client with faults that a test queues: lost answers, refusals, odd answers."""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION

TABLE = "rollouts"

Call = Callable[[], Any]
Fault = Callable[[Call], Any]


class OneAtATime:
    """A client of moto for many threads, one call at a time: moto's transactions would collide."""

    def __init__(self, client: Any) -> None:
        self._client, self._turn = client, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name == "meta":
            return attribute

        def in_turn(**request: Any) -> Any:
            with self._turn:
                return attribute(**request)

        return in_turn


class OddClient:
    """A client whose next calls of an operation meet the queued faults."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not self.faults[name]:
            return attribute
        return lambda **request: self.faults[name].pop(0)(lambda: attribute(**request))


def a_store(client: Any) -> DynamoDbStore:
    """Return a store in a new table, made by one call instead of the six of `store init`."""
    client.create_table(TableName=TABLE, **TABLE_DEFINITION)
    return DynamoDbStore(client, TABLE)


def count_calls(client: Any) -> list[str]:
    """Return a list to which the name of each call is added from now on."""
    calls: list[str] = []
    client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: calls.append(model.name), unique_id="count"
    )
    return calls


def repeat_next(client: Any, operation: str, meanwhile: Callable[[], object] = dict) -> None:
    """Let botocore send the next call of `operation` again, as if its answer had been lost."""
    event = f"needs-retry.dynamodb.{operation}"

    def again(**_: Any) -> float:
        client.meta.events.unregister(event, again)
        meanwhile()
        return 0.0

    client.meta.events.register_first(event, again)


def page_by_page(client: Any) -> None:
    """Let every page hold one item."""
    for operation in ("Query", "Scan"):
        client.meta.events.register(
            f"provide-client-params.dynamodb.{operation}",
            lambda params, **_: {**params, "Limit": 1},
        )


# --- faults -------------------------------------------------------------------------------------


def leads_back(call: Call) -> Any:
    """Return a page whose LastEvaluatedKey leads back to itself."""
    answered = {"ResponseMetadata": {"RequestId": "42"}, "Items": []}
    return {**answered, "LastEvaluatedKey": {"pk": {"S": "checkout#1"}}}


def answer_lost(call: Call) -> Any:
    """Make the call, and lose its answer."""
    call()
    raise ReadTimeoutError(endpoint_url="https://dynamodb.example")


def never_arrived(call: Call) -> Any:
    """Lose the call."""
    raise ReadTimeoutError(endpoint_url="https://dynamodb.example")


def done_then_500(call: Call) -> Any:
    """Make the call, and answer with an internal error."""
    call()
    raise an_error("InternalServerError", 500)


def proxy_answers(call: Call) -> Any:
    """Return what botocore parses from the page of a proxy."""
    return {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}}


def refused(call: Call) -> Any:
    """Deny access."""
    raise an_error("AccessDeniedException", 400)


def conflicts(call: Call) -> Any:
    """Report a conflict with another write to the same item, in the form of an update."""
    raise an_error("TransactionConflictException", 400)


def transaction_conflicts(call: Call) -> Any:
    """Report the same conflict in the form of a transaction."""
    raise a_cancellation("None", "TransactionConflict")


def transaction_was_throttled(call: Call) -> Any:
    """Report that a part of the transaction was throttled."""
    raise a_cancellation("ThrottlingError", "None")


def transaction_was_wrong(call: Call) -> Any:
    """Report that a part of the transaction is invalid."""
    raise a_cancellation("ValidationError", "None")


def an_error(code: str, status: int, **facts: Any) -> ClientError:
    """Return an error as botocore builds it from an answer."""
    answer: Any = {
        "Error": {"Code": code, "Message": f"{code} was said."},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "1", "RetryAttempts": 0},
        **facts,
    }
    return ClientError(answer, "AnyOperation")


def a_cancellation(*codes: str) -> ClientError:
    """Return the cancellation of a transaction for these reasons."""
    reasons = [{"Code": code, "Message": f"{code} it was"} for code in codes]
    return an_error("TransactionCanceledException", 400, CancellationReasons=reasons)
