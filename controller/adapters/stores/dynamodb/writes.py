"""Builders of conditional writes to a DynamoDB table.

Conditions and expressions refer to attributes as `#name`, because DynamoDB reserves many words.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from controller.adapters.stores.dynamodb.items import Attribute, Item, number, size_of
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
