"""Invariants of the store: history, versions, locks, recorded time, and notices."""

from collections.abc import Iterator

from controller.core.transitions.rollback import ROLLBACK_PHASES
from tests.chaos.event_log import RESUME_KEEP, Notification, ProcessEnd, RolloutSave
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import SystemState
from tests.support.core import Rollout, broken_link, replay


class SoundHistory(Invariant):
    """At the end of the run the hash chain is verified, and every decision is replayed."""

    name = "consistent-history"
    text = (
        "The history has no gap and no duplicate, its hash chain is valid, its newest entry "
        "agrees with the state, and every recorded decision can be derived again from its entry."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a contradiction between the history and the state."""
        after, before = save.after, save.before
        known = state.histories.get(after.id, [])
        if not save.history_intact:
            yield f"changed entries of {after.id} that were written already"
            return
        seq, chain = len(known), known[-1].hash if known else ""
        for entry in save.entries:
            seq += 1
            if (entry.seq, entry.previous) != (seq, chain):
                yield f"wrote entry {entry.seq} of {after.id} where entry {seq} follows"
            chain = entry.hash
        if (after.entries, after.chain) != (seq, chain):
            yield f"says that {after.id} has {after.entries} entries, and it has {seq}"
        elif save.entries:
            body = save.entries[-1].body
            if (body["phase_to"], body["weight_to"], body["step"]) != _position(after):
                yield f"wrote an entry of {after.id} that says otherwise than its state"
        elif before is not None and _position(before) != _position(after):
            yield f"moved {after.id} to {after.phase} at {after.weight}% without an entry"

    def at_end(self, state: SystemState) -> Iterator[str]:
        """Yield a broken chain, and an entry or state that the replay does not derive."""
        for rollout_id, entries in state.histories.items():
            stored = state.stored[rollout_id]
            broken = broken_link(entries, stored.chain)
            if broken is not None:
                yield f"left a chain of {rollout_id} that breaks at entry {broken}"
                continue
            replayed = replay(stored, entries)
            for one in replayed.entry_differences:
                yield f"left an entry of {rollout_id} that does not follow: {one.seq} ({one.kind})"
            for difference in replayed.state:
                yield f"left a state of {rollout_id} that does not follow: {difference}"


def _position(rollout: Rollout) -> tuple[str, int, int]:
    return str(rollout.phase), rollout.weight, rollout.step


class VersionIncrements(Invariant):
    """The version makes only one of two saves from the same state succeed."""

    name = "versions-rise"
    text = "Each save raises the version of the record by one."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a version that was skipped or used twice."""
        before, after = save.before, save.after
        if before is not None and after.version != before.version + 1:
            yield f"saved {after.id} as version {after.version} after version {before.version}"


class MonotonicTime(Invariant):
    """A run whose clock is behind uses the time that was recorded last."""

    name = "time-goes-forward"
    text = "Recorded times never decrease."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a recorded time before the last one."""
        before, after = save.before, save.after
        if before is not None and after.updated < before.updated:
            yield f"saved {after.id} as of {after.updated:%H:%M:%S}, before what was saved last"
        known = state.histories.get(after.id)
        last = known[-1].at if known else None
        for entry in save.entries:
            if last is not None and entry.at < last:
                yield f"wrote entry {entry.seq} of {after.id} before the one before"
            last = entry.at


class OneOwner(Invariant):
    """A final rollout may keep its locks: it only watches, and a start takes them over."""

    name = "one-owner"
    text = (
        "Two unfinished rollouts never have the same target, and the lock of a target names its "
        "unfinished rollout. The lock says that its rollout has ended exactly when it has."
    )
    allows = (
        "A rollback command ignores locks: it may lower the weight of an ended rollout once more."
    )

    def __init__(self) -> None:
        self._reopened: set[str] = set()

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a second owner, and a lock with a wrong `final`."""
        yield from _wrong_locks(save)
        before, after = save.before, save.after
        if before is not None and before.final and after.phase in ROLLBACK_PHASES:
            self._reopened.add(after.id)
        if after.final or after.id in self._reopened:
            return
        for one in state.stored.values():
            separate = one.id == after.id or one.final or one.id in self._reopened
            if not separate and set(one.locks) & set(after.locks):
                yield f"drives {after.id} on the target that {one.id} has"
        for lock, owner in save.owners.items():
            if owner != after.id:
                yield f"drives {after.id} while the lock {lock} names {owner or 'nobody'}"


def _wrong_locks(save: RolloutSave) -> Iterator[str]:
    for lock, final in save.final.items():
        if final is not save.after.final:
            word = "final" if final else "not final"
            yield f"leaves the lock {lock} saying that {save.after.id} is {word}"


class StepByStep(Invariant):
    """A step is an index that is decided once."""

    name = "step-by-step"
    text = "A rollout advances by one step at a time and skips none."
    allows = (
        "`resume --keep` goes on in the step that the kept weight has reached, and `start "
        "--adopt` begins there."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a step that is skipped or goes back."""
        before, after = save.before, save.after
        if before is None or after.step in (before.step, before.step + 1):
            return
        if RESUME_KEEP not in state.verbs_of(save.by):
            yield f"led {after.id} from step {before.step + 1} to step {after.step + 1}"


class OneTransition(Invariant):
    """Counts saves that change phase, step or weight; `settled` changes none of them."""

    name = "one-transition"
    text = "One process takes a rollout through one transition at most."
    allows = (
        "The confirmation of the weight that the process wrote is recorded too. Transitions of a "
        "rollback do not count."
    )

    def __init__(self) -> None:
        self._transitions: dict[tuple[str, str], str] = {}

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a second transition of one run."""
        before, after = save.before, save.after
        if after.phase in ROLLBACK_PHASES or (
            before is not None and _position(before) == _position(after)
        ):
            return
        kind = save.entries[-1].kind if save.entries else str(after.phase)
        key = (save.by, after.id)
        if key in self._transitions:
            yield f"took {after.id} two transitions further: {self._transitions[key]}, then {kind}"
        self._transitions[key] = kind

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Forget the run, as another one may get its name."""
        self._transitions = {
            key: kind for key, kind in self._transitions.items() if key[0] != end.by
        }
        yield from ()


class NotifyOnce(Invariant):
    """A rollback that cannot be saved is announced again by every run, as none left a record."""

    name = "one-notice"
    text = "No notice is sent twice for one saved transition."
    allows = (
        "A decision that could not be saved is made again by the next tick, and its notice is "
        "sent again."
    )

    def __init__(self) -> None:
        self._saved: dict[tuple[str, int], tuple[object, ...]] = {}
        self._sent: dict[tuple[str, int, str], str] = {}

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Record the saved state."""
        self._saved[save.after.id, save.after.version] = _state_key(save.after)
        yield from ()

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Yield a notice that was sent before."""
        rollout, text = notification.rollout, notification.notice.text
        if self._saved.get((rollout.id, rollout.version)) != _state_key(rollout):
            return
        key = (rollout.id, rollout.version, text)
        if key in self._sent:
            yield f"told people what {self._sent[key]} had told them: {text}"
        self._sent[key] = notification.by


def _state_key(rollout: Rollout) -> tuple[object, ...]:
    conditions = frozenset(rollout.conditions.items())
    return rollout.phase, rollout.entries, rollout.chain, rollout.since, conditions
