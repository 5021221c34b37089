"""The rows that a rollout has beside its own: entries of its history, and locks of its target."""

import json
import sqlite3
from collections.abc import Callable, Sequence

from controller.adapters.stores import refusals as refusals
from controller.adapters.stores.sqlite import queries as sql
from controller.core import codec
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.snapshot import SnapshotChangedError
from controller.errors import StoreError
from controller.ports.store import LockHolder


def append_history(
    connection: sqlite3.Connection, rollout_id: str, entries: Sequence[Entry]
) -> None:
    """Append `entries` to the history of a rollout."""
    connection.executemany(
        "INSERT INTO history (rollout, seq, entry) VALUES (?, ?, ?)",
        ((rollout_id, entry.seq, codec.dump_entry(entry)) for entry in entries),
    )


def insert_locks(connection: sqlite3.Connection, rollout_id: str, locks: Sequence[str]) -> None:
    """Give `locks`, which nobody has, to a rollout."""
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
    """Free `locks` of their final owners, for `rollout_id`; `read` loads an owner.

    Raises TargetTakenError when one is not final.
    """
    wanted = json.dumps(list(locks))
    for one, owner, closed in connection.execute(sql.OWNERS, (wanted,)).fetchall():
        refusals.check_takeover(rollout_id, lock_holder(owner, closed, read), one)
    connection.execute(sql.EVICT, (wanted,))


def lock_holder(owner: str, closed: object, read: Callable[[str], Rollout]) -> LockHolder:
    """Return what a lock of `owner` means for others; closed: None where the rollout is gone.

    A closed and damaged rollout can never be finished by a command: its lock gives way.
    """
    if closed is None:
        return LockHolder(owner, final=True)
    if closed != 1:
        return LockHolder(owner, final=False)
    try:
        found = read(owner)
    except SnapshotChangedError as error:
        found = error.rollout
    except StoreError:
        return LockHolder(owner, final=True)
    return LockHolder(owner, found.final)
