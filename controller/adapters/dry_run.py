"""Dry run: adapters that let reads pass and write down what would have been done.

The runner does not know: the same path is walked with other edges.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.adapters.stores import refusals as refusals
from controller.core.checks import Obstacle
from controller.core.decision import Notice
from controller.core.history import Entry
from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer, TargetReading
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout
from controller.errors import StateConflictError
from controller.ports.store import Exposure, LockHolder, Store
from controller.ports.target import InspectableTarget


@dataclass(slots=True)
class Journal:
    """What would have been done, in order; each line goes on after "would:"."""

    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Add one line."""
        self.lines.append(line)


class DryRunTarget:
    """A target that is read, and never written. name: what people call it."""

    def __init__(self, target: InspectableTarget, name: str, journal: Journal) -> None:
        self._target, self._name, self._journal = target, name, journal

    def read(self) -> TargetReading:
        """Return the weight as it stands."""
        return self._target.read()

    def shift_to(self, weight: int, token: str) -> None:
        """Note the weight."""
        self._journal.note(f"set {self._name} to {weight} %")

    def lower_to_zero(
        self,
        within: timedelta,
        *,
        void: str = "",
        check: Callable[[TargetReading], object] | None = None,
    ) -> None:
        """Note the rollback."""
        if check is not None:
            check(self._target.read())
        self._journal.note(f"lower {self._name} to 0 %")

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what is in the way."""
        return self._target.obstacles()


class DryRunStore:
    """A store that is read, and remembers what was saved only as long as this process."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal
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
        """Note the new rollout. Raises TargetTakenError as the real store would."""
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
        """Note what would be taken in. Raises TargetTakenError as the real store would."""
        self._check_free(rollout, locks)
        self._journal.note(f"take in {rollout.id} and its history ({len(entries)} entries)")
        self._remember(rollout, entries, locks)

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout, whoever has it: what is not written disturbs nobody."""
        return self.load(rollout_id)

    def release(self, rollout_id: str) -> None:
        """Do nothing: nothing was acquired."""

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout as this process saved it, or as it is stored."""
        return self._saved.get(rollout_id) or self._store.load(rollout_id)

    def save(
        self, rollout: Rollout, entries: Sequence[Entry], *, hold: datetime | None = None
    ) -> Rollout:
        """Note the transitions; a state without one is not worth a line.

        Raises StateConflictError, as a real store would, for a version that was saved before.
        """
        if self.load(rollout.id).version != rollout.version:
            raise StateConflictError(f"{rollout.id} was saved by another run; safe to run again")
        for entry in entries:
            self._journal.note(f"record {entry.kind} of {rollout.id}: {entry.body['sentence']}")
        saved = replace(rollout, version=rollout.version + 1)
        self._saved[rollout.id] = saved
        self._entries.setdefault(rollout.id, []).extend(entries)
        return saved

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids that a tick must visit, this process's own last."""
        own = (self._saved[one] for one in self._created)
        living = (one for one in own if not one.final and (not names or one.name in names))
        return (*self._store.active(now, names), *(one.id for one in living))

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts, this process's own last."""
        return (*self._store.all(), *self._created)

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`."""
        own = (one for one in self._created if self._saved[one].name == name)
        return (*self._store.of_name(name), *own)

    def history(self, rollout_id: str) -> Sequence[Entry]:
        """Return all entries, stored ones first."""
        stored = () if rollout_id in self._created else self._store.history(rollout_id)
        return (*stored, *self._entries.get(rollout_id, ()))

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        return self._locks.get(lock) or self._store.owner(lock)

    def holder(self, lock: str) -> LockHolder | None:
        """Return who holds `lock`, and whether it gives way."""
        if lock not in self._locks:
            return self._store.holder(lock)
        own = self._saved[self._locks[lock]]
        return LockHolder(own.id, own.final)

    def owns(self, rollout_id: str) -> bool:
        """Tell whether a rollout holds all its locks, as far as this process took none of them."""
        if rollout_id in self._created:
            return rollout_id in self._locks.values()
        taken = (lock for lock in self.load(rollout_id).locks if lock in self._locks)
        return not any(taken) and self._store.owns(rollout_id)

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return when rollouts of `target` had weight above 0; a dry run moved none."""
        return self._store.exposures(target, locks)

    def _check_free(self, rollout: Rollout, locks: Sequence[str]) -> None:
        for lock in locks:
            if (holder := self.holder(lock)) is not None:
                refusals.check_takeover(rollout.id, holder, lock)

    def _remember(self, rollout: Rollout, entries: Sequence[Entry], locks: Sequence[str]) -> None:
        self._saved[rollout.id] = rollout
        self._created.append(rollout.id)
        self._entries[rollout.id] = list(entries)
        self._locks.update(dict.fromkeys(locks, rollout.id))


class DryRunNotifier:
    """A notifier that tells nobody."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Note the notice."""
        self._journal.note(f"tell people ({notice.severity}): {notice.text}")


class DryRunChannelNotifier:
    """A courier that brings nothing anywhere."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Note what would be sent, and where to."""
        self._journal.note(f"send {message.kind} ({message.severity}) to {channel.display_name}")


class DryRunHooks:
    """Hooks that nobody calls, and that would have allowed it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Note the question, and go on as if it were allowed."""
        self._journal.note(f"ask {hook.display_name} ({call.trigger}), and go on if it allows that")
        return HookAnswer(Consent.GIVEN)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Note the call."""
        self._journal.note(f"call {hook.display_name} ({call.trigger})")
