"""Tables of damages to one stored rollout, made outside rolloutctl.

SQLITE_DAMAGES work on a connection to the file, DYNAMODB_DAMAGES on a client and a table. Damages
of the state and the policy are the same for both.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial, reduce
from operator import getitem
from typing import Any

SqliteDamage = Callable[[sqlite3.Connection, str], None]

NESTED = 5_000


# --- state and policy (JSON) --------------------------------------------------------------------


def _with(**changes: object) -> Callable[[str], bytes]:
    return lambda text: json.dumps({**json.loads(text), **changes}).encode()


def _with_state(**changes: object) -> Callable[[str], bytes]:
    return lambda text: _with(state={**json.loads(text)["state"], **changes})(text)


def _with_position(**changes: object) -> Callable[[str], bytes]:
    def damaged(text: str) -> bytes:
        position = json.loads(text)["state"]["position"]
        return _with_state(position={**position, **changes})(text)

    return damaged


def _without(*path: str) -> Callable[[str], bytes]:
    def damaged(text: str) -> bytes:
        data = json.loads(text)
        del reduce(getitem, path[:-1], data)[path[-1]]
        return json.dumps(data).encode()

    return damaged


def _truncate(text: str) -> bytes:
    return text.encode()[: len(text) // 2]


def _many_digits(text: str) -> bytes:
    return _with(version="@")(text).replace(b'"@"', b"9" * 5_000)


def _loosen_policy(text: str) -> bytes:
    """Let half of the requests fail, and every step bake for a minute."""
    policy = json.loads(text)
    for criterion in policy["criteria"].values():
        if criterion["kind"] == "success_rate":
            criterion["min"] = "50%"
    for step in policy["steps"]:
        step["bake"] = "1m"
    return json.dumps(policy, sort_keys=True, separators=(",", ":")).encode()


LOOSENED = "policy: looser than at the start"
NAIVE_TIME = "2026-11-24T12:00:00"
STATE_DAMAGES: Mapping[str, Callable[[str], bytes]] = {
    "empty": lambda _: b"",
    "cut off": _truncate,
    "no object": lambda _: b"[]",
    "null": lambda _: b"null",
    "nested too deeply": lambda _: b"[" * NESTED + b"]" * NESTED,
    "nested too deeply in a field": _with_state(sentence=json.loads("[" * 400 + "]" * 400)),
    "more objects than are parsed": lambda _: b"[" + b'{"":{}},' * 131_000 + b"1]",
    "more text than is parsed": _with_state(sentence="x" * 2_000_000),
    "not UTF-8": lambda text: text.encode().replace(b'{"', b'{"\xff\xfe', 1),
    "no UTF-8 at all": lambda _: bytes(range(128, 256)),
    "no schema": _without("schema"),
    "no step": _without("state", "position", "step"),
    "step beyond the last one": _with_position(step=99),
    "step below the first one": _with_position(step=-1),
    "a huge step": _with_position(step=10**30),
    "a huge version": _with(version=2**70),
    "more digits than Python reads": _many_digits,
    "an infinite weight": _with_position(weight=float("inf")),
    "a weight that is no number": _with_position(weight=float("nan")),
    "a weight above 100%": _with_position(weight=101),
    "a weight as text": _with_position(weight="10"),
    "an unknown phase": _with_state(phase="finished"),
    "no phase": _with_state(phase=None),
    "an unknown reason": _with_state(reason="cause"),
    "never updated": _with(updated=None),
    "updated in local time": _with(updated=NAIVE_TIME),
    "entered in local time": _with_state(since=NAIVE_TIME),
    "updated before time": _with(updated="0001-01-01T00:00:00+00:00"),
    "updated after time": _with(updated="9999-12-31T23:59:59+00:00"),
    "created after it was updated": _with(created="2199-01-01T00:00:00+00:00"),
    "of another rollout": _with(id="other#1"),
    "an approval of no step": _with(approved=7),
    "evidence of another kind": _with(tallies=[1, 2]),
    "evidence that is no number": _with(fold={"peak": float("nan")}),
    "signed for a criterion that is none": _with(
        sign_offs={"nothing": {"by": "ann", "at": 1_764_000_000, "note": ""}}
    ),
    "an unknown field": _with(unheard="of"),
    "another version than beside it": lambda text: _with(version=json.loads(text)["version"] + 1)(
        text
    ),
}
POLICY_DAMAGES: Mapping[str, Callable[[str], bytes]] = {
    "policy: empty": lambda _: b"",
    "policy: cut off": _truncate,
    "policy: nested too deeply": lambda _: b"[" * NESTED + b"]" * NESTED,
    "policy: more values than are parsed": _with(steps=[1] * 340_000),
    "policy: not UTF-8": lambda _: b"\xff\xfe",
    "policy: without steps": _with(steps=[]),
    "policy: another than at the start": _with(summary="Nothing to see here."),
    LOOSENED: _loosen_policy,
}

# Damages that leave the rollout itself readable: of its lease or its locks.
HARMLESS = frozenset(
    {
        "due: no time",
        "due: a number",
        "lease: an odd holder",
        "lease: a holder without an end",
        "lease: an end that is no time",
        "lease: an end without a time zone",
        "lease: an end that is not UTF-8",
        "lease: an end that is a number",
        "lease: an end that is null",
        "lock: of a rollout that is gone",
        "lock: without a rollout",
        "lock: its rollout is a number",
        "locks: missing",
        "locks: of another type",
    }
)
IN_HISTORY = "history: "
# Damages that remove the rollout from lists, as the index of the table needs the attribute.
UNLISTED = frozenset({"created: missing"})

# Damages that a list shows last: it reads few attributes of a rollout.
VISIBLE_IN_LISTS = frozenset(
    {
        "closed: neither 0 nor 1",
        "closed: text",
        "closed: missing",
        "created: no time",
        "created: not UTF-8",
        "phase: missing",
        "phase: unknown",
        "updated: missing",
        "updated: no time",
        "watch_until: no time",
    }
)


# --- SQLite rows --------------------------------------------------------------------------------


def _state(
    change: Callable[[str], bytes], column: str, connection: sqlite3.Connection, rollout_id: str
) -> None:
    select = f"SELECT {column} FROM rollouts WHERE id = ?"  # noqa: S608 - one of two names
    (text,) = connection.execute(select, (rollout_id,)).fetchone()
    update = f"UPDATE rollouts SET {column} = CAST(? AS TEXT) WHERE id = ?"  # noqa: S608
    connection.execute(update, (change(text), rollout_id))


def _row(column: str, value: object) -> SqliteDamage:
    """Return a damage that writes `value`, of which bytes are text that is not UTF-8."""
    new = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    statement = f"UPDATE rollouts SET {column} = {new} WHERE id = ?"  # noqa: S608
    return lambda at, one: _discard_result(at.execute(statement, (value, one)))


def _statement(*statements: str) -> SqliteDamage:
    def damage(at: sqlite3.Connection, one: str) -> None:
        at.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            at.execute(statement, {"id": one})

    return damage


def _discard_result(_: object) -> None:
    """Discard the result of a call."""


_ENTRY = "UPDATE history SET entry = {} WHERE rollout = :id AND seq = 1"

SQLITE_DAMAGES: Mapping[str, SqliteDamage] = {
    **{name: partial(_state, change, "state") for name, change in STATE_DAMAGES.items()},
    **{name: partial(_state, change, "policy") for name, change in POLICY_DAMAGES.items()},
    "created: no time": _row("created", "x"),
    "created: a number": _row("created", -(10**18)),
    "created: local time": _row("created", NAIVE_TIME),
    "created: not UTF-8": _row("created", b"\xff"),
    "closed: neither 0 nor 1": _row("closed", 7),
    "closed: below 0": _row("closed", -1),
    "closed: while it goes on": _row("closed", 1),
    "version: below 0": _row("version", -5),
    "version: huge": _row("version", 2**62),
    "watch_until: no time": _row("watch_until", "garbage"),
    "watch_until: not UTF-8": _row("watch_until", b"\xfe\xff"),
    "exposed_from: no time": _row("exposed_from", "never"),
    "exposed_to: not UTF-8": _row("exposed_to", b"\xff"),
    "lease: an odd holder": _statement(
        "UPDATE rollouts SET holder = -99999999999999999999 WHERE id = :id"
    ),
    "lease: a holder without an end": _row("holder", "somebody"),
    "lease: an end that is no time": _statement(
        "UPDATE rollouts SET holder = 'x', lease_until = 'soon' WHERE id = :id"
    ),
    "lease: an end without a time zone": _statement(
        "UPDATE rollouts SET holder = 'x', lease_until = '2026-11-24T12:01:xx' WHERE id = :id"
    ),
    "lease: an end that is not UTF-8": _statement(
        "UPDATE rollouts SET holder = 'x', lease_until = CAST(x'ff' AS TEXT) WHERE id = :id"
    ),
    "lock: of a rollout that is gone": _statement(
        "UPDATE locks SET rollout = 'gone#1' WHERE rollout = :id"
    ),
    "history: no JSON": _statement(_ENTRY.format("'{'")),
    "history: nested too deeply": lambda at, one: _discard_result(
        at.execute(_ENTRY.format(":entry"), {"id": one, "entry": "[" * NESTED + "]" * NESTED})
    ),
    "history: not UTF-8": _statement(_ENTRY.format("CAST(x'fffe' AS TEXT)")),
    "history: empty": _statement(_ENTRY.format("''")),
}


# --- DynamoDB items -----------------------------------------------------------------------------

DynamoDbDamage = Callable[[Any, str, str], None]
Item = dict[str, Any]


@cache
def bomb(size: int = 64 * 1_024 * 1_024) -> bytes:
    """Return a few kilobytes that decompress to `size` bytes."""
    return zlib.compress(b" " * size, 9)


def key_of(rollout_id: str) -> Item:
    """Return the key of a rollout."""
    name, _, attempt = rollout_id.rpartition("#")
    return {"pk": {"S": f"ROLLOUT#{name}"}, "sk": {"S": f"{int(attempt):010d}"}}


def _get(client: Any, table: str, rollout_id: str) -> Item:
    item: Item = client.get_item(TableName=table, Key=key_of(rollout_id))["Item"]
    return item


def _text(attribute: Item) -> str:
    return attribute["S"] if "S" in attribute else zlib.decompress(attribute["B"]).decode()


def _text_item(change: Callable[[str], bytes], name: str) -> DynamoDbDamage:
    def damage(client: Any, table: str, one: str) -> None:
        item = _get(client, table, one)
        new = change(_text(item[name]))
        item[name] = {"B": zlib.compress(new)}
        client.put_item(TableName=table, Item=item)

    return damage


def _set(**attributes: Item | None) -> DynamoDbDamage:
    """Return a damage that writes attributes, or removes those that are None."""

    def damage(client: Any, table: str, one: str) -> None:
        item = _get(client, table, one) | attributes
        item = {name: value for name, value in item.items() if value is not None}
        client.put_item(TableName=table, Item=item)

    return damage


def _bomb(name: str) -> DynamoDbDamage:
    """Return a damage that writes a `bomb`, which takes a second to make."""
    return lambda client, table, one: _set(**{name: {"B": bomb()}})(client, table, one)


def _entry(**attributes: Item | None) -> DynamoDbDamage:
    """Return a damage to the first entry of the history."""

    def damage(client: Any, table: str, one: str) -> None:
        entries = client.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"HISTORY#{one}"}},
        )["Items"]
        old = entries[0]
        client.delete_item(TableName=table, Key={name: old[name] for name in ("pk", "sk")})
        item = {name: value for name, value in {**old, **attributes}.items() if value is not None}
        client.put_item(TableName=table, Item=item)

    return damage


def _locks(**attributes: Item | None) -> DynamoDbDamage:
    """Return a damage to each lock of a rollout."""

    def damage(client: Any, table: str, one: str) -> None:
        for lock in _get(client, table, one)["locks"]["SS"]:
            item = {"pk": {"S": f"LOCK#{lock}"}, "sk": {"S": "LOCK"}, "rollout": {"S": one}}
            new = {name: each for name, each in {**item, **attributes}.items() if each is not None}
            client.put_item(TableName=table, Item=new)

    return damage


_WRONG: Mapping[str, Item | None] = {
    "missing": None,
    "null": {"NULL": True},
    "of another type": {"M": {"S": {"S": "x"}}},
}
_HELD: Item = {"holder": {"S": "somebody"}}

DYNAMODB_DAMAGES: Mapping[str, DynamoDbDamage] = {
    **{name: _text_item(change, "state") for name, change in STATE_DAMAGES.items()},
    **{name: _text_item(change, "policy") for name, change in POLICY_DAMAGES.items()},
    **{
        f"{name}: {how}": _set(**{name: value})
        for name in ("state", "policy", "version", "closed", "fence")
        for how, value in _WRONG.items()
    },
    "created: missing": _set(created=None),
    "created: no time": _set(created={"S": "x"}),
    "state: no text in a text": _set(state={"S": ""}),
    "state: not compressed": _set(state={"B": b"{}"}),
    "state: cut off": _set(state={"B": bomb(10_000)[:20]}),
    "state: it expands beyond the limit": _bomb("state"),
    "policy: it expands beyond the limit": _bomb("policy"),
    "state: a list": _set(state={"L": [{"S": "{}"}]}),
    "version: infinite": _set(version={"N": "1e125"}),
    "version: a fraction": _set(version={"N": "0.5"}),
    "version: text": _set(version={"S": "0"}),
    "version: below 0": _set(version={"N": "-1"}),
    "closed: text": _set(closed={"S": "false"}),
    "closed: a number": _set(closed={"N": "0"}),
    "fence: infinite": _set(fence={"N": "1e125"}),
    "watch_until: no time": _set(watch_until={"S": "garbage"}),
    "watch_until: a number": _set(watch_until={"N": "5"}),
    "exposed_from: no time": _set(exposed_from={"S": "never"}),
    "exposed_to: null": _set(exposed_to={"NULL": True}),
    "phase: missing": _set(phase=None),
    "phase: null": _set(phase={"NULL": True}),
    "phase: unknown": _set(phase={"S": "finished"}),
    "updated: missing": _set(updated=None),
    "updated: no time": _set(updated={"S": "x"}),
    "due: no time": _set(due={"S": "x"}),
    "due: a number": _set(due={"N": "5"}),
    "locks: missing": _set(locks=None),
    "locks: of another type": _set(locks={"S": "none"}),
    "lease: an odd holder": _set(holder={"N": "-99999999999999999999"}),
    "lease: a holder without an end": _set(**_HELD),
    "lease: an end that is no time": _set(**_HELD, lease_until={"S": "soon"}),
    "lease: an end that is a number": _set(**_HELD, lease_until={"N": "1e125"}),
    "lease: an end that is null": _set(**_HELD, lease_until={"NULL": True}),
    "lock: of a rollout that is gone": _locks(rollout={"S": "gone#1"}),
    "lock: without a rollout": _locks(rollout=None),
    "lock: its rollout is a number": _locks(rollout={"N": "1e125"}),
    "history: no entry": _entry(entry=None),
    "history: an entry of another type": _entry(entry={"BOOL": True}),
    "history: no JSON": _entry(entry={"S": "{"}),
    "history: nested too deeply": _entry(entry={"S": "[" * NESTED + "]" * NESTED}),
    "history: it expands beyond the limit": lambda client, table, one: _entry(entry={"B": bomb()})(
        client, table, one
    ),
    "history: no number of pieces": _entry(pieces=None),
    "history: a piece is missing": _entry(pieces={"N": "2"}),
    "history: infinitely many pieces": _entry(pieces={"N": "1e125"}),
    "history: a foreign sort key": _entry(sk={"S": "x"}, pieces={"N": "7"}),
}
