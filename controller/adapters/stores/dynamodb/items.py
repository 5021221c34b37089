"""The items of a `DynamoDbStore`: rollouts, entries of their history, locks.

Short text is stored as it is, readable in the console; long text is compressed, because DynamoDB
bills every kilobyte of every write, and no item may exceed 400 KB.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, TypeAlias

from controller.adapters.stores import codec
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.side_items import moment_of as moment_in
from controller.adapters.stores.side_items import printable_id
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.units import from_unix
from controller.errors import StoreError
from controller.ports.store import visit_deadline

Attribute: TypeAlias = Mapping[str, Any]
Item: TypeAlias = Mapping[str, Attribute]

COMPRESSED_FROM: Final = 2_048  # characters
# DynamoDB takes 409,600 bytes an item, names of attributes included. A piece of history leaves room
# for these names; a new rollout leaves room for its evidence to grow.
PIECE_BYTES: Final = 360_000
NEW_ROLLOUT_BYTES: Final = 300_000

_KEY_DIGITS: Final = 10  # of an attempt

ACTIVE: Final = {"S": "active"}

# The partitions of the list of recipients and of the rules: only a role for `owner` writes them.
OWNER: Final = "OWNER"
RECIPIENTS: Final = "RECIPIENTS"
RULES: Final = "RULES"
RECIPIENTS_KEY: Final[Item] = {"pk": {"S": RECIPIENTS}, "sk": {"S": "LIST"}}
RULES_KEY: Final[Item] = {"pk": {"S": RULES}, "sk": {"S": RULES}}

# The partition of the format of new rollouts: every role that starts rollouts may read it.
FORMAT: Final = "FORMAT"
FORMAT_KEY: Final[Item] = {"pk": {"S": FORMAT}, "sk": {"S": FORMAT}}

# The partitions of what allows rollouts as fixes, which only a role for `start --fix` may write.
FIX: Final = "FIX"


def fix_key(rollout_id: str) -> Item:
    """Return the key of what allows a rollout as a fix."""
    return {"pk": {"S": f"{FIX}#{rollout_id}"}, "sk": {"S": FIX}}


def format_of(item: Item | None) -> int:
    """Return the format of new rollouts. A table without that item is of the first format.

    Raises StoreError when the item is damaged.
    """
    digits = "1" if item is None else item.get("format", {}).get("N", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _KEY_DIGITS):
        raise StoreError(
            "the format of the store is damaged (format: it is no number); nothing was changed; "
            f"delete the item {FORMAT}, {FORMAT}, then: rolloutctl store upgrade"
        )
    return int(digits)


# The partitions of requests for a rollback, the only ones that a role `lower-only` may write.
LOWER: Final = "LOWER"


def request_key(rollout_id: str) -> Item:
    """Return the key of the request for a rollback of a rollout."""
    return {"pk": {"S": f"{LOWER}#{rollout_id}"}, "sk": {"S": LOWER}}


# --- rollouts -----------------------------------------------------------------------------------


def rollout_key(rollout_id: str) -> Item | None:
    """Return the key of a rollout; None when `rollout_id` is not a valid id."""
    name, _, attempt = rollout_id.rpartition("#")
    if not (name and attempt.isascii() and attempt.isdecimal() and len(attempt) <= _KEY_DIGITS):
        return None
    if str(int(attempt)) != attempt:
        return None
    return {"pk": name_key(name), "sk": text(f"{int(attempt):0{_KEY_DIGITS}d}")}


def name_key(name: str) -> Attribute:
    """Return the partition key of all rollouts called `name`."""
    return text(f"ROLLOUT#{name}")


def rollout_id_of(item: Item) -> str:
    """Return the id of the rollout whose key is in `item`; for a foreign key, a similar text."""
    name, attempt = (str(item[part].get("S", "")) for part in ("pk", "sk"))
    if attempt.isascii() and attempt.isdecimal():
        attempt = str(int(attempt[-_KEY_DIGITS:]))
    return printable_id(f"{name.removeprefix('ROLLOUT#')}#{attempt}")


def is_foreign(item: Item) -> bool:
    """Tell whether the key of `item` is not one that this program writes."""
    key = rollout_key(rollout_id_of(item))
    return key is None or any(key[part] != item[part] for part in ("pk", "sk"))


def save_attributes(rollout: Rollout) -> dict[str, Attribute | None]:
    """Return the attributes that a save sets, and None for those that it removes.

    The attributes other than `state` repeat the parts of it that conditions and indexes use.
    """
    deadline = visit_deadline(rollout)
    attributes: dict[str, Attribute | None] = {
        "state": pack(codec.dump(rollout)),
        "version": number(rollout.version),
        "closed": {"BOOL": rollout.final},
        "phase": text(rollout.phase),
        "updated": moment(rollout.updated),
        "due": None if rollout.due is None else number(int(rollout.due.timestamp())),
        "watch_until": _moment(deadline),
        "exposed_from": _moment(rollout.created),
        "exposed_to": _moment(rollout.exposed_to),
    }
    # Also for a rollout that lost its target, when an operator rolls it back again.
    if not rollout.final:
        return {**attributes, "active": ACTIVE}
    return attributes if deadline else {**attributes, "active": None}


def new_item(rollout: Rollout, locks: Sequence[str]) -> Item:
    """Return the item of a new rollout, without a lease. Raises StoreError when it is too large."""
    key = rollout_key(rollout.id)
    if key is None:
        raise StoreError(f"{rollout.id} is no id of a rollout: name#attempt", rollout=rollout.id)
    fields = {
        "target": text(rollout.target),
        "created": moment(rollout.created),
        "policy": pack(codec.dump_policy(rollout)),
        "locks": {"SS": list(dict.fromkeys(locks))} if locks else None,
        "fence": number(0),
        "active": ACTIVE,
        **save_attributes(rollout),
    }
    if rollout.final and not (locks or rollout.outbox):  # nothing to watch, nothing to deliver
        fields["active"] = None
    item = {**key, **{name: value for name, value in fields.items() if value is not None}}
    if size_of(item) > NEW_ROLLOUT_BYTES:
        raise StoreError(
            f"{rollout.id} is too large to be kept in DynamoDB: {size_of(item):,} bytes compressed "
            f"with its policy, and {NEW_ROLLOUT_BYTES:,} is the limit; nothing was written: make "
            "the policy smaller, or use another store",
            rollout=rollout.id,
            size=size_of(item),
        )
    return item


def locks_of(item: Item) -> tuple[str, ...]:
    """Return the locks that a rollout took; empty once it is known to have lost its target."""
    locks = item.get("locks", {}).get("SS", ())
    return tuple(sorted(locks))


def rollout_of(item: Item) -> Rollout:
    """Return the rollout in a complete item.

    Raises StoreError when its state, or an attribute that repeats a part of it, is damaged.
    """
    rollout, rollout_id = state_of(item), rollout_id_of(item)
    if version_of(item) != rollout.version:
        raise refusals.damaged_record(rollout_id, "version: the state has another one")
    if item.get("closed") != {"BOOL": rollout.final}:
        raise refusals.damaged_record(rollout_id, "closed: the state says otherwise")
    if item.get("phase") != {"S": rollout.phase}:
        raise refusals.damaged_record(rollout_id, "phase: the state has another one")
    fence_of(item)
    for name in ("created", "updated", "watch_until", "exposed_from", "exposed_to"):
        if moment_of(item, name) is None and (name in item or name in ("created", "updated")):
            raise refusals.damaged_record(rollout_id, f"{name}: it is no moment")
    return rollout


def state_of(item: Item) -> Rollout:
    """Return the rollout from the state alone. Raises StoreError when it is damaged."""
    rollout_id = rollout_id_of(item)
    state, policy = (
        unpack(rollout_id, name, [item.get(name, {})], limits.size)
        for name, limits in _TEXTS.items()
    )
    return codec.load(rollout_id, state, policy)


_TEXTS: Final = {"state": codec.STATE_LIMITS, "policy": codec.POLICY_LIMITS}


def version_of(item: Item) -> int:
    """Return the version of a rollout. Raises StoreError when it is damaged."""
    return _integer(rollout_id_of(item), item, "version")


def fence_of(item: Item) -> int:
    """Return the fence of a rollout. Raises StoreError when it is damaged."""
    return _integer(rollout_id_of(item), item, "fence")


def _integer(rollout_id: str, item: Item, name: str) -> int:
    digits = item.get(name, {}).get("N", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _KEY_DIGITS + _KEY_DIGITS):
        raise refusals.damaged_record(rollout_id, f"{name}: it is no count")
    return int(digits)


# --- locks --------------------------------------------------------------------------------------


def lock_key(lock: str) -> Item:
    """Return the key of a lock."""
    return {"pk": text(f"LOCK#{lock}"), "sk": text("LOCK")}


# --- history ------------------------------------------------------------------------------------


def history_key(rollout_id: str) -> Attribute:
    """Return the partition key of all history entries of a rollout."""
    return text(f"HISTORY#{rollout_id}")


def history_items(rollout_id: str, entries: Sequence[Entry]) -> Iterator[Item]:
    """Yield the items of `entries`: one for each, or several for an entry that is too large."""
    for entry in entries:
        content = pack(codec.dump_entry(rollout_id, entry))
        pieces = [content]
        if "B" in content:
            starts = range(0, len(content["B"]), PIECE_BYTES)
            pieces = [{"B": content["B"][start : start + PIECE_BYTES]} for start in starts]
        for index, piece in enumerate(pieces):
            yield {
                "pk": history_key(rollout_id),
                "sk": text(f"{entry.seq:012d}.{index:03d}"),
                "entry": piece,
                "pieces": number(len(pieces)),
            }


def earlier_pieces(rollout_id: str, last: Item) -> list[Item]:
    """Return the keys of the pieces before `last`, the last one of an entry.

    At most as many as the text of an entry can have. Raises StoreError when `last` is damaged.
    """
    most = codec.ENTRY_LIMITS.size // PIECE_BYTES + 1
    number_of = min(_integer(rollout_id, last, "pieces"), most)
    seq = last["sk"]["S"].partition(".")[0]
    return [
        {"pk": history_key(rollout_id), "sk": text(f"{seq}.{index:03d}")}
        for index in range(number_of - 1)
    ]


def entries_of(rollout_id: str, items: Iterable[Item]) -> Iterator[Entry]:
    """Yield the entries in `items`, in their order. Raises StoreError for a damaged one."""
    for seq, group in groupby(items, key=lambda item: item["sk"]["S"].partition(".")[0]):
        pieces = list(group)
        if len(pieces) != _integer(rollout_id, pieces[0], "pieces"):
            entry_seq = int(seq[-_KEY_DIGITS:]) if seq.isdecimal() else 0
            raise refusals.damaged_record(rollout_id, f"a piece of entry {entry_seq} is missing")
        parts = [piece.get("entry", {}) for piece in pieces]
        content = unpack(rollout_id, "entry", parts, codec.ENTRY_LIMITS.size)
        yield codec.load_entry(rollout_id, content)


# --- values -------------------------------------------------------------------------------------


def text(value: str) -> Attribute:
    """Return `value` as an attribute."""
    return {"S": str(value)}


def number(value: int) -> Attribute:
    """Return `value` as an attribute."""
    return {"N": str(value)}


def moment(value: datetime) -> Attribute:
    """Return `value` as an attribute: text of fixed length, which sorts chronologically."""
    return {"S": value.astimezone(UTC).isoformat(timespec="microseconds")}


def _moment(value: datetime | None) -> Attribute | None:
    return None if value is None else moment(value)


def moment_of(item: Item, name: str) -> datetime | None:
    """Return the moment in the attribute `name` of `item`; None when it is missing or invalid."""
    return moment_in(item.get(name, {}).get("S"))


def due_of(item: Item) -> datetime | None:
    """Return the moment in `due`, unix seconds; None when it is missing or invalid."""
    digits = item.get("due", {}).get("N", "")
    is_count = digits.isascii() and digits.isdecimal() and len(digits) <= _KEY_DIGITS
    return from_unix(int(digits)) if is_count else None


def pack(content: str) -> Attribute:
    """Return `content` as an attribute, compressed when it is long."""
    if len(content) < COMPRESSED_FROM:
        return {"S": content}
    return {"B": zlib.compress(content.encode())}


def unpack(rollout_id: str, name: str, parts: Sequence[Attribute], most: int) -> str:
    """Return the text that was packed as `name` and cut into `parts`.

    Raises StoreError when it is damaged, or expands to more than `most` bytes: 400 KB can expand to
    hundreds of megabytes.
    """
    if "S" in parts[0]:
        return str(parts[0]["S"])
    try:
        return _decompress(b"".join(part["B"] for part in parts), most).decode()
    except KeyError:
        problem = "it is missing, or of another type"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except (TypeError, ValueError, zlib.error) as error:
        problem = str(error)
    raise refusals.damaged_record(rollout_id, f"{name}: {problem}")


def _decompress(compressed: bytes, most: int) -> bytes:
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(compressed, most)
    if decompressor.unconsumed_tail:
        raise ValueError(f"it expands to more than {most:,} bytes")
    if not decompressor.eof:
        raise ValueError("its end is missing")
    return content


def size_of(item: Item) -> int:
    """Return the size of `item` in bytes as DynamoDB counts it, or slightly more."""
    return sum(len(name) + _length(value) for name, value in item.items())


def _length(attribute: Attribute) -> int:
    (value,) = attribute.values()
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    return sum(len(one.encode()) + 3 for one in value) + 3 if isinstance(value, list) else 1
