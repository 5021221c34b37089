"""Rollouts in one DynamoDB table, for runs on any number of hosts.

State, lease and fence are one item, so acquiring returns the state and saving frees it; state and
history are saved in one transaction. Every write carries an id, by which it is known again after
an answer was lost.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from controller.adapters.stores import refusals as refusals
from controller.adapters.stores.dynamodb import items as items
from controller.adapters.stores.dynamodb import write_outcome as outcome
from controller.adapters.stores.dynamodb.failures import (
    ConditionFailedError,
    UnknownWriteOutcomeError,
)
from controller.adapters.stores.dynamodb.items import Attribute, Item, moment, number, text
from controller.adapters.stores.dynamodb.locks import LockState, lock_takeovers, lock_update
from controller.adapters.stores.dynamodb.reader import DynamoDbReader
from controller.adapters.stores.dynamodb.writes import (
    ABSENT,
    Write,
    batches,
    check,
    delete,
    put,
    update,
)
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.snapshot import SnapshotChangedError
from controller.errors import StateConflictError, StoreError
from controller.ports.store import Exposure

LOCK_TRIES: Final = 5  # of a start that finds other owners than a moment before

_LEASE_FREE = (
    "attribute_not_exists(#holder) OR #holder = :holder OR #lease_until <= :now "
    "OR #lease_until > :doubtful OR NOT attribute_type(#lease_until, :text)"
)


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A rollout as this object last read or wrote it: its locks, and what they say of it."""

    version: int
    lock_state: LockState
    locks: tuple[str, ...]


