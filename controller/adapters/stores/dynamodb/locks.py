"""The locks of targets in a DynamoDB table: takeover, and the state of the holder in each lock.

A start reads and replaces only the items of its own locks, and nothing of the rollout that held
them: the lock itself has the state of its holder that a takeover needs. A save that changes this
state updates the locks in the same transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from msgspec import MsgspecError, json

from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.dynamodb.calls import DynamoDbTable
from controller.adapters.stores.dynamodb.items import (
    Attribute,
    Item,
    lock_key,
    moment,
    moment_of,
    number,
    request_key,
    rollout_key,
    text,
)
from controller.adapters.stores.dynamodb.writes import ABSENT, Write, put, update
from controller.adapters.stores.side_items import moment_of as moment_in
from controller.adapters.stores.side_items import printable_id, reason_of
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.ports.store import Exposure, LockHolder

# Exposures of earlier holders that a lock stores; older ones are merged into one.
MOST_PAST_EXPOSURES: Final = 10
MOST_KEY_BYTES: Final = 2_048  # of a partition key


LockState: TypeAlias = tuple[bool, datetime, datetime | None]


def lock_state(rollout: Rollout) -> LockState:
    """Return the state that the locks of `rollout` repeat: whether it is final, and its exposure.

    A save updates the locks where this changes.
    """
    return rollout.final, rollout.created, rollout.exposed_to


def lock_attributes(rollout: Rollout) -> dict[str, Attribute | None]:
    """Return the attributes of a lock of `rollout`; None for those that it lacks."""
    final, exposed_from, exposed_to = lock_state(rollout)
    return {
        "final": {"BOOL": final},
        "since": moment(rollout.since),
        "version": number(rollout.version),
        "exposed_from": moment(exposed_from),
        "exposed_to": None if exposed_to is None else moment(exposed_to),
    }


def lock_update(lock: str, rollout: Rollout) -> Write:
    """Return the write that updates the state in `lock`, on condition that `rollout` holds it."""
    return update(
        lock_key(lock), lock_attributes(rollout), "#rollout = :ours", ours=text(rollout.id)
    )


def owners_and_requests_of(
    table: DynamoDbTable, locks: Collection[str], ids: Collection[str]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return what `Store.owners_and_requests` says. Raises StoreError."""
    # A key that DynamoDB refuses has no item, and would fail the read of all the others.
    locks_of = {lock_key(lock)["pk"]["S"]: lock for lock in locks if _is_key(lock)}
    ids_of = {request_key(one)["pk"]["S"]: one for one in ids}
    keys = [lock_key(lock) for lock in locks_of.values()]
    keys += [request_key(one) for one in ids_of.values()]
    found = table.get_all("look up the owners of targets", keys, only=("rollout", "why"))
    owners, requests = dict[str, str | None](), dict[str, str]()
    for item in found:
        pk = item["pk"]["S"]
        if pk in ids_of:
            requests[ids_of[pk]] = reason_of(item.get("why", {}).get("S"))
        else:
            owners[locks_of[pk]] = item.get("rollout", {}).get("S")
    return owners, requests


def _is_key(lock: str) -> bool:
    try:
        return len(lock_key(lock)["pk"]["S"].encode()) <= MOST_KEY_BYTES
    except UnicodeEncodeError:  # half a character
        return False


def lock_takeovers(
    table: DynamoDbTable, rollout: Rollout, locks: Collection[str], past: Sequence[Exposure] = ()
) -> list[Write]:
    """Return the writes that give `locks` to `rollout`; they fail when a lock changed meanwhile.

    past: earlier exposures, from another store. Raises TargetTakenError when a holder is
    not final, StateConflictError when it is `rollout` itself, StoreError for a damaged lock.
    """
    items = {lock: _read(table, lock) for lock in locks}
    return [_takeover(table, lock, item, rollout, past) for lock, item in items.items()]


def owner_of(table: DynamoDbTable, lock: str) -> str | None:
    """Return the id of the rollout that holds `lock`. Raises StoreError when it is damaged."""
    item = _read(table, lock)
    return None if item is None else _owner(lock, item)


def holder_of(table: DynamoDbTable, lock: str) -> LockHolder | None:
    """Return the holder of `lock`. Raises StoreError when the lock is damaged.

    The holder of a damaged lock may not be final, so no start takes it over.
    """
    item = _read(table, lock)
    return None if item is None else _holder(lock, item)


def exposures_of(table: DynamoDbTable, locks: Iterable[str]) -> list[Exposure]:
    """Return the exposures of current and earlier holders of `locks`, the earliest first."""
    exposures = set[Exposure]()
    for lock in locks:
        if (item := _read(table, lock)) is not None:
            exposures.update(_exposures(lock, item))
    return _sorted(exposures)


# --- lock items ---------------------------------------------------------------------------------


