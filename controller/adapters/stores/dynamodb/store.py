"""Rollouts in one DynamoDB table, for runs on any number of hosts.

State, lease and fence are one item, so acquiring returns the state, and saving releases the lease;
state and history are saved in one transaction. Every write has an id, which shows after a lost
answer whether it was written.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from controller.adapters.aws.clients import is_denied
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores import side_items
from controller.adapters.stores.dynamodb import items
from controller.adapters.stores.dynamodb.items import Attribute, Item, moment, number, text
from controller.adapters.stores.dynamodb.locks import (
    LockState,
    lock_state,
    lock_takeovers,
    lock_update,
)
from controller.adapters.stores.dynamodb.reader import DynamoDbReader
from controller.adapters.stores.dynamodb.writes import (
    ABSENT,
    ConditionFailedError,
    UnknownWriteOutcomeError,
    Write,
    batches,
    check,
    check_locks_changed,
    delete,
    is_written,
    lost_locks,
    put,
    save_error,
    update,
)
from controller.core.history import Entry, SnapshotChangedError
from controller.core.message import RecipientList
from controller.core.rollout import Rollout
from controller.errors import StateConflictError, StoreError
from controller.immutable import Immutable, replace
from controller.ports.store import Exposure

LOCK_TRIES: Final = 5  # attempts of a start whose locks change their owners meanwhile

_LEASE_FREE = (
    "attribute_not_exists(#holder) OR #holder = :holder OR #lease_until <= :now "
    "OR #lease_until > :doubtful OR NOT attribute_type(#lease_until, :text)"
)


class KnownVersion(Immutable):
    """A version of a rollout that this object read or wrote: its locks, and their state."""

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
        self._fences: dict[str, int] = {}  # of acquired rollouts, also after the lease expired
        self._holds: set[str] = set()
        self._superseded: set[str] = set()  # rollouts whose target has a newer owner
        self._known: dict[str, KnownVersion] = {}

    # --- Rollouts -------------------------------------------------------------------------------

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        history = [put(item, ABSENT) for item in items.history_items(rollout.id, entries)]
        if (fix := rollout.evidence.fix) is not None:
            history.append(
                put({**items.fix_key(rollout.id), "red": text(side_items.dump_fix(fix))})
            )
        if self._add(f"create {rollout.id}", rollout, locks, history, hold) is not None:
            raise refusals.already_exists(rollout.id)

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        doing = f"acquire {rollout_id}"
        lease = self._lease(until)
        write = update(
            self._key(rollout_id),
            lease,
            f"attribute_exists(#pk) AND ({_LEASE_FREE})",
            add={"fence": 1},
            now=moment(now),
            doubtful=moment(refusals.implausible_from(now, until)),
            text=text("S"),  # a lease without a valid end has expired
        )
        try:
            item = self._table.write(doing, [write], returning=True)
        except ConditionFailedError as refused:
            raise self._lease_error(rollout_id, refused.items[0]) from refused
        except UnknownWriteOutcomeError as unanswered:
            current = self._table.item_after(doing, write, unanswered)
            if current is None or any(current.get(name) != one for name, one in lease.items()):
                raise
            item = current
        except StoreError as error:
            if error.context.get("code") == "ValidationException":  # its fence is not a number
                self.load(rollout_id)  # raises the error that names the damage
            raise
        self._holds.add(rollout_id)
        try:
            self._fences[rollout_id] = items.fence_of(item)
            return self._read(item)
        except StoreError:
            self.release(rollout_id)  # so that the next run gets this error, and no LeaseHeldError
            raise

    def release(self, rollout_id: str) -> None:
        self._fences.pop(rollout_id, None)  # later saves act as if it was never acquired
        if rollout_id not in self._holds:
            return
        doing = f"release {rollout_id}"
        ours = text(self._holder)
        write = update(self._key(rollout_id), self._lease(None), "#holder = :ours", ours=ours)
        try:
            self._table.write(doing, [write])
        except ConditionFailedError:
            pass  # another run has the lease by now
        except UnknownWriteOutcomeError as unanswered:
            current = self._table.item_after(doing, write, unanswered)
            if current is not None and current.get("holder") == ours:
                raise
        self._holds.discard(rollout_id)

    def load(self, rollout_id: str) -> Rollout:
        return self._read(self._item(rollout_id))

    def load_all(self, ids: Sequence[str]) -> Sequence[Rollout | StoreError]:
        loaded: dict[str, Rollout | StoreError] = {}
        keys = list[Item]()
        for rollout_id in dict.fromkeys(ids):
            loaded[rollout_id] = refusals.unknown_rollout(rollout_id, self._table.place)
            try:
                keys.append(self._key(rollout_id))
            except StoreError as error:
                loaded[rollout_id] = error
        try:
            found = list(self._table.get_all("load the rollouts", keys))
        except StoreError as error:
            cause = error.__cause__
            if not (isinstance(cause, Exception) and is_denied(cause)):
                raise
            # The role may read some of them, and a read of many is denied as a whole.
            return [self._load_or_error(rollout_id) for rollout_id in ids]
        for item in found:
            rollout_id = items.rollout_id_of(item)
            try:
                loaded[rollout_id] = self._read(item)
            except StoreError as error:
                loaded[rollout_id] = error
        return [loaded[rollout_id] for rollout_id in ids]

    def _load_or_error(self, rollout_id: str) -> Rollout | StoreError:
        try:
            return self.load(rollout_id)
        except StoreError as error:
            return error

    def save(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        *,
        hold: datetime | None = None,
        locks: Sequence[str] = (),
    ) -> Rollout:
        """Write `rollout` and append `entries`, in one transaction with the state in its locks.

        A lock that another rollout holds by now is left alone.
        """
        saved = replace(rollout, version=rollout.version + 1)
        write_id = text(uuid4().hex)
        history = [put(item, ABSENT) for item in items.history_items(rollout.id, entries)]
        doing = f"save {rollout.id}"
        known = self._known_version(doing, rollout)
        changed = known.locks if lock_state(saved) != known.lock_state else ()
        changed = tuple(dict.fromkeys((*changed, *locks)))
        while True:
            saving = self._save_write(saved, write_id, hold)
            locking = [lock_update(one, saved) for one in changed]
            try:
                self._table.write(doing, [saving, *history, *locking])
            except (ConditionFailedError, UnknownWriteOutcomeError) as problem:
                if locks and isinstance(problem, ConditionFailedError):
                    refusals.check_owner(rollout.id, locks, self.owners(locks))
                if lost := lost_locks(problem, changed):  # retry without these locks
                    self._superseded.add(rollout.id)
                    changed = tuple(one for one in changed if one not in lost)
                    continue
                current = self._table.item_after(doing, saving, problem)
                if current is None:
                    raise refusals.unknown_rollout(rollout.id, self._table.place) from problem
                if not is_written(saved, write_id, current, problem):
                    fence = self._fences.get(rollout.id)
                    raise save_error(rollout, fence, current, problem) from problem
            self._remember_lease(rollout.id, hold)
            kept = () if rollout.id in self._superseded and saved.final else known.locks
            self._known[rollout.id] = KnownVersion(saved.version, lock_state(saved), kept)
            return saved

    # --- Owners of targets ----------------------------------------------------------------------

    def owns(self, rollout_id: str, locks: Sequence[str]) -> bool:
        if rollout_id not in self._known:
            with suppress(SnapshotChangedError):
                self.load(rollout_id)
        known = bool(self._known[rollout_id].locks)
        owns = known and all(self.owner(lock) == rollout_id for lock in locks)
        if not owns:
            self._superseded.add(rollout_id)
        return owns

    # --- Recipients -----------------------------------------------------------------------------

    def set_recipients(self, recipients: RecipientList | None) -> None:
        write = delete(items.RECIPIENTS_KEY)
        if recipients is not None:
            stored = text(side_items.dump_recipients(recipients))
            write = update(items.RECIPIENTS_KEY, {"list": stored})
        self._table.write(side_items.WRITE_RECIPIENTS, [write])

    # --- Rules and requests ---------------------------------------------------------------------

    def set_rules(self, rules: str | None) -> None:
        write = delete(items.RULES_KEY)
        if rules is not None:
            write = update(items.RULES_KEY, {"rules": text(rules)})
        self._table.write("write the rules of the store", [write])

    def request_rollback(self, rollout_id: str, why: str) -> None:
        request = put({**items.request_key(rollout_id), "why": text(why)})
        self._table.write(f"request the rollback of {rollout_id}", [request])

    # --- Format ---------------------------------------------------------------------------------

    def set_format(self, stored_format: int) -> None:
        write = update(items.FORMAT_KEY, {"format": number(stored_format)})
        self._table.write("write the format of the store", [write])

    # --- Copies ---------------------------------------------------------------------------------

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout: its history first, and the rollout last, which shows all of it at once."""
        doing = f"receive {rollout.id}"
        existing = self._table.get(doing, self._key(rollout.id))
        if existing is None:
            # Raises before the history is written when the locks cannot be taken.
            lock_takeovers(self._table, rollout, locks)
            self._write_history(doing, rollout.id, entries)
            existing = self._add(doing, rollout, locks, [], None, past)
        if existing is not None:
            refusals.check_same_history(items.rollout_of(existing), rollout, entries)

    def _write_history(self, doing: str, rollout_id: str, entries: Sequence[Entry]) -> None:
        """Write the history of a rollout that does not exist yet, over that of an interrupted call.

        This takes several transactions; each requires that the rollout does not exist yet. The
        interrupted call may have been about another rollout of this id, with a longer history.
        """
        entry_items = list(items.history_items(rollout_id, entries))
        sort_keys = {item["sk"]["S"] for item in entry_items}
        stored = self._table.query(doing, "pk", items.history_key(rollout_id), only=("pk", "sk"))
        leftover = [one for one in stored if one["sk"]["S"] not in sort_keys]
        absent = check(self._key(rollout_id), ABSENT)
        writes = [*(delete(one) for one in leftover), *(put(item) for item in entry_items)]
        for batch in batches(writes, room=1):
            try:
                self._table.write(doing, [absent, *batch])
            except ConditionFailedError:
                return  # another run has written the rollout meanwhile

    # --- helpers --------------------------------------------------------------------------------

    def _read(self, item: Item) -> Rollout:
        """Return the rollout in `item`, and remember the state of its locks."""
        try:
            rollout = items.rollout_of(item)
        except SnapshotChangedError as error:  # it can still be rolled back and saved
            self._remember(error.rollout, item)
            raise
        self._remember(rollout, item)
        return rollout

    def _remember(self, rollout: Rollout, item: Item) -> None:
        locks = items.locks_of(item)
        if "locks" not in item:
            self._superseded.add(rollout.id)
        self._known[rollout.id] = KnownVersion(rollout.version, lock_state(rollout), locks)

    def _known_version(self, doing: str, rollout: Rollout) -> KnownVersion:
        """Return the version of `rollout` that is to be replaced, with the state of its locks.

        When another version is stored by now the locks do not matter: the save will fail.
        """
        known = self._known.get(rollout.id)
        if known is None or known.version != rollout.version:
            item = self._table.get(doing, self._key(rollout.id))
            if item is not None and items.version_of(item) == rollout.version:
                with suppress(SnapshotChangedError):
                    self._read(item)
                known = self._known[rollout.id]
        return known or KnownVersion(rollout.version, lock_state(rollout), ())

    def _lease(self, until: datetime | None) -> dict[str, Attribute | None]:
        if until is None:
            return {"holder": None, "lease_until": None}
        return {"holder": text(self._holder), "lease_until": moment(until)}

    def _remember_lease(self, rollout_id: str, hold: datetime | None) -> None:
        """Remember whether this object holds the lease."""
        if hold is None:
            self._holds.discard(rollout_id)
        else:
            self._holds.add(rollout_id)

    def _lease_error(self, rollout_id: str, item: Item | None) -> StoreError:
        if item is None:
            return refusals.unknown_rollout(rollout_id, self._table.place)
        until = items.moment_of(item, "lease_until")
        if until is None:
            return refusals.damaged_record(rollout_id, "lease_until: it is no moment")
        try:
            stored = self._read(item)
        except StoreError:  # to load it names the damage
            stored = None
        return refusals.lease_held(rollout_id, until, stored)

    def _save_write(self, saved: Rollout, write_id: Attribute, hold: datetime | None) -> Write:
        """Return the update of a save.

        A save without a lease overrides that of another run, which the new fence then refuses.
        """
        changes = {**items.save_attributes(saved), **self._lease(hold), "write_id": write_id}
        if saved.id in self._superseded and saved.final:
            changes["locks"] = None  # from here on a tick visits it only to deliver its outbox
            if not saved.outbox:
                changes["active"] = None
        key, read = self._key(saved.id), number(saved.version - 1)
        fence = self._fences.get(saved.id)
        if fence is None:
            return update(key, changes, "#version = :read", add={"fence": 1}, read=read)
        condition = "#version = :read AND #fence = :ours"
        return update(key, changes, condition, read=read, ours=number(fence))

    def _add(
        self,
        doing: str,
        rollout: Rollout,
        locks: Sequence[str],
        history: Sequence[Write],
        hold: datetime | None,
        past: Sequence[Exposure] = (),
    ) -> Item | None:
        """Add a rollout and return None; return the stored item instead when the id exists."""
        write_id = text(uuid4().hex)
        lease = {name: one for name, one in self._lease(hold).items() if one is not None}
        fence = number(0 if hold is None else 1)
        item = {**items.new_item(rollout, locks), **lease, "fence": fence, "write_id": write_id}
        adding = put(item, ABSENT)
        for _ in range(LOCK_TRIES):
            takeovers = lock_takeovers(self._table, rollout, locks, past)
            try:
                self._table.write(doing, [adding, *history, *takeovers])
            except (ConditionFailedError, UnknownWriteOutcomeError) as problem:
                current = self._table.item_after(doing, adding, problem)
                if current is None:
                    check_locks_changed(rollout.id, problem, len(history))
                    continue
                if not is_written(rollout, write_id, current, problem):
                    return current
            if hold is not None:
                self._fences[rollout.id] = 1
            self._remember_lease(rollout.id, hold)
            state, own_locks = lock_state(rollout), tuple(dict.fromkeys(locks))
            self._known[rollout.id] = KnownVersion(rollout.version, state, own_locks)
            return None
        raise StateConflictError(
            f"cannot {doing}: its target changed its owner {LOCK_TRIES} times meanwhile; "
            "nothing was written, safe to retry",
            rollout=rollout.id,
        )
