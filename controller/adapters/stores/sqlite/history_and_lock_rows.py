"""The rows of a rollout in other tables: entries of its history, and locks of its target."""

import json
import sqlite3
from collections.abc import Callable, Sequence

from controller.adapters.stores import codec
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.sqlite import queries as sql
from controller.adapters.stores.untrusted_values import printable_id
from controller.core.history import Entry
from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.ports.store import LockHolder


def append_history(
    connection: sqlite3.Connection, rollout_id: str, entries: Sequence[Entry]
) -> None:
    """Append `entries` to the history of a rollout."""
    connection.executemany(
        "INSERT INTO history (rollout, seq, entry) VALUES (?, ?, ?)",
        ((rollout_id, entry.seq, codec.dump_entry(rollout_id, entry)) for entry in entries),
    )


def insert_locks(connection: sqlite3.Connection, rollout_id: str, locks: Sequence[str]) -> None:
    """Give free `locks` to a rollout."""
    connection.executemany(
        "INSERT INTO locks (lock, rollout) VALUES (?, ?)",
        [(one, rollout_id) for one in dict.fromkeys(locks)],
    )


def evict_owners(
    connection: sqlite3.Connection,
    rollout_id: str,
    locks: Sequence[str],
    read: Callable[[str], Rollout],
) -> None:
    """Take all locks from the final owners of `locks`, so that `rollout_id` can have those.

    read: loads an owner. Raises TargetTakenError when an owner is not final.
    """
    locks_json = json.dumps(list(locks))
    for lock, owner, closed in connection.execute(sql.OWNERS, (locks_json,)).fetchall():
        refusals.check_takeover(rollout_id, lock_holder(owner, closed, read), lock)
    connection.execute(sql.EVICT, (locks_json,))


def lock_holder(owner: str, closed: object, read: Callable[[str], Rollout]) -> LockHolder:
    """Return the holder of a lock, and whether it is final. closed: None when it does not exist.

    A damaged rollout that is closed counts as final, because no command could ever finish it.
    """
    if closed is None:
        return LockHolder(printable_id(owner), final=True)
    if closed != 1:
        return LockHolder(printable_id(owner), final=False)
    try:
        rollout = read(owner)
    except SnapshotChangedError as error:
        rollout = error.rollout
    except StoreError:
        return LockHolder(printable_id(owner), final=True)
    return LockHolder(printable_id(owner), rollout.final)
