"""The rows that a rollout has beside its own: entries of its history, and locks of its target."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from controller.adapters import store_refusals as refusals
from controller.adapters.sqlite import queries as sql
from controller.core import codec
from controller.core.history import Entry
from controller.core.rollout import Rollout


def append(connection: sqlite3.Connection, rollout_id: str, entries: Sequence[Entry]) -> None:
    """Append `entries` to the history of a rollout."""
    connection.executemany(
        "INSERT INTO history (rollout, seq, entry) VALUES (?, ?, ?)",
        ((rollout_id, entry.seq, codec.dump_entry(entry)) for entry in entries),
    )


def lock(connection: sqlite3.Connection, rollout_id: str, locks: Sequence[str]) -> None:
    """Give `locks`, which nobody has, to a rollout."""
    connection.executemany(
        "INSERT INTO locks (lock, rollout) VALUES (?, ?)",
        [(one, rollout_id) for one in dict.fromkeys(locks)],
    )


def free(
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
        if closed != 1:
            raise refusals.taken(rollout_id, owner, one)
        refusals.check_gives_way(rollout_id, partial(read, owner), one)
    connection.execute(sql.EVICT, (wanted,))