def _read(table: DynamoDbTable, lock: str) -> Item | None:
    return table.get(f"look up the owner of {lock}", lock_key(lock))


def _owner(lock: str, item: Item) -> str:
    owner = item.get("rollout", {}).get("S")
    if not isinstance(owner, str):
        raise _damaged(lock, "rollout: it is missing, or of another type")
    return printable_id(owner)


def _holder(lock: str, item: Item) -> LockHolder:
    owner, final = _owner(lock, item), item.get("final", {}).get("BOOL")
    if not isinstance(final, bool):
        raise _damaged(lock, "final: it is missing, or of another type")
    return LockHolder(owner, final)


def _damaged(lock: str, problem: str) -> StoreError:
    return StoreError(
        f"the lock {lock} is damaged ({problem}); nothing was changed: "
        f"mend the item LOCK#{lock}, or delete it when no rollout drives that target",
        lock=lock,
    )


def _takeover(
    table: DynamoDbTable, lock: str, item: Item | None, rollout: Rollout, past: Sequence[Exposure]
) -> Write:
    if item is None:
        return put(_item(lock, rollout, past), ABSENT)
    holder = _holder(lock, item)
    if not _is_orphaned(table, holder.rollout_id, rollout):
        refusals.check_takeover(rollout.id, holder, lock)
    if "version" not in item:
        raise _damaged(lock, "version: it is missing")
    return put(
        _item(lock, rollout, [*_exposures(lock, item), *past]),
        "#rollout = :owner AND #final = :final AND #version = :version",
        owner=item["rollout"],
        final=item["final"],
        version=item["version"],
    )


def _is_orphaned(table: DynamoDbTable, owner: str, rollout: Rollout) -> bool:
    """Tell whether a lock has an owner that does not exist.

    Only rollouts of the same name are looked up: a bound role may not read others. Raises
    StateConflictError when the owner is `rollout` itself.
    """
    key = rollout_key(owner)
    if key is None or owner.rpartition("#")[0] != rollout.name:
        return False
    if table.get(f"look up {owner}", key) is None:
        return True
    if owner == rollout.id:
        raise refusals.already_exists(rollout.id)
    return False


def _item(lock: str, rollout: Rollout, past: Iterable[Exposure]) -> Item:
    state = {
        name: attribute
        for name, attribute in lock_attributes(rollout).items()
        if attribute is not None
    }
    exposures = _bounded(_sorted({one for one in past if one[0] != rollout.id}))
    rows = [[rollout_id, _text(begin), end and _text(end)] for rollout_id, begin, end in exposures]
    stored: Mapping[str, Attribute] = {"past": text(json.encode(rows).decode())} if rows else {}
    return {**lock_key(lock), "rollout": text(rollout.id), **state, **stored}


# --- exposures ----------------------------------------------------------------------------------

# The id of an exposure, its begin and its end. Parsed by its type, a text makes nothing else.
_Row: TypeAlias = tuple[str, str, str | None]


def _exposures(lock: str, item: Item) -> list[Exposure]:
    """Return the exposures of the holder and of earlier holders of the lock."""
    exposures = _past_exposures(lock, item)
    if "exposed_from" in item:
        begin, end = (moment_of(item, name) for name in ("exposed_from", "exposed_to"))
        if begin is None or (end is None and "exposed_to" in item):
            raise _damaged(lock, "exposed_from, exposed_to: they are no moments")
        exposures.append((_owner(lock, item), begin, end))
    return exposures


def _text(at: datetime) -> str:
    return str(moment(at)["S"])


def _past_exposures(lock: str, item: Item) -> list[Exposure]:
    if "past" not in item:
        return []
    try:
        return [_exposure(*row) for row in json.decode(item["past"]["S"], type=list[_Row])]
    except (KeyError, TypeError, ValueError, MsgspecError) as error:
        raise _damaged(lock, "past: it is no list of exposures") from error


def _exposure(rollout_id: str, begin: str, end: str | None) -> Exposure:
    first, last = moment_in(begin), moment_in(end)
    if first is None or (last is None and end is not None):
        raise ValueError("an exposure is an id, a moment, and a moment or nothing")
    return printable_id(rollout_id), first, last


def _sorted(exposures: Iterable[Exposure]) -> list[Exposure]:
    return sorted(exposures, key=lambda exposure: (exposure[1], exposure[0]))


def _bounded(exposures: list[Exposure]) -> list[Exposure]:
    """Return `exposures` with the oldest merged into one that spans them all."""
    while len(exposures) > MOST_PAST_EXPOSURES:
        (_, begin, first_end), (rollout_id, _, second_end), *rest = exposures
        end = None if first_end is None or second_end is None else max(first_end, second_end)
        exposures = [(rollout_id, begin, end), *rest]
    return exposures
