"""Evaluates IAM policy documents for the requests of a DynamoDB store: allowed or denied.

It follows AWS's guides (policy evaluation logic; fine-grained access control of DynamoDB), for the
operators that our documents use. It raises on everything else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION
from controller.immutable import Immutable, field

Document: TypeAlias = Mapping[str, Any]

LEADING_KEYS: Final = "dynamodb:LeadingKeys"


class UnknownRuleError(Exception):
    """A document or a request has something that this evaluator does not know."""


class AccessRequest(Immutable):
    """One action on one resource, with the condition keys that the request has."""

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def allows(document: Document, requests: Iterable[AccessRequest]) -> bool:
    """Tell whether a role that has only this document may make all `requests`."""
    return all(_decide(document, request) for request in requests)


def _decide(document: Document, request: AccessRequest) -> bool:
    """Decide one request: without an Allow it is denied. Every statement is one that is known."""
    allowed = [_applies(one, request) for one in _list(document["Statement"])]
    return any(allowed)


_ELEMENTS: Final = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})


def _applies(statement: Mapping[str, Any], request: AccessRequest) -> bool:
    if unknown := set(statement) - _ELEMENTS:
        raise UnknownRuleError(f"elements {unknown}")
    if statement["Effect"] != "Allow":
        raise UnknownRuleError(f"effect {statement['Effect']}")
    return (
        any(_like(one.lower(), request.action.lower()) for one in _list(statement["Action"]))
        and any(_like(one, request.resource) for one in _list(statement["Resource"]))
        and all(
            _condition_holds(operator, patterns, request.context.get(key, ()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, patterns in keys.items()
        )
    )


def _like(pattern: str, value: str) -> bool:
    """Compare with a pattern: `*` is any text and `?` one character; nothing else is special."""
    if "${" in pattern:
        raise UnknownRuleError(f"{pattern} is not filled in")
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _condition_holds(operator: str, patterns: Any, values: Sequence[str]) -> bool:
    """Tell whether a condition on one key holds. values: none where the request lacks the key."""
    if operator == "Null":
        if patterns not in ("true", "false"):
            raise UnknownRuleError(f"Null: {patterns}")
        return not values if patterns == "true" else bool(values)
    many, _, base = operator.rpartition(":")
    if base != "StringLike" or many not in ("", "ForAllValues"):
        raise UnknownRuleError(f"operator {operator}")
    if not many and len(values) > 1:
        raise UnknownRuleError(f"{operator} on more than one value")
    if not values:
        return many == "ForAllValues"
    return all(any(_like(one, value) for one in _list(patterns)) for value in values)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


# --- requests to DynamoDB -----------------------------------------------------------------------


def access_requests(
    operation: str, request: Mapping[str, Any], *, region: str, account: str
) -> list[AccessRequest]:
    """Return the access requests of one call; a transaction has one for each of its parts."""
    if operation == "TransactWriteItems":
        parts = [pair for one in request["TransactItems"] for pair in one.items()]
        return [_item_request(f"{kind}Item", part, region, account) for kind, part in parts]
    if operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem"):
        return [_item_request(operation, request, region, account)]
    if operation == "BatchGetItem":
        ((name, asked),) = request["RequestItems"].items()
        keys = {LEADING_KEYS: tuple(str(one["pk"]["S"]) for one in asked["Keys"])}
        table = _table({"TableName": name}, region, account)
        return [AccessRequest("dynamodb:BatchGetItem", table, keys)]
    if operation == "Query":
        keys = {LEADING_KEYS: (_query_partition_key(request),)}
        return [AccessRequest("dynamodb:Query", _table(request, region, account), keys)]
    if operation == "Scan":  # it has no keys: ForAllValues on them holds, and Null does not
        return [AccessRequest("dynamodb:Scan", _table(request, region, account))]
    raise UnknownRuleError(f"dynamodb:{operation}")


def _item_request(
    operation: str, request: Mapping[str, Any], region: str, account: str
) -> AccessRequest:
    key = request.get("Key") or request["Item"]
    keys = {LEADING_KEYS: (str(key["pk"]["S"]),)}
    return AccessRequest(f"dynamodb:{operation}", _table(request, region, account), keys)


def _table(request: Mapping[str, Any], region: str, account: str) -> str:
    index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
    return f"arn:aws:dynamodb:{region}:{account}:table/{request['TableName']}{index}"


def _partition_keys() -> Iterator[tuple[str, str]]:
    """Yield the partition key of the table, whose name is empty here, and of each index."""
    indexes = [
        *TABLE_DEFINITION["GlobalSecondaryIndexes"],
        *TABLE_DEFINITION["LocalSecondaryIndexes"],
    ]
    for name, definition in [
        ("", TABLE_DEFINITION),
        *((index["IndexName"], index) for index in indexes),
    ]:
        (key,) = [
            one["AttributeName"] for one in definition["KeySchema"] if one["KeyType"] == "HASH"
        ]
        yield name, key


_PARTITION_KEYS: Final = dict(_partition_keys())


def _query_partition_key(request: Mapping[str, Any]) -> str:
    """Return the partition key of a Query, on the table or on an index."""
    key_name = _PARTITION_KEYS[request.get("IndexName", "")]
    names = request.get("ExpressionAttributeNames", {})
    for term in re.split(r"\s+AND\s+", request["KeyConditionExpression"]):
        name, equals, value = term.partition(" = ")
        if equals and names.get(name, name) == key_name:
            return str(request["ExpressionAttributeValues"][value]["S"])
    raise UnknownRuleError(f"a Query without {key_name}: {request['KeyConditionExpression']}")
