"""Dry-run adapters: they pass reads through, and record writes in a journal instead.

The engine runs the same code as in a real run, only with these adapters.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.adapters.stores import error_texts as refusals
from controller.core.decision import Notice
from controller.core.history import Entry
from controller.core.message import Message, RecipientList
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Channel, Hook, TargetSpec
from controller.core.rollout import Rollout
from controller.core.visit_order import Visits
from controller.errors import StateConflictError, StoreError
from controller.immutable import replace
from controller.ports.notify import HookCall
from controller.ports.store import Exposure, LockHolder, Store
from controller.ports.target import InspectableTarget, ReadingCheck


@dataclass(slots=True)
class DryRunLog:
    """The writes of a dry run, in order; each line continues a sentence after "would:".

    It is also the `ChannelNotifier` and the `HookCaller` of a dry run.
    """

    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Add one line."""
        self.lines.append(line)

    def announce(self, rollout: Rollout, notice: Notice) -> None:
        """Add a line for `notice`, which a real run logs."""
        self.note(f"notify ({notice.severity}): {notice.text}")

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Add a line for `message`, which is not sent."""
        self.note(f"send {message.kind} ({message.severity}) to {channel.display_name}")

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Add a line for a call that is not made, and return consent."""
        self.note(f"call {hook.display_name} ({call.trigger}), and continue if it allows that")
        return HookAnswer(Consent.GIVEN)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Add a line for a call that is not made."""
        self.note(f"call {hook.display_name} ({call.trigger})")


def dry_run_target(
    target: InspectableTarget, spec: TargetSpec, journal: DryRunLog
) -> InspectableTarget:
    """Return the target of `spec` without its writes; one that is only observed refuses them."""
    return target if spec.observed else DryRunTarget(target, spec.name, journal)


class DryRunTarget:
    """`InspectableTarget` that reads the real one and never writes. name: as shown to people."""

    def __init__(self, target: InspectableTarget, name: str, journal: DryRunLog) -> None:
        self._name, self._journal = name, journal
        self.read, self.resolved, self.obstacles = target.read, target.resolved, target.obstacles
        self.check_lowering, self.foreign_values = target.check_lowering, target.foreign_values
        self.name_warnings, self.log_group = target.name_warnings, target.log_group
        self.encryption_key = target.encryption_key

    def shift_to(self, weight: int, token: str) -> None:
        self._journal.note(f"set {self._name} to {weight}%")

    def lower_to_zero(
        self, within: timedelta, *, outdated_token: str = "", check: ReadingCheck | None = None
    ) -> None:
        """Record the rollback, after `check` has seen a reading. Raises as the real one would."""
        if check is not None:
            check(self.read())
        self.check_lowering()
        self._journal.note(f"lower {self._name} to 0%")


class DryRunStore:
    """`Store` that reads the real one, and keeps saves only in the memory of this process."""

    def __init__(self, store: Store, journal: DryRunLog) -> None:
        self._store, self._journal = store, journal
        self.exposures, self.recipients = store.exposures, store.recipients
        self.rules, self.format = store.rules, store.format
        self._saved: dict[str, Rollout] = {}
        self._created: list[str] = []
        self._entries: dict[str, list[Entry]] = {}
        self._locks: dict[str, str] = {}

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Record the new rollout. Raises TargetTakenError as the real store would."""
        self._check_free(rollout, locks)
        self._journal.note(f"create {rollout.id}: {rollout.sentence}")
        self._remember(rollout, entries, locks)

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Record the rollout to be received. Raises TargetTakenError as the real store would."""
        self._check_free(rollout, locks)
        self._journal.note(f"take in {rollout.id} and its history ({len(entries)} entries)")
        self._remember(rollout, entries, locks)

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout without a lease: a dry run writes nothing, so it needs none."""
        return self.load(rollout_id)

    def release(self, rollout_id: str) -> None:
        """Do nothing: nothing was acquired."""

    def load(self, rollout_id: str) -> Rollout:
        return self._saved.get(rollout_id) or self._store.load(rollout_id)

    def load_all(self, ids: Sequence[str]) -> Sequence[Rollout | StoreError]:
        unsaved = [one for one in ids if one not in self._saved]
        stored = dict(zip(unsaved, self._store.load_all(unsaved), strict=True))
        return [self._saved.get(one) or stored[one] for one in ids]

    def save(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        *,
        hold: datetime | None = None,
        locks: Sequence[str] = (),
    ) -> Rollout:
        """Record the history entries of a save; a save without entries adds no line.

        Raises StateConflictError, as the real store would, for a version that was saved before, and
        NotOwnerError for a lock that the rollout does not own.
        """
        refusals.check_owner(rollout.id, locks, self.owners(locks))
        if self.load(rollout.id).version != rollout.version:
            raise StateConflictError(f"{rollout.id} was saved by another run; safe to retry")
        for entry in entries:
            self._journal.note(f"record {entry.kind} of {rollout.id}: {entry.body['sentence']}")
        saved = replace(rollout, version=rollout.version + 1)
        self._saved[rollout.id] = saved
        self._entries.setdefault(rollout.id, []).extend(entries)
        return saved

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids that ticks visit; those created by this process come last."""
        return (*self._store.active(now, names), *self._unfinished(names))

    def visits(self, now: datetime, names: Collection[str] = ()) -> Visits:
        """Return what is due; what this process created always is, and comes last."""
        stored = self._store.visits(now, names)
        return replace(stored, due=(*stored.due, *self._unfinished(names)))

    def _unfinished(self, names: Collection[str]) -> list[str]:
        own = (self._saved[one] for one in self._created)
        return [one.id for one in own if not one.final and (not names or one.name in names)]

    def all(self) -> Sequence[str]:
        return (*self._store.all(), *self._created)

    def scan(self) -> Iterator[str]:
        yield from (*self._store.scan(), *self._created)

    def of_name(self, name: str) -> Sequence[str]:
        own = (one for one in self._created if self._saved[one].name == name)
        return (*self._store.of_name(name), *own)

    def newest_entry(self, rollout_id: str) -> Entry | None:
        unsaved = self._entries.get(rollout_id)
        return unsaved[-1] if unsaved else self._store.newest_entry(rollout_id)

    def history(self, rollout_id: str, most: int | None = None) -> Sequence[Entry]:
        stored = () if rollout_id in self._created else self._store.history(rollout_id, most)
        return (*stored, *self._entries.get(rollout_id, ()))[:most]

    def entries(self, rollout_id: str) -> Iterator[Entry]:
        if rollout_id not in self._created:
            yield from self._store.entries(rollout_id)
        yield from self._entries.get(rollout_id, ())

    def owner(self, lock: str) -> str | None:
        return self._locks.get(lock) or self._store.owner(lock)

    def holder(self, lock: str) -> LockHolder | None:
        if lock not in self._locks:
            return self._store.holder(lock)
        own = self._saved[self._locks[lock]]
        return LockHolder(own.id, own.final)

    def owners(self, locks: Collection[str]) -> Mapping[str, str | None]:
        """Return which rollout owns each of `locks`, those of this process included."""
        own = {lock: self._locks[lock] for lock in locks if lock in self._locks}
        return {**self._store.owners([one for one in locks if one not in own]), **own}

    def owners_and_requests(
        self, locks: Collection[str], ids: Collection[str]
    ) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        """Return the owners, those of this process included, and the requests of the store."""
        stored = [one for one in ids if one not in self._created]
        return self.owners(locks), self._store.owners_and_requests((), stored)[1]

    def request_rollback(self, rollout_id: str, why: str) -> None:
        self._journal.note(f"request the rollback of {rollout_id}: {why}")

    def owns(self, rollout_id: str, locks: Sequence[str]) -> bool:
        """Tell whether a rollout owns all of `locks` and lost none to one of this process."""
        if rollout_id in self._created:
            return rollout_id in self._locks.values()
        lost = any(lock in self._locks for lock in locks)
        return not lost and self._store.owns(rollout_id, locks)

    def red_before(self, rollout_id: str) -> Mapping[str, float | None] | None:
        """Return what the store has, or what it would have of a rollout of this process."""
        if rollout_id in self._created:
            fix = self._saved[rollout_id].evidence.fix
            return None if fix is None else fix.red
        return self._store.red_before(rollout_id)

    def set_recipients(self, recipients: RecipientList | None) -> None:
        self._journal.note(f"{'remove' if recipients is None else 'set'} the list of recipients")

    def set_rules(self, rules: str | None) -> None:
        self._journal.note(f"{'remove' if rules is None else 'set'} the rules of the store")

    def set_format(self, stored_format: int) -> None:
        self._journal.note(f"start rollouts in format {stored_format}")

    def _check_free(self, rollout: Rollout, locks: Sequence[str]) -> None:
        for lock in locks:
            if (holder := self.holder(lock)) is not None:
                refusals.check_takeover(rollout.id, holder, lock)

    def _remember(self, rollout: Rollout, entries: Sequence[Entry], locks: Sequence[str]) -> None:
        self._saved[rollout.id] = rollout
        self._created.append(rollout.id)
        self._entries[rollout.id] = list(entries)
        self._locks.update(dict.fromkeys(locks, rollout.id))
