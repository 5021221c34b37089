"""The rows of a `SqliteStore`: its SQL, the values of its columns, and how rows are read.

A damaged row never hides another one.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from controller.adapters.stores import codec
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.side_items import moment_of, printable_id
from controller.core.history import Entry, SnapshotChangedError
from controller.core.rollout import FINAL_PHASES, Phase, Rollout
from controller.core.visit_order import LAST_MOMENT, Listed, is_visited, stored_order
from controller.errors import StoreError
from controller.ports.store import LockHolder, visit_deadline

INSERT = """
INSERT INTO rollouts (id, name, attempt, target, created, policy, fence, holder, lease_until,
                      version, closed, watch_until, exposed_from, exposed_to, state)
VALUES (:id, :name, :attempt, :target, :created, :policy, :fence, :holder, :lease_until,
        :version, :closed, :watch_until, :exposed_from, :exposed_to, :state)
"""

# A run without a fence never acquired the rollout: its save overrides the lease of another run,
# which the new fence then refuses. A released rollout keeps the fence of its last holder.
UPDATE = """
UPDATE rollouts
SET version = :version, closed = :closed, watch_until = :watch_until,
    exposed_from = :exposed_from, exposed_to = :exposed_to, state = :state,
    fence = coalesce(:fence, fence + 1), holder = :holder, lease_until = :lease_until
WHERE id = :id AND version = :read AND fence = coalesce(:fence, fence)
"""

# A lease without a valid end has expired.
ACQUIRE = """
UPDATE rollouts SET fence = fence + 1, holder = :holder, lease_until = :until
WHERE id = :id AND (holder IS NULL OR holder = :holder
                    OR lease_until <= :now OR lease_until > :doubtful
                    OR julianday(lease_until) IS NULL)
"""

RELEASE = """
UPDATE rollouts SET holder = NULL, lease_until = NULL WHERE id = :id AND holder = :holder
"""

# The JSON functions of SQLite fail on a damaged state that is no JSON.
_FROM_STATE = "CASE WHEN json_valid(state) THEN json_extract(state, '$.{}') END"

UNFINISHED = f"""
SELECT id, name, created, closed, watch_until, id IN (SELECT rollout FROM locks) AS owns,
       {_FROM_STATE.format("state.phase")} AS phase, {_FROM_STATE.format("updated")} AS updated,
       {_FROM_STATE.format("due")} AS due
FROM rollouts
WHERE closed <> 1 OR id IN (SELECT rollout FROM locks)
      OR (watch_until > :roughly
          AND CASE WHEN json_valid(state) THEN json_array_length(state, '$.outbox') > 0 END)
"""  # noqa: S608 - it contains no input

# By the rowid, so that no transaction stays open between two pages.
ENTRIES = "SELECT seq, entry FROM history WHERE rollout = ? AND seq > ? ORDER BY seq LIMIT 20"
PAGE = "SELECT rowid, id FROM rollouts WHERE rowid > ? ORDER BY rowid LIMIT 500"
FIRST_ROW = -(1 << 63)

# The columns of `StoredRow`.
READ = """
SELECT state, policy, version, closed, created, watch_until, exposed_from, exposed_to
FROM rollouts WHERE id = ?
"""

OWNERS = """
SELECT lock, rollout, closed FROM locks JOIN rollouts ON rollouts.id = locks.rollout
WHERE lock IN (SELECT value FROM json_each(?))
ORDER BY lock
"""

OWNED = "SELECT lock, rollout FROM locks WHERE lock IN (SELECT value FROM json_each(?))"

HOLDER = """
SELECT lock, locks.rollout, closed FROM locks LEFT JOIN rollouts ON rollouts.id = locks.rollout
WHERE lock = ?
"""

EVICT = """
DELETE FROM locks WHERE rollout IN
    (SELECT rollout FROM locks WHERE lock IN (SELECT value FROM json_each(?)))
"""

# The table is made with the first list, so that a file without one keeps the layout that it has.
RECIPIENTS_EXIST = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'recipients'"
CREATE_RECIPIENTS = """
CREATE TABLE IF NOT EXISTS recipients (id INTEGER PRIMARY KEY CHECK (id = 1), list TEXT NOT NULL)
STRICT
"""

# As above: it is made with the first rules.
RULES_EXIST = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'rules'"
CREATE_RULES = """
CREATE TABLE IF NOT EXISTS rules (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL) STRICT
"""

# As above: it is made with the first rollout that is started as a fix.
FIXES_EXIST = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'fixes'"
CREATE_FIXES = """
CREATE TABLE IF NOT EXISTS fixes (rollout TEXT PRIMARY KEY, red TEXT NOT NULL) STRICT
"""


def columns(rollout: Rollout) -> dict[str, object]:
    """Return the columns that every save writes."""
    return {
        "id": rollout.id,
        "version": rollout.version,
        "closed": rollout.final,
        "watch_until": _text(visit_deadline(rollout)),
        "exposed_from": _text(rollout.created),
        "exposed_to": _text(rollout.exposed_to),
        "state": codec.dump(rollout),
    }


def fixed_columns(rollout: Rollout) -> dict[str, object]:
    """Return the columns that are written once, for a new rollout."""
    return {
        "name": rollout.name,
        "attempt": rollout.attempt,
        "target": rollout.target,
        "created": _text(rollout.created),
        "policy": codec.dump_policy(rollout),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def sortable(moment: datetime) -> str:
    """Return `moment` as text of fixed length, which sorts chronologically."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


