"""Rollouts in one SQLite file, for runs on one host: WAL needs memory that all runs share.

A save is one transaction: the state, its version and the history of that save, or nothing.
"""

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast
from uuid import uuid4

from controller.adapters.stores import codec, side_items
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.side_items import moment_of, printable_id
from controller.adapters.stores.sqlite import rows
from controller.adapters.stores.sqlite.file import (
    IN_MEMORY,
    format_of,
    open_file,
    set_format,
    store_errors,
    transaction,
)
from controller.adapters.stores.sqlite.rollback_targets_file import record_target
from controller.core.history import Entry
from controller.core.message import RecipientList
from controller.core.rollout import Rollout
from controller.core.stored_formats import written_format
from controller.core.visit_order import Listed, Visits, in_visit_order, visits_of
from controller.errors import StoreError, UsageError
from controller.immutable import replace
from controller.ports.store import Exposure, LockHolder, Store


class SqliteStore:
    """`Store` in the file at `path`, which is created with its directory on first use.

    path: None for rehearsals; the store is then in memory, and ends with it.
    durable: False in tests; a commit then does not wait for the disk.
    create: False for runs that change nothing; a missing store is then an empty one.

    Use it in one thread at a time: several threads need `one_call_at_a_time`. The constructor and
    every method raise StoreError when the file cannot be used.

    in_use: held by a thread of `one_call_at_a_time` during its call.
    """

    def __init__(self, path: Path | None, *, durable: bool = True, create: bool = True) -> None:
        self._path = path or IN_MEMORY
        self._durable, self._writes_targets_file = durable, create and path is not None
        self._connection = open_file(path, durable=durable, create=create)
        self._holder = uuid4().hex
        self._fences: dict[str, int] = {}  # of acquired rollouts, also after the lease expired
        self._unreadable: set[str] = set()  # listed ids that differ from the stored ones
        self.in_use = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, after the call of another thread; the store cannot be used afterwards.

        To close a connection that SQLite is working on crashes the process.
        """
        with self.in_use, store_errors(self._path, "close the store"):
            self._connection.close()

    # --- Rollouts -------------------------------------------------------------------------------

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        with self._transaction(f"create {rollout.id}"):
            if self._row("SELECT 1 FROM rollouts WHERE id = ?", rollout.id):
                raise refusals.already_exists(rollout.id)
            self._add(rollout, entries, locks, hold)
            if (fix := rollout.evidence.fix) is not None:
                self._connection.execute(rows.CREATE_FIXES)
                stored = rollout.id, side_items.dump_fix(fix)
                self._connection.execute("INSERT INTO fixes VALUES (?, ?)", stored)
        if hold is not None:
            self._fences[rollout.id] = 1

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        moments = {"now": now, "until": until, "doubtful": refusals.implausible_from(now, until)}
        lease = {name: rows.sortable(moment) for name, moment in moments.items()}
        lease["holder"] = self._holder
        with self._transaction(f"acquire {rollout_id}"):
            if self._connection.execute(rows.ACQUIRE, {"id": rollout_id, **lease}).rowcount == 0:
                self._read(rollout_id)
                (stored,) = self._row("SELECT lease_until FROM rollouts WHERE id = ?", rollout_id)
                held_until = moment_of(stored)
                if held_until is None:
                    raise refusals.damaged_record(rollout_id, "lease_until: it is no moment")
                raise refusals.lease_held(rollout_id, held_until)
            rollout = self._read(rollout_id)
            (fence,) = self._row("SELECT fence FROM rollouts WHERE id = ?", rollout_id)
        self._fences[rollout_id] = fence
        return rollout

    def release(self, rollout_id: str) -> None:
        self._fences.pop(rollout_id, None)  # later saves act as if it was never acquired
        with store_errors(self._path, f"release {rollout_id}"):
            own_lease = self._row(
                "SELECT 1 FROM rollouts WHERE id = ? AND holder = ?", rollout_id, self._holder
            )
        if own_lease is None:
            return  # without waiting for the write lock: a rollback may be about to lower traffic
        with self._transaction(f"release {rollout_id}"):
            self._connection.execute(rows.RELEASE, {"id": rollout_id, "holder": self._holder})

    def load(self, rollout_id: str) -> Rollout:
        with store_errors(self._path, f"load {rollout_id}"):
            return self._read(rollout_id)

    def load_all(self, ids: Sequence[str]) -> Sequence[Rollout | StoreError]:
        loaded = list[Rollout | StoreError]()
        for rollout_id in ids:
            try:
                loaded.append(self.load(rollout_id))
            except StoreError as error:
                loaded.append(error)
        return loaded

    def save(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        *,
        hold: datetime | None = None,
        locks: Sequence[str] = (),
    ) -> Rollout:
        saved = replace(rollout, version=rollout.version + 1)
        change = {
            **rows.columns(saved),
            **self._lease(hold),
            "fence": self._fences.get(rollout.id),
            "read": rollout.version,
        }
        with self._transaction(f"save {rollout.id}"):
            refusals.check_owner(rollout.id, locks, self._owners(locks))
            if self._connection.execute(rows.UPDATE, change).rowcount == 0:
                raise refusals.save_conflict(rollout, self._read(rollout.id))
            rows.append_history(self._connection, rollout.id, entries)
        return saved

    # --- Finding rollouts -----------------------------------------------------------------------

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids; one whose target has a newer owner only while its outbox has messages."""
        return tuple(one.rollout_id for one in in_visit_order(self._listed(now, names)))

    def visits(self, now: datetime, names: Collection[str] = ()) -> Visits:
        return visits_of(self._listed(now, names), now)

    def _listed(self, now: datetime, names: Collection[str]) -> Iterator[Listed]:
        # Roughly, because stored moments are text in more than one form.
        roughly = rows.sortable(now - timedelta(days=1))
        with store_errors(self._path, "list the active rollouts"):
            stored = self._connection.execute(rows.UNFINISHED, {"roughly": roughly}).fetchall()
        unfinished = [rows.UnfinishedRow(self._list_id(row[0]), *row[1:]) for row in stored]
        named = [row for row in unfinished if not names or row.name in names]
        return rows.listed(named, now)

    def all(self) -> Sequence[str]:
        with store_errors(self._path, "list all rollouts"):
            stored = self._connection.execute("SELECT created, id FROM rollouts").fetchall()
        listed = [(created, self._list_id(stored_id)) for created, stored_id in stored]
        return tuple(rows.oldest_first(listed))

    def scan(self) -> Iterator[str]:
        page: list[tuple[int, object]] = [(rows.FIRST_ROW, "")]
        while page:
            with store_errors(self._path, "read all rollouts"):
                page = self._connection.execute(rows.PAGE, (page[-1][0],)).fetchall()
            yield from (self._list_id(stored_id) for _, stored_id in page)

    def of_name(self, name: str) -> Sequence[str]:
        with store_errors(self._path, f"list the rollouts called {name}"):
            stored = self._connection.execute(
                "SELECT id FROM rollouts WHERE name = ? ORDER BY attempt", (name,)
            ).fetchall()
        return tuple(self._list_id(rollout_id) for (rollout_id,) in stored)

    def newest_entry(self, rollout_id: str) -> Entry | None:
        with store_errors(self._path, f"read the newest entry of {rollout_id}"):
            row = self._row(
                "SELECT entry FROM history WHERE rollout = ? ORDER BY seq DESC LIMIT 1", rollout_id
            )
        return None if row is None else codec.load_entry(rollout_id, row[0])

    def history(self, rollout_id: str, most: int | None = None) -> Sequence[Entry]:
        return tuple(islice(self.entries(rollout_id), most))

    def entries(self, rollout_id: str) -> Iterator[Entry]:
        # A read that stays open would keep other processes from writing.
        page = self._entries_after(rollout_id, 0)
        if not page:
            with store_errors(self._path, f"read the history of {rollout_id}"):
                self._read(rollout_id)
        while page:
            for _, text in page:
                yield codec.load_entry(rollout_id, text)
            page = self._entries_after(rollout_id, page[-1][0])

    def _entries_after(self, rollout_id: str, seq: int) -> list[Any]:
        with store_errors(self._path, f"read the history of {rollout_id}"):
            return self._connection.execute(rows.ENTRIES, (rollout_id, seq)).fetchall()

    # --- Owners of targets ----------------------------------------------------------------------

    def owner(self, lock: str) -> str | None:
        with store_errors(self._path, f"look up the owner of {lock}"):
            row = self._row("SELECT rollout FROM locks WHERE lock = ?", lock)
        return None if row is None else self._list_id(row[0])

    def owners(self, locks: Collection[str]) -> Mapping[str, str | None]:
        with store_errors(self._path, "look up the owners of targets"):
            return self._owners(locks)

    def owners_and_requests(
        self, locks: Collection[str], ids: Collection[str]
    ) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        """Return the owners, and no request: a file has no roles that may write only these."""
        return self.owners(locks), {}

    def request_rollback(self, rollout_id: str, why: str) -> None:
        raise UsageError(
            "rollouts in a file take no requests: a user who may write the file may roll back; "
            "leave --request out"
        )

    def holder(self, lock: str) -> LockHolder | None:
        with store_errors(self._path, f"look up the owner of {lock}"):
            row = self._row(rows.HOLDER, lock)
            return None if row is None else rows.lock_holder(row[1], row[2], self._load_state)

    def owns(self, rollout_id: str, locks: Sequence[str]) -> bool:
        owners = self.owners(locks)
        return all(owners.get(lock) == rollout_id for lock in locks)

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        with store_errors(self._path, f"look up who moved {target}"):
            stored = self._connection.execute(
                "SELECT id, exposed_from, exposed_to, created FROM rollouts "
                "WHERE target = ? AND exposed_from IS NOT NULL",
                (target,),
            ).fetchall()
        return tuple(rows.exposures((self._list_id(one), *rest) for one, *rest in stored))

    # --- Fixes ----------------------------------------------------------------------------------

    def red_before(self, rollout_id: str) -> Mapping[str, float | None] | None:
        with store_errors(self._path, side_items.reading_fix(rollout_id)):
            if self._row(rows.FIXES_EXIST) is None:
                return None
            row = self._row("SELECT red FROM fixes WHERE rollout = ?", rollout_id)
        return None if row is None else side_items.load_fix(rollout_id, row[0])

    # --- Recipients -----------------------------------------------------------------------------

    def recipients(self) -> RecipientList | None:
        with store_errors(self._path, side_items.READ_RECIPIENTS):
            if self._row(rows.RECIPIENTS_EXIST) is None:
                return None
            row = self._row("SELECT list FROM recipients")
        return None if row is None else side_items.load_recipients(row[0])

    def set_recipients(self, recipients: RecipientList | None) -> None:
        with self._transaction(side_items.WRITE_RECIPIENTS):
            self._connection.execute(rows.CREATE_RECIPIENTS)
            self._connection.execute("DELETE FROM recipients")
            if recipients is not None:
                stored = side_items.dump_recipients(recipients)
                self._connection.execute("INSERT INTO recipients VALUES (1, ?)", (stored,))

    # --- Rules ----------------------------------------------------------------------------------

    def rules(self) -> str | None:
        with store_errors(self._path, "read the rules of the store"):
            if self._row(rows.RULES_EXIST) is None:
                return None
            row = self._row("SELECT text FROM rules")
        return None if row is None else str(row[0])

    def set_rules(self, rules: str | None) -> None:
        with self._transaction("write the rules of the store"):
            self._connection.execute(rows.CREATE_RULES)
            self._connection.execute("DELETE FROM rules")
            if rules is not None:
                self._connection.execute("INSERT INTO rules VALUES (1, ?)", (rules,))

    # --- Format ---------------------------------------------------------------------------------

    def format(self) -> int:
        with store_errors(self._path, "read the format of the store"):
            stored = format_of(self._connection)
        refusals.check_format(str(self._path), stored)
        return written_format(stored)

    def set_format(self, stored_format: int) -> None:
        with self._transaction("write the format of the store"):
            set_format(self._connection, stored_format)

    # --- Copies ---------------------------------------------------------------------------------

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout; `past` is ignored: what it is about is in the file itself."""
        with self._transaction(f"receive {rollout.id}"):
            if self._row("SELECT 1 FROM rollouts WHERE id = ?", rollout.id):
                refusals.check_same_history(self._read(rollout.id), rollout, entries)
                return
            self._add(rollout, entries, locks, None)

    # --- helpers --------------------------------------------------------------------------------

    def _transaction(self, doing: str) -> AbstractContextManager[None]:
        """Return one transaction that has the write lock from its beginning."""
        return transaction(self._connection, self._path, doing)

    def _row(self, query: str, *values: str) -> Any:
        return self._connection.execute(query, values).fetchone()

    def _list_id(self, stored: object) -> str:
        """Return a stored id as printable text, and remember it when that differs."""
        printable = printable_id(stored)
        if printable != stored:
            self._unreadable.add(printable)
        return printable

    def _read(self, rollout_id: str) -> Rollout:
        row = self._row(rows.READ, rollout_id)
        if row is None and rollout_id in self._unreadable:
            raise refusals.damaged_record(rollout_id, "id: it is not the text of an id")
        if row is None:
            raise refusals.unknown_rollout(rollout_id, str(self._path))
        return rows.rollout_of(rollout_id, rows.StoredRow(*row))

    def _load_state(self, rollout_id: str) -> Rollout:
        """Return the rollout from its state alone."""
        row = rows.StoredRow(*self._row(rows.READ, rollout_id))
        return codec.load(rollout_id, row.state, row.policy)

    def _owners(self, locks: Collection[str]) -> dict[str, str | None]:
        stored = self._connection.execute(rows.OWNED, (json.dumps(list(locks)),)).fetchall()
        return {lock: self._list_id(owner) for lock, owner in stored}

    def _lease(self, until: datetime | None) -> dict[str, object]:
        if until is None:
            return {"holder": None, "lease_until": None}
        return {"holder": self._holder, "lease_until": rows.sortable(until)}

    def _add(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        hold: datetime | None,
    ) -> None:
        rows.evict_owners(self._connection, rollout.id, locks, self._load_state)
        lease = {**self._lease(hold), "fence": 0 if hold is None else 1}
        self._connection.execute(
            rows.INSERT, {**rows.columns(rollout), **rows.fixed_columns(rollout), **lease}
        )
        rows.append_history(self._connection, rollout.id, entries)
        rows.insert_locks(self._connection, rollout.id, locks)
        if self._writes_targets_file:
            try:
                active = self.active(rollout.updated)
            except StoreError:
                active = ()  # a start must not fail because of that file
            record_target(self._path, rollout, active, durable=self._durable)


class _OneCallAtATime:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*values: Any, **named: Any) -> Any:
            with self._store.in_use:
                return method(*values, **named)

        return call


def one_call_at_a_time(store: SqliteStore) -> Store:
    """Return `store` for several threads: each call waits for those of other threads.

    A connection of SQLite has one transaction at a time, and a call takes milliseconds.
    """
    return cast("Store", _OneCallAtATime(store))
