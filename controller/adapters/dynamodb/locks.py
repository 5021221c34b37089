"""Taking the locks of a target in a DynamoDB table: looked up first, then held to by conditions."""

from collections.abc import Iterator, Sequence
from functools import partial

from controller.adapters import store_refusals as refusals
from controller.adapters.dynamodb.calls import Table
from controller.adapters.dynamodb.items import (
    Item,
    lock_key,
    rollout_key,
    rollout_of,
    state_of,
    text,
)
from controller.adapters.dynamodb.writes import ABSENT, Write, delete, put, update
from controller.errors import StoreError


def taking(table: Table, rollout_id: str, locks: Sequence[str]) -> list[Write]:
    """Return the writes that give `locks` to `rollout_id`, and take all locks of final owners.

    They fail when an owner changed since it was looked up. Raises TargetTakenError when an owner is
    not final, StateConflictError when it is `rollout_id` itself.
    """
    owners = {lock: owner_of(table, lock) for lock in locks}
    evicted = {
        owner: _final(table, rollout_id, owner, lock) for lock, owner in owners.items() if owner
    }
    return [
        *(_take(lock, owner, rollout_id) for lock, owner in owners.items()),
        *(one for owner, item in evicted.items() if item for one in _evict(owner, item, locks)),
    ]


def owner_of(table: Table, lock: str) -> str | None:
    """Return the id of the rollout that holds `lock`.

    Raises StoreError when it names none: its owner may be living, so it gives way to nobody.
    """
    item = table.get(f"look up the owner of {lock}", lock_key(lock))
    if item is None:
        return None
    owner = item.get("rollout", {}).get("S")
    if not isinstance(owner, str):
        raise StoreError(
            f"the lock {lock} is damaged (rollout: it is missing, or of another type); nothing was "
            f"changed: write the id of its rollout into the item LOCK#{lock}, or delete the item "
            "when no rollout has that target",
            lock=lock,
        )
    return owner


def _final(table: Table, rollout_id: str, owner: str, lock: str) -> Item | None:
    """Return the item of `owner`; None when there is only its lock. Raises TargetTakenError."""
    key = rollout_key(owner)
    item = None if key is None else table.get(f"look up {owner}", key)
    if item is not None and owner == rollout_id:
        raise refusals.exists(rollout_id)
    if item is not None and item.get("closed") != {"BOOL": True}:
        raise refusals.taken(rollout_id, owner, lock)
    if item is not None:
        refusals.check_gives_way(rollout_id, partial(state_of, item), lock)
    return item


def _take(lock: str, owner: str | None, rollout_id: str) -> Write:
    item = {**lock_key(lock), "rollout": text(rollout_id)}
    if owner is None:
        return put(item, ABSENT)
    return put(item, "#rollout = :owner", owner=text(owner))


def _evict(owner: str, item: Item, wanted: Sequence[str]) -> Iterator[Write]:
    """Yield the writes after which `owner` holds nothing and is watched no more.

    One that has messages to bring stays where ticks look for it; of what is damaged nobody knows.
    """
    key = {"pk": item["pk"], "sk": item["sk"]}
    gone = {"locks": None} if _has_word(item) else {"active": None, "locks": None}
    if "version" in item:
        yield update(key, gone, "#version = :read", read=item["version"])
    else:
        yield update(key, gone, "attribute_not_exists(#version)")
    for lock in item.get("locks", {}).get("SS", ()):
        if lock not in wanted:
            yield delete(lock_key(lock), "#rollout = :owner", owner=text(owner))


def _has_word(item: Item) -> bool:
    try:
        return bool(rollout_of(item).outbox)
    except StoreError:
        return False
