"""Calls to one DynamoDB table: consistent reads of all pages, conditional writes, store errors.

A write without an answer may have happened: its caller re-reads the item, and recognises its own
write by the write id.

IAM: dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:UpdateItem,
dynamodb:DeleteItem, dynamodb:ConditionCheckItem and dynamodb:Scan on the table, dynamodb:Query and
dynamodb:Scan on its indexes. A transaction needs the actions of its parts. Except on two indexes
and for a Scan, every request has a partition key of the table, so a role can be bound to the keys
of its policies.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from controller.adapters.aws.clients import (
    AWS_ERRORS,
    THROTTLED_ADVICE,
    StrangeAnswerError,
    code_of,
    error_text,
)
from controller.adapters.iam import TABLE, TRAFFIC_JOBS, Job, Permission
from controller.adapters.stores.dynamodb.items import FIX, FORMAT, LOWER, OWNER, Attribute, Item
from controller.adapters.stores.dynamodb.writes import (
    MOST_BYTES,
    MOST_WRITES,
    ConditionFailedError,
    Problem,
    TransactionConflictError,
    UnknownWriteOutcomeError,
    Write,
    cancellation_text,
    may_have_happened,
    raise_refusal,
)
from controller.errors import NoStoreError, StateConflictError, StoreError

TRIES: Final = 6  # attempts of a write that collides with another one
PAGES: Final = 10_000  # of one megabyte each
MOST_KEYS: Final = 100  # of one BatchGetItem
PAUSE_S: Final = 0.5  # the longest between two attempts of a write

_ACTIVE: Final = f"{TABLE}/index/active"
_ACTIVE_OF_NAME: Final = f"{TABLE}/index/active_of_name"
_BY_TARGET: Final = f"{TABLE}/index/by_target"
_READ_WRITE_JOBS: Final = TRAFFIC_JOBS | {Job.COPY_FROM, Job.COPY_TO}
_READ_JOBS: Final = frozenset(
    {Job.READ, Job.INVESTIGATE, Job.MONITORING, Job.DOCTOR, Job.STORE_CHECK}
)
# Jobs that read the list of recipients or the rules: to go by them, or to check them.
_RULED_JOBS: Final = TRAFFIC_JOBS | {Job.READ, Job.DOCTOR, Job.COPY_FROM, Job.COPY_TO}
# Jobs that read many rollouts, or who owns many targets.
_BATCH_JOBS: Final = TRAFFIC_JOBS | {Job.READ, Job.STORE_CHECK, Job.STORE_UPGRADE}
_UPGRADE: Final = frozenset({Job.STORE_UPGRADE})
# Jobs that read the format of new rollouts.
_FORMAT_JOBS: Final = frozenset({Job.START, Job.COPY_TO, Job.STORE_UPGRADE})
# Jobs that judge a rollout that was started as a fix.
_JUDGING_JOBS: Final = frozenset({Job.TICK, Job.OPERATE, Job.FIX})

IAM: Final = (
    Permission("dynamodb:GetItem", TABLE, _READ_WRITE_JOBS | _READ_JOBS | _UPGRADE, keyed=True),
    Permission("dynamodb:Query", TABLE, _READ_WRITE_JOBS | _READ_JOBS, keyed=True),
    Permission("dynamodb:PutItem", TABLE, TRAFFIC_JOBS | {Job.COPY_TO}, keyed=True),
    Permission("dynamodb:UpdateItem", TABLE, TRAFFIC_JOBS | _UPGRADE, keyed=True),
    Permission("dynamodb:DeleteItem", TABLE, {Job.COPY_TO}, keyed=True),
    Permission("dynamodb:ConditionCheckItem", TABLE, {Job.COPY_TO}, keyed=True),
    Permission("dynamodb:BatchGetItem", TABLE, _BATCH_JOBS, keyed=True),
    Permission("dynamodb:Query", _ACTIVE_OF_NAME, {Job.DOCTOR, Job.STORE_CHECK}, keyed=True),
    Permission("dynamodb:Query", _ACTIVE_OF_NAME, {Job.TICK}, keyed=True, bound=True),
    Permission("dynamodb:Query", _ACTIVE, {Job.TICK}, bound=False),
    Permission("dynamodb:Query", _ACTIVE, {Job.OPERATE, Job.READ, Job.STORE_UPGRADE}),
    Permission("dynamodb:Scan", _BY_TARGET, {Job.OPERATE, Job.READ}, bound=False),
    Permission("dynamodb:Scan", _BY_TARGET, {Job.COPY_FROM}),
    Permission("dynamodb:Scan", TABLE, {Job.STORE_CHECK}),
    Permission("dynamodb:GetItem", TABLE, _RULED_JOBS, partition=OWNER),
    Permission("dynamodb:GetItem", TABLE, _JUDGING_JOBS, partition=FIX),
    Permission("dynamodb:PutItem", TABLE, {Job.FIX}, partition=FIX),
    Permission("dynamodb:PutItem", TABLE, {Job.LOWER}, partition=LOWER),
    Permission("dynamodb:GetItem", TABLE, {Job.OWNER}, partition=OWNER),
    Permission("dynamodb:UpdateItem", TABLE, {Job.OWNER}, partition=OWNER),
    Permission("dynamodb:DeleteItem", TABLE, {Job.OWNER}, partition=OWNER),
    Permission("dynamodb:GetItem", TABLE, _FORMAT_JOBS, partition=FORMAT),
    Permission("dynamodb:UpdateItem", TABLE, _UPGRADE | {Job.STORE_INIT}, partition=FORMAT),
)


class DynamoDbTable:
    """The table called `name`, on a boto3 DynamoDB client."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name
        self.place = f"dynamodb://{name}"

    # --- reads ----------------------------------------------------------------------------------

    def get(self, doing: str, key: Item) -> Item | None:
        """Return the item with `key` by a consistent read; None when there is none."""
        with self._store_errors(doing, "GetItem"):
            answer = _check_answer(
                self._client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
            )
        item: Item | None = answer.get("Item")
        return item

    def item_after(self, doing: str, first: Write, problem: Problem) -> Item | None:
        """Return the current item of `first`, the first of the writes that failed with `problem`.

        Raises `problem` when it is an unknown outcome and the item cannot be read either.
        """
        if isinstance(problem, ConditionFailedError) and problem.failed[0]:
            return problem.items[0]
        request = first.request
        key = request.get("Key") or {name: request["Item"][name] for name in ("pk", "sk")}
        try:
            return self.get(doing, key)
        except StoreError:
            if isinstance(problem, UnknownWriteOutcomeError):
                raise problem from None
            raise

    def get_all(
        self, doing: str, keys: Sequence[Item], *, only: Sequence[str] = ()
    ) -> Iterator[Item]:
        """Yield the items of `keys` that exist, in any order.

        Every read is consistent. One of them has at most a hundred keys, and may leave some out.

        only: the attributes to return, beside the keys; empty: all of them.
        """
        request: dict[str, Any] = {"ConsistentRead": True}
        if only:
            names = {f"#{name}": name for name in ("pk", "sk", *only)}
            request["ProjectionExpression"] = ", ".join(names)
            request["ExpressionAttributeNames"] = names
        left = list(keys)
        with self._store_errors(doing, "BatchGetItem"):
            while left:
                asked, rest = left[:MOST_KEYS], left[MOST_KEYS:]
                answer = _check_answer(
                    self._client.batch_get_item(
                        RequestItems={self.name: {**request, "Keys": asked}}
                    )
                )
                yield from answer.get("Responses", {}).get(self.name, [])
                unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                if len(unread) >= len(asked):  # an endless loop
                    raise StrangeAnswerError("it read none of the keys")
                left = [*unread, *rest]

    def query(
        self,
        doing: str,
        key: str,
        value: Attribute,
        *,
        index: str = "",
        sort: tuple[str, Attribute] | None = None,
        only: Sequence[str] = (),
        newest: bool = False,
    ) -> Iterator[Item]:
        """Yield all items whose partition key is `value`, in order of the sort key.

        newest: from the last one on, one item a read.

        index: empty for the table itself; a global index may lag a moment. sort: name and required
        value of the sort key. only: the attributes to return; empty: all of them.
        """
        request: dict[str, Any] = {"IndexName": index} if index else {}
        if newest:
            request |= {"ScanIndexForward": False, "Limit": 1}
        if key == "pk":
            request["ConsistentRead"] = True
        condition, names, values = f"#{key} = :value", (key, *only), {":value": value}
        if sort is not None:
            condition, names = f"{condition} AND #{sort[0]} = :sort", (*names, sort[0])
            values[":sort"] = sort[1]
        if only:
            request["ProjectionExpression"] = ", ".join(f"#{name}" for name in only)
        return self._pages(
            doing,
            "query",
            KeyConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues=values,
            **request,
        )

    def scan(
        self, doing: str, *, index: str = "", beginning: Attribute | None = None
    ) -> Iterator[Item]:
        """Yield all items of `index`, or the keys of those whose `pk` has this beginning.

        They are in no particular order. Only an answer of the table itself is consistent.
        """
        if index:
            return self._pages(doing, "scan", IndexName=index)
        return self._pages(
            doing,
            "scan",
            ConsistentRead=True,
            FilterExpression="begins_with(#pk, :beginning)",
            ProjectionExpression="#pk, #sk",
            ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
            ExpressionAttributeValues={":beginning": beginning},
        )

    def _pages(self, doing: str, operation: str, **request: Any) -> Iterator[Item]:
        """Yield the items of all pages.

        Not by botocore's paginator, which searches the folders of all services on every tick.
        """
        call, begin = getattr(self._client, operation), "ExclusiveStartKey"
        with self._store_errors(doing, operation.title()):
            for _ in range(PAGES):
                page = _check_answer(call(TableName=self.name, **request))
                if "Items" not in page:
                    raise StrangeAnswerError
                yield from page["Items"]
                last_key = page.get("LastEvaluatedKey")
                if not last_key:
                    return
                if last_key == request.get(begin):  # an endless loop
                    raise StrangeAnswerError
                request[begin] = last_key
            raise StrangeAnswerError(f"it has more than {PAGES:,} pages")

    # --- writes ---------------------------------------------------------------------------------

    def write(self, doing: str, writes: Sequence[Write], *, returning: bool = False) -> Item:
        """Make all `writes` or none; return the item after a single update, when `returning`.

        Raises ConditionFailedError, UnknownWriteOutcomeError, StateConflictError when every attempt
        collided with another write, StoreError when DynamoDB refuses it or it is too large.
        """
        size = sum(one.size for one in writes)
        if len(writes) > MOST_WRITES or size > MOST_BYTES:
            raise StoreError(
                f"cannot {doing}: {len(writes)} items of {size:,} bytes do not fit in one "
                f"transaction of DynamoDB ({MOST_WRITES} items, {MOST_BYTES:,} bytes); nothing was "
                "written: ask for fewer metrics in the policy, or use another store",
                size=size,
            )
        tries = Retrying(
            retry=retry_if_exception_type(TransactionConflictError),
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=PAUSE_S / 10, max=PAUSE_S),
            reraise=True,
        )
        try:
            return tries(self._write_once, doing, writes, returning)
        except TransactionConflictError as error:
            if error.throttled:
                raise StoreError(
                    f"cannot {doing} (dynamodb:TransactWriteItems, table {self.name}), "
                    f"{TRIES} times: {error.throttled}; nothing was written; {THROTTLED_ADVICE}",
                    table=self.name,
                ) from error
            raise StateConflictError(
                f"cannot {doing}: others wrote at the same moment, {TRIES} times; "
                "nothing was written, safe to retry",
                table=self.name,
            ) from error

    def _write_once(self, doing: str, writes: Sequence[Write], returning: bool) -> Item:
        single_update = writes[0] if len(writes) == 1 and writes[0].kind == "Update" else None
        operation = "UpdateItem" if single_update else "TransactWriteItems"
        with self._store_errors(doing, operation, writing=True):
            if single_update is None:
                actions = [
                    {write.kind: {"TableName": self.name, **write.request}} for write in writes
                ]
                _check_answer(self._client.transact_write_items(TransactItems=actions))
                return {}
            values = "ALL_NEW" if returning else "NONE"
            answer = self._client.update_item(
                TableName=self.name, ReturnValues=values, **single_update.request
            )
            item: Item = _check_answer(answer).get("Attributes", {})
            return item

    # --- errors ---------------------------------------------------------------------------------

    @contextmanager
    def _store_errors(self, doing: str, operation: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except AWS_ERRORS as error:
            if writing and isinstance(error, ClientError):
                raise_refusal(error)
            raise self._failure(doing, operation, error, writing) from error

    def _failure(self, doing: str, operation: str, error: Exception, writing: bool) -> StoreError:
        if code_of(error) == "ResourceNotFoundException":
            region = self._client.meta.region_name
            return NoStoreError(
                f"there is no table {self.name} in {region} of this account; a rollout that runs "
                "is probably in another table, region or account: check these; only for a first "
                f"set-up, make an empty one: rolloutctl store init --store {self.place}",
                table=self.name,
                region=region,
            )
        text = error_text(f"cannot {doing} (dynamodb:{operation}, table {self.name})", error)
        facts = {"table": self.name, "code": code_of(error)}
        if writing and may_have_happened(error):
            return UnknownWriteOutcomeError(f"{text}; whether it was written is not known", **facts)
        return StoreError(f"{text}{cancellation_text(error)}", **facts)


def _check_answer(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `answer`. Raises StrangeAnswerError when it cannot come from DynamoDB."""
    if "RequestId" not in answer.get("ResponseMetadata", {}):
        raise StrangeAnswerError
    return answer
