"""Rollouts in one SQLite file, for runs on one host: WAL needs memory that all of them share.

A save is one transaction: the state, its version and the history of that save, or nothing.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from controller.adapters.sqlite_file import explained, open_file
from controller.core import codec
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.errors import StateConflictError, TargetTakenError, UnknownRolloutError


class SqliteStore:
    """`Store` in the file at `path`, which is created with its directory on first use.

    durable: False for rehearsals; a commit then does not wait for the disk.
    create: False for runs that change nothing; a store that is not there is then an empty one.

    Belongs to the thread that made it. Raises StoreError when the file cannot be used, then and
    from every method.
    """

    def __init__(self, path: Path, *, durable: bool = True, create: bool = True) -> None:
        self._path = path
        self._connection = open_file(path, durable=durable, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the store is of no use afterwards."""
        with explained(self._path, "close the store"):
            self._connection.close()

    # --- StateStore -----------------------------------------------------------------------------

    def create(self, rollout: Rollout, entries: Sequence[Entry], locks: Sequence[str]) -> None:
        """Add a rollout and take the locks of its target, as `StateStore.create` says."""
        with self._writing(f"create {rollout.id}"):
            if self._one("SELECT 1 FROM rollouts WHERE id = ?", rollout.id):
                raise StateConflictError(
                    f"{rollout.id} exists already: another run started it first; "
                    "nothing was written, it is safe to run again",
                    rollout=rollout.id,
                )
            self._take(rollout, locks)
            self._connection.execute(_INSERT, {**_columns(rollout), **_unchanging(rollout)})
            self._append(rollout, entries)
            self._connection.executemany(
                "INSERT INTO locks (lock, rollout) VALUES (?, ?)",
                [(lock, rollout.id) for lock in dict.fromkeys(locks)],
            )

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout. Raises UnknownRolloutError, StoreError."""
        with explained(self._path, f"load {rollout_id}"):
            return self._read(rollout_id)

    def save(self, rollout: Rollout, entries: Sequence[Entry]) -> Rollout:
        """Write `rollout` and append `entries`, as `StateStore.save` says."""
        saved = replace(rollout, version=rollout.version + 1)
        with self._writing(f"save {rollout.id}"):
            change = {**_columns(saved), "read": rollout.version}
            if self._connection.execute(_UPDATE, change).rowcount == 0:
                raise _conflict(self._read(rollout.id), rollout)
            self._append(rollout, entries)
        return saved

    # --- Catalogue ------------------------------------------------------------------------------

    def active(self, now: datetime) -> Sequence[str]:
        """Return the ids that a tick must visit, oldest first.

        Not final; or final, still watched, and not replaced by a newer owner of its target.
        """
        with explained(self._path, "list the active rollouts"):
            rows = self._connection.execute(_UNFINISHED).fetchall()
        found = [
            (datetime.fromisoformat(created), rollout_id)
            for rollout_id, created, final, until in rows
            if not final or (until is not None and datetime.fromisoformat(until) > now)
        ]
        return tuple(rollout_id for _, rollout_id in sorted(found))

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`, first attempt first."""
        with explained(self._path, f"list the rollouts called {name}"):
            rows = self._connection.execute(
                "SELECT id FROM rollouts WHERE name = ? ORDER BY attempt", (name,)
            ).fetchall()
        return tuple(rollout_id for (rollout_id,) in rows)

    def history(self, rollout_id: str) -> Sequence[Entry]:
        """Return all entries of a rollout, first one first. Raises UnknownRolloutError."""
        with explained(self._path, f"read the history of {rollout_id}"):
            rows = self._connection.execute(
                "SELECT entry FROM history WHERE rollout = ? ORDER BY seq", (rollout_id,)
            ).fetchall()
            if not rows:
                self._read(rollout_id)
        return tuple(codec.load_entry(rollout_id, text) for (text,) in rows)

    # --- Ownership ------------------------------------------------------------------------------

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        with explained(self._path, f"look up the owner of {lock}"):
            row = self._one("SELECT rollout FROM locks WHERE lock = ?", lock)
        return None if row is None else str(row[0])

    def exposures(self, target: str) -> Sequence[tuple[str, datetime, datetime | None]]:
        """Return id, begin and end (None: still) of weight above 0 of each rollout of `target`.

        The earliest comes first.
        """
        with explained(self._path, f"look up who moved {target}"):
            rows = self._connection.execute(
                "SELECT id, exposed_from, exposed_to FROM rollouts "
                "WHERE target = ? AND exposed_from IS NOT NULL",
                (target,),
            ).fetchall()
        found = [(one, datetime.fromisoformat(begin), _moment(end)) for one, begin, end in rows]
        return tuple(sorted(found, key=lambda exposure: exposure[1]))

    # --- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        """Run one transaction that holds the write lock from its first line on."""
        with explained(self._path, doing), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _one(self, query: str, *values: str) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _read(self, rollout_id: str) -> Rollout:
        row = self._one("SELECT state, policy FROM rollouts WHERE id = ?", rollout_id)
        if row is None:
            raise UnknownRolloutError(
                f"no rollout has the id {rollout_id} in {self._path}; "
                "check the id and which store was asked",
                rollout=rollout_id,
                file=str(self._path),
            )
        state, policy = row
        return codec.load(rollout_id, state, policy)

    def _append(self, rollout: Rollout, entries: Sequence[Entry]) -> None:
        self._connection.executemany(
            "INSERT INTO history (rollout, seq, entry) VALUES (?, ?, ?)",
            ((rollout.id, entry.seq, codec.dump_entry(entry)) for entry in entries),
        )

    def _take(self, rollout: Rollout, locks: Sequence[str]) -> None:
        """Free `locks` of their final owners. Raises TargetTakenError when one is not final."""
        wanted = json.dumps(list(locks))
        taken = self._one(_LIVING_OWNER, wanted)
        if taken is not None:
            lock, owner = taken
            raise TargetTakenError(
                f"{rollout.id} was not started: {owner} owns {lock}; "
                f"let {owner} finish or roll it back first",
                rollout=rollout.id,
                owner=owner,
                lock=lock,
            )
        self._connection.execute(_EVICT, (wanted,))


