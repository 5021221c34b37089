"""Changes of one item of a store: each field of each record, as a role that can write it might."""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from controller.immutable import Immutable

Fields = Mapping[str, Any]
"""The fields of one item: text, numbers and None; a text of JSON is text here."""

_TEXTS: Final = ("state", "policy", "entry")
_MOMENTS: Final = ("2000-01-01T00:00:00Z", "2026-01-05T08:00:00Z", "2026-01-05T09:04:30Z",
                   "2026-01-06T09:00:00Z", "2030-01-01T00:00:00Z")  # fmt: skip
_WORDS: Final = ("progressing", "paused", "rolled_back", "succeeded", "live", "pending", "pass", "")


class Change(Immutable):
    """One field of one item with another value. place: item and path, for people."""

    place: str
    key: Any
    fields: Fields


class RawItems(Protocol):
    """The items of a store, below everything that the program checks."""

    def read(self) -> Mapping[Any, Fields]:
        """Return the fields of every item by its key."""

    def write(self, key: Any, fields: Fields) -> None:
        """Write the fields of an item; None removes one."""


class SqliteItems:
    """The rows of a SQLite store."""

    _KEYS: Final = {"rollouts": "id", "history": "rowid", "locks": "lock"}

    def __init__(self, file: Any) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.row_factory = sqlite3.Row

    def read(self) -> Mapping[Any, Fields]:
        """Return the columns of every row."""
        return {
            (table, row["rowid"]): {name: row[name] for name in row.keys()[1:]}
            for table in self._KEYS
            for row in self._connection.execute(f"SELECT rowid, * FROM {table}")  # noqa: S608
        }

    def write(self, key: Any, fields: Fields) -> None:
        """Write the columns that SQLite's own constraints allow; others stay."""
        table, row = key
        for name, value in fields.items():
            try:
                self._connection.execute(
                    f"UPDATE {table} SET {name} = ? WHERE rowid = ?",  # noqa: S608
                    (value, row),
                )
            except sqlite3.IntegrityError:
                continue

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class DynamoDbItems:
    """The items of a table in DynamoDB. Compressed text is read and written as text."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def read(self) -> Mapping[Any, Fields]:
        """Return the attributes of every item."""
        items = self._client.scan(TableName=self._table, ConsistentRead=True)["Items"]
        return {
            (item["pk"]["S"], item["sk"]["S"]): {
                name: self._plain(value) for name, value in item.items() if name not in ("pk", "sk")
            }
            for item in items
        }

    def write(self, key: Any, fields: Fields) -> None:
        """Write the attributes; None removes one."""
        pk, sk = key
        keys = {"pk": {"S": pk}, "sk": {"S": sk}}
        item = dict(self._client.get_item(TableName=self._table, Key=keys)["Item"])
        for name, value in fields.items():
            item.pop(name, None)
            if value is not None:
                item[name] = self._attribute(value)
        self._client.put_item(TableName=self._table, Item=item)

    @staticmethod
    def _plain(value: Mapping[str, Any]) -> Any:
        (kind, content), *_ = value.items()
        if kind == "B":
            return zlib.decompress(content).decode()
        return int(content) if kind == "N" else content

    @staticmethod
    def _attribute(value: Any) -> Mapping[str, Any]:
        match value:
            case bool():
                return {"BOOL": value}
            case int():
                return {"N": str(value)}
            case list():
                return {"SS": value}
            case _:
                return {"S": str(value)}


def changes(items: Mapping[Any, Fields], chosen: Callable[[str], bool]) -> Iterator[Change]:
    """Yield the changes of every field of the `items` whose place is `chosen`."""
    for key, fields in items.items():
        for name, value in fields.items():
            place = f"{key[0]} {key[1]} {name}"
            if name in _TEXTS:
                for path, changed in _json_changes(json.loads(value)):
                    if chosen(f"{place} {path}"):
                        yield Change(f"{place}{path}", key, {name: json.dumps(changed)})
                continue
            for other in _others(value):
                if chosen(f"{place} {other!r}"):
                    yield Change(f"{place} = {other!r}", key, {name: other})


def _json_changes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield `value` with one value in it changed, or one key or element removed, and where."""
    for path, leaf, put in _places(value):
        for other in _others(leaf):
            yield f"{path} = {str(other)[:40]!r}", put(other)


def _places(value: Any) -> Iterator[tuple[str, Any, Callable[[Any], Any]]]:
    """Yield each value in `value` with its path, and what returns `value` with another one."""
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:3])  # of a long list, the first elements stand for all
        if isinstance(value, list)
        else ()
    )
    for name, child in children:

        def put(other: Any, name: Any = name) -> Any:
            copy = value.copy()
            copy[name] = other
            return copy

        yield f".{name}", child, put
        for path, leaf, put_inner in _places(child):
            yield f".{name}{path}", leaf, _both(put, put_inner)


def _both(outer: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda other: outer(inner(other))


def _others(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value, None]
        case None:
            return [_MOMENTS[2], 1, True, "x"]
        case int() | float():
            return [0, 1, value + 1, -1, value * 1000 + 7, None]
        case str() if value[:4].isdecimal() and "T" in value:
            return [*_MOMENTS, None]
        case str():
            return [*(word for word in _WORDS if word != value), f"{value}x", None]
        case list() | dict() if value:
            return [type(value)(), None]
        case _:
            return [None]