class DynamoDbStore(DynamoDbReader):
    """`Store` in the DynamoDB table called `table`, which `table.py` makes.

    Raises NoStoreError when there is no such table, StoreError when it cannot be used, from every
    method.
    """

    def __init__(self, client: Any, table: str) -> None:
        super().__init__(client, table)
        self._holder = uuid4().hex
        self._fences: dict[str, int] = {}  # of what this object acquired, whether it still has it
        self._holds: set[str] = set()
        self._superseded: set[str] = set()  # what a newer owner of its target has replaced
        self._known: dict[str, KnownVersion] = {}

    # --- StateStore -----------------------------------------------------------------------------

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Add a rollout and take the locks of its target, as `StateStore.create` says."""
        history = [put(one, ABSENT) for one in items.history_items(rollout.id, entries)]
        if self._add(f"create {rollout.id}", rollout, locks, history, hold) is not None:
            raise refusals.already_exists(rollout.id)

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout, which this object alone has, as `StateStore.acquire` says."""
        doing = f"acquire {rollout_id}"
        lease = self._lease(until)
        write = update(
            self._key(rollout_id),
            lease,
            f"attribute_exists(#pk) AND ({_LEASE_FREE})",
            add={"fence": 1},
            now=moment(now),
            doubtful=moment(refusals.implausible_from(now, until)),
            text=text("S"),  # a lease whose end is missing, or no text, has expired
        )
        try:
            item = self._table.write(doing, [write], returning=True)
        except ConditionFailedError as refused:
            raise self._lease_error(rollout_id, refused.items[0]) from refused
        except UnknownWriteOutcomeError as unanswered:
            found = outcome.item_after(self._table, doing, write, unanswered)
            if found is None or any(found.get(name) != one for name, one in lease.items()):
                raise
            item = found
        except StoreError as error:
            if error.context.get("code") == "ValidationException":  # its fence is no number
                self.load(rollout_id)  # says what is damaged
            raise
        if "locks" not in item:
            self._superseded.add(rollout_id)
        self._holds.add(rollout_id)
        try:
            self._fences[rollout_id] = items.fence_of(item)
            return self._read(item)
        except StoreError:
            self.release(rollout_id)  # whoever comes next shall see the damage, and not a lease
            raise

    def release(self, rollout_id: str) -> None:
        """Let other runs in, if this object still has the rollout. Raises StoreError."""
        self._fences.pop(rollout_id, None)  # from here on as if it had never acquired it
        if rollout_id not in self._holds:
            return
        doing = f"release {rollout_id}"
        ours = text(self._holder)
        write = update(self._key(rollout_id), self._lease(None), "#holder = :ours", ours=ours)
        try:
            self._table.write(doing, [write])
        except ConditionFailedError:
            pass  # another run has it by now
        except UnknownWriteOutcomeError as unanswered:
            found = outcome.item_after(self._table, doing, write, unanswered)
            if found is not None and found.get("holder") == ours:
                raise
        self._holds.discard(rollout_id)

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout. Raises UnknownRolloutError, StoreError."""
        return self._read(self._item(rollout_id))

    def save(
        self, rollout: Rollout, entries: Sequence[Entry], *, hold: datetime | None = None
    ) -> Rollout:
        """Write `rollout` and append `entries`, as `StateStore.save` says.

        What its locks say of it is written with it, where that changes. A lock that it has lost is
        left alone.
        """
        saved = replace(rollout, version=rollout.version + 1)
        write_id = text(uuid4().hex)
        history = [put(one, ABSENT) for one in items.history_items(rollout.id, entries)]
        doing = f"save {rollout.id}"
        known = self._known_version(doing, rollout)
        changed = known.locks if LockState.of(saved) != known.lock_state else ()
        while True:
            saving = self._save_write(saved, write_id, hold)
            locking = [lock_update(one, saved) for one in changed]
            try:
                self._table.write(doing, [saving, *history, *locking])
            except (ConditionFailedError, UnknownWriteOutcomeError) as problem:
                if lost := outcome.lost_locks(problem, changed):
                    self._superseded.add(rollout.id)
                    changed = tuple(one for one in changed if one not in lost)
                    continue
                found = outcome.item_after(self._table, doing, saving, problem)
                if found is None:
                    raise refusals.unknown_rollout(rollout.id, self._table.place) from problem
                if not outcome.is_written(saved, write_id, found, problem):
                    ours = self._fences.get(rollout.id)
                    raise outcome.save_error(rollout, ours, found, problem) from problem
            self._remember_lease(rollout.id, hold)
            locks = () if rollout.id in self._superseded and saved.final else known.locks
            self._known[rollout.id] = KnownVersion(saved.version, LockState.of(saved), locks)
            return saved

    # --- Ownership ------------------------------------------------------------------------------

    def owns(self, rollout_id: str) -> bool:
        """Tell whether a rollout holds all the locks that it took, as `Ownership.owns` says."""
        if rollout_id not in self._known:
            with suppress(SnapshotChangedError):
                self.load(rollout_id)
        locks = self._known[rollout_id].locks
        found = bool(locks) and all(self.owner(lock) == rollout_id for lock in locks)
        if not found:
            self._superseded.add(rollout_id)
        return found

    # --- Archive --------------------------------------------------------------------------------

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout with its whole history, as `Archive.receive` says.

        The history goes first; with the rollout, all of it is seen at once.
        """
        doing = f"receive {rollout.id}"
        known = self._table.get(doing, self._key(rollout.id))
        if known is None:
            lock_takeovers(
                self._table, rollout, locks
            )  # refuses at once what would be refused at last
            self._write_history(doing, rollout.id, entries)
            known = self._add(doing, rollout, locks, [], None, past)
        if known is not None:
            refusals.check_same_history(items.rollout_of(known), rollout, entries)

    def _write_history(self, doing: str, rollout_id: str, entries: Sequence[Entry]) -> None:
        """Write the history of a rollout that is not there yet, over what an earlier call left.

        In as many transactions as it takes, each of which wants the rollout not to be there yet.
        What was left may be of another rollout of the same id, with a longer history.
        """
        ours = list(items.history_items(rollout_id, entries))
        places = {one["sk"]["S"] for one in ours}
        found = self._table.query(doing, "pk", items.history_key(rollout_id), only=("pk", "sk"))
        leftover = [one for one in found if one["sk"]["S"] not in places]
        absent = check(self._key(rollout_id), ABSENT)
        writes = [*(delete(one) for one in leftover), *(put(one) for one in ours)]
        for batch in batches(writes, room=1):
            try:
                self._table.write(doing, [absent, *batch])
            except ConditionFailedError:
                return  # another run has brought it meanwhile

    # --- inside ---------------------------------------------------------------------------------

    def _read(self, item: Item) -> Rollout:
        """Return the rollout that `item` holds, and remember what its locks say of it."""
        try:
            rollout = items.rollout_of(item)
        except SnapshotChangedError as error:  # it can still go down, and be saved
            self._remember(error.rollout, item)
            raise
        self._remember(rollout, item)
        return rollout

    def _remember(self, rollout: Rollout, item: Item) -> None:
        locks = items.locks_of(item)
        self._known[rollout.id] = KnownVersion(rollout.version, LockState.of(rollout), locks)

    def _known_version(self, doing: str, rollout: Rollout) -> KnownVersion:
        """Return what the locks of `rollout` say of the version that is to be saved.

        Where that is not the stored version any more, nothing is written in any case.
        """
        known = self._known.get(rollout.id)
        if known is None or known.version != rollout.version:
            item = self._table.get(doing, self._key(rollout.id))
            if item is not None and items.version_of(item) == rollout.version:
                with suppress(SnapshotChangedError):
                    self._read(item)
                known = self._known[rollout.id]
        return known or KnownVersion(rollout.version, LockState.of(rollout), ())

    def _lease(self, until: datetime | None) -> dict[str, Attribute | None]:
        if until is None:
            return {"holder": None, "lease_until": None}
        return {"holder": text(self._holder), "lease_until": moment(until)}

    def _remember_lease(self, rollout_id: str, hold: datetime | None) -> None:
        """Remember whether a release has something to do."""
        if hold is None:
            self._holds.discard(rollout_id)
        else:
            self._holds.add(rollout_id)

    def _lease_error(self, rollout_id: str, found: Item | None) -> StoreError:
        if found is None:
            return refusals.unknown_rollout(rollout_id, self._table.place)
        until = items.moment_of(found, "lease_until")
        if until is None:
            return refusals.damaged_record(rollout_id, "lease_until: it is no moment")
        return refusals.lease_held(rollout_id, until)

    def _save_write(self, saved: Rollout, write_id: Attribute, hold: datetime | None) -> Write:
        """Return the update of a save.

        An object that never acquired the rollout overrides: whoever had it finds another fence.
        """
        changes = {**items.save_attributes(saved), **self._lease(hold), "write_id": write_id}
        if saved.id in self._superseded and saved.final:
            changes["locks"] = None  # from here on it is visited for its messages alone
            if not saved.outbox:
                changes["active"] = None
        key, read = self._key(saved.id), number(saved.version - 1)
        ours = self._fences.get(saved.id)
        if ours is None:
            return update(key, changes, "#version = :read", add={"fence": 1}, read=read)
        held = "#version = :read AND #fence = :ours"
        return update(key, changes, held, read=read, ours=number(ours))

    def _add(
        self,
        doing: str,
        rollout: Rollout,
        locks: Sequence[str],
        history: Sequence[Write],
        hold: datetime | None,
        past: Sequence[Exposure] = (),
    ) -> Item | None:
        """Add a rollout, and return None; or return the one that was there already."""
        write_id = text(uuid4().hex)
        lease = {name: one for name, one in self._lease(hold).items() if one is not None}
        fence = number(0 if hold is None else 1)
        item = {**items.new_item(rollout, locks), **lease, "fence": fence, "write_id": write_id}
        adding = put(item, ABSENT)
        for _ in range(LOCK_TRIES):
            owning = lock_takeovers(self._table, rollout, locks, past)
            try:
                self._table.write(doing, [adding, *history, *owning])
            except (ConditionFailedError, UnknownWriteOutcomeError) as problem:
                found = outcome.item_after(self._table, doing, adding, problem)
                if found is None:
                    outcome.check_locks_changed(rollout.id, problem, len(history))
                    continue
                if not outcome.is_written(rollout, write_id, found, problem):
                    return found
            if hold is not None:
                self._fences[rollout.id] = 1
            self._remember_lease(rollout.id, hold)
            kept = tuple(dict.fromkeys(locks))
            self._known[rollout.id] = KnownVersion(rollout.version, LockState.of(rollout), kept)
            return None
        raise StateConflictError(
            f"cannot {doing}: its target changed its owner {LOCK_TRIES} times meanwhile; "
            "nothing was written, it is safe to run again",
            rollout=rollout.id,
        )