_INSERT = """
INSERT INTO rollouts (id, name, attempt, target, created, policy,
                      version, final, watch_until, exposed_from, exposed_to, state)
VALUES (:id, :name, :attempt, :target, :created, :policy,
        :version, :final, :watch_until, :exposed_from, :exposed_to, :state)
"""

_UPDATE = """
UPDATE rollouts
SET version = :version, final = :final, watch_until = :watch_until,
    exposed_from = :exposed_from, exposed_to = :exposed_to, state = :state
WHERE id = :id AND version = :read
"""

_UNFINISHED = """
SELECT id, created, final, watch_until FROM rollouts
WHERE NOT final OR id IN (SELECT rollout FROM locks)
"""

_LIVING_OWNER = """
SELECT lock, rollout FROM locks JOIN rollouts ON rollouts.id = locks.rollout
WHERE lock IN (SELECT value FROM json_each(?)) AND NOT final
ORDER BY lock LIMIT 1
"""

_EVICT = """
DELETE FROM locks WHERE rollout IN
    (SELECT rollout FROM locks WHERE lock IN (SELECT value FROM json_each(?)))
"""


def _columns(rollout: Rollout) -> dict[str, object]:
    """Return what a save writes; the columns beside `state` repeat what queries look for."""
    return {
        "id": rollout.id,
        "version": rollout.version,
        "final": rollout.final,
        "watch_until": _text(rollout.watch_until),
        "exposed_from": _text(rollout.exposed_from),
        "exposed_to": _text(rollout.exposed_to),
        "state": codec.dump(rollout),
    }


def _unchanging(rollout: Rollout) -> dict[str, object]:
    return {
        "name": rollout.name,
        "attempt": rollout.attempt,
        "target": rollout.target,
        "created": _text(rollout.created),
        "policy": rollout.policy.snapshot(),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _conflict(stored: Rollout, ours: Rollout) -> StateConflictError:
    return StateConflictError(
        f"another run saved {ours.id} first ({stored.reason}, {clock_text(stored.updated)}): "
        f"version {stored.version} is stored, this run read {ours.version}; "
        "nothing was written, it is safe to run again",
        rollout=ours.id,
        stored_version=stored.version,
        read_version=ours.version,
    )