# --- Reading --------------------------------------------------------------------------------------

_UNFINISHED_PHASES: Final = frozenset(str(phase) for phase in Phase if phase not in FINAL_PHASES)


class StoredRow(NamedTuple):
    """The stored columns of one rollout; those after `policy` repeat parts of `state`."""

    state: object
    policy: object
    version: object
    closed: object
    created: object
    watch_until: object
    exposed_from: object
    exposed_to: object


def rollout_of(rollout_id: str, row: StoredRow) -> Rollout:
    """Return the rollout. Raises StoreError when its state or a column that repeats it is damaged.

    A wrong version would make every save fail; a wrong `closed` would hide the rollout from ticks.
    """
    rollout = codec.load(rollout_id, row.state, row.policy)
    if row.version != rollout.version:
        raise refusals.damaged_record(rollout_id, "version: the state has another one")
    if row.closed != rollout.final:
        raise refusals.damaged_record(rollout_id, "closed: the state says otherwise")
    for name in ("created", "watch_until", "exposed_from", "exposed_to"):
        value = getattr(row, name)
        if moment_of(value) is None and (value is not None or name == "created"):
            raise refusals.damaged_record(rollout_id, f"{name}: it is no moment")
    return rollout


class UnfinishedRow(NamedTuple):
    """The columns that decide whether a tick visits a rollout, and in which order."""

    rollout_id: str
    name: object
    created: object
    closed: object
    watch_until: object
    owns: object
    phase: object
    updated: object
    due: object

    @property
    def damaged(self) -> bool:
        """Whether these columns show that the rollout is damaged; a visit reports the damage."""
        bad_deadline = self.watch_until is not None and moment_of(self.watch_until) is None
        bad_flag = self.closed not in (0, 1)
        return bad_flag or bad_deadline or moment_of(self.created) is None

    def is_visited(self, now: datetime) -> bool:
        """Tell whether a tick visits the rollout: it is open, still watched, or damaged."""
        watched, until = self.watch_until is not None, moment_of(self.watch_until)
        is_open = bool(self.owns) and not watched and self.phase in _UNFINISHED_PHASES
        over = self.closed == 1 and not is_open
        return is_visited(over=over, is_watched=watched, until=until, now=now)


def listed(rows: Iterable[UnfinishedRow], now: datetime) -> Iterator[Listed]:
    """Yield the rollouts that ticks visit."""
    for row in rows:
        if row.is_visited(now):
            order = stored_order(
                row.rollout_id,
                phase=row.phase,
                saved=moment_of(row.updated),
                created=moment_of(row.created),
                damaged=row.damaged,
            )
            yield Listed(order, row.rollout_id, row.phase, moment_of(row.due))


def oldest_first(rows: Iterable[tuple[object, str]]) -> list[str]:
    """Return the ids of `rows` (created, id), the oldest first, those without a moment last."""
    by_age = sorted((moment_of(created) or LAST_MOMENT, rollout_id) for created, rollout_id in rows)
    return [rollout_id for _, rollout_id in by_age]


def exposures(
    rows: Iterable[tuple[str, object, object, object]],
) -> list[tuple[str, datetime, datetime | None]]:
    """Return the exposures in `rows` (id, begin, end, created), the earliest first.

    With a damaged begin, a rollout counts as exposed since its creation; with a damaged end, as
    still exposed: so no baseline is read from a time that may have had canary traffic.
    """
    parsed = [
        (rollout_id, moment_of(begin) or moment_of(created), moment_of(end))
        for rollout_id, begin, end, created in rows
    ]
    known = [(rollout_id, begin, end) for rollout_id, begin, end in parsed if begin is not None]
    return sorted(known, key=lambda exposure: exposure[1])


def text_of(stored: bytes) -> str:
    """Return stored text; bytes that are not UTF-8 become surrogates, so they can be shown."""
    return stored.decode(errors="surrogateescape")


# --- History and locks ----------------------------------------------------------------------------


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
    for lock, owner, closed in connection.execute(OWNERS, (locks_json,)).fetchall():
        refusals.check_takeover(rollout_id, lock_holder(owner, closed, read), lock)
    connection.execute(EVICT, (locks_json,))


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
