"""What is stored: the history, the version, the owner, the time."""

from collections.abc import Iterator

from controller.core.history import broken_link
from controller.core.replay.replay import replay
from controller.core.rollout import Rollout
from controller.core.transitions import ROLLBACK_PHASES
from tests.chaos.event_log import RESUME_KEEP, Notification, ProcessEnd, RolloutSave
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import SystemState


class SoundHistory(Invariant):
    """The hashes are made again, and the decisions derived again, at the end of the story."""

    name = "sound-history"
    text = (
        "The history has neither gap nor double, its hash chain holds, it says what the state "
        "says, and every decision follows again from what its entry has seen."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield what does not fit together."""
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
            yield f"moved {after.id} to {after.phase} at {after.weight} % without an entry"

    def at_end(self, state: SystemState) -> Iterator[str]:
        """Yield what does not follow."""
        for rollout_id, entries in state.histories.items():
            stored = state.stored[rollout_id]
            broken = broken_link(entries, stored.chain)
            if broken is not None:
                yield f"left a chain of {rollout_id} that breaks at entry {broken}"
                continue
            found = replay(stored, entries)
            for one in found.entry_differences:
                yield f"left an entry of {rollout_id} that does not follow: {one.seq} ({one.kind})"
            for contrast in found.state:
                yield f"left a state of {rollout_id} that does not follow: {contrast}"


def _position(rollout: Rollout) -> tuple[str, int, int]:
    return str(rollout.phase), rollout.weight, rollout.step


class VersionIncrements(Invariant):
    """So that of two saves from one state only one goes through."""

    name = "versions-rise"
    text = "Each save raises the version by one."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a version that was skipped or used twice."""
        before, after = save.before, save.after
        if before is not None and after.version != before.version + 1:
            yield f"saved {after.id} as version {after.version} after version {before.version}"


class MonotonicTime(Invariant):
    """Whatever the clock of a run says: now is never before what was recorded last."""

    name = "time-goes-forward"
    text = "Recorded time never goes back."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a moment before the last one."""
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
    """A final rollout may keep its locks, for it is only watching, and gives way."""

    name = "one-owner"
    text = (
        "No two unfinished rollouts have the same target, and its lock names the one that has. A "
        "lock says that its rollout is final when it is, and at no other time."
    )
    allows = "A rollback by hand ignores every lock: what was over goes back to 0 % once more."

    def __init__(self) -> None:
        self._opened_again: set[str] = set()

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a second owner, and a lock that does not say how its owner stands."""
        yield from _wrong_locks(save)
        before, after = save.before, save.after
        if before is not None and before.final and after.phase in ROLLBACK_PHASES:
            self._opened_again.add(after.id)
        if after.final or after.id in self._opened_again:
            return
        for one in state.stored.values():
            apart = one.id == after.id or one.final or one.id in self._opened_again
            if not apart and set(one.locks) & set(after.locks):
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
    """A step is an index that was decided once."""

    name = "step-by-step"
    text = "A rollout goes up by one step at a time, and never skips one."
    allows = (
        "`resume --keep` goes on in the step that the kept weight has reached, and an adoption "
        "begins there."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a step that does not follow."""
        before, after = save.before, save.after
        if before is None or after.step in (before.step, before.step + 1):
            return
        if RESUME_KEEP not in state.verbs_of(save.by):
            yield f"led {after.id} from step {before.step + 1} to step {after.step + 1}"


class OneTransition(Invariant):
    """Counted in entries that change phase, step or weight; `settled` changes none of them."""

    name = "one-transition"
    text = "A run takes a rollout one transition further, and no more."
    allows = "What follows from its own move is recorded too, and ways back to 0 % do not count."

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], str] = {}

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a second transition of one run."""
        before, after = save.before, save.after
        if after.phase in ROLLBACK_PHASES or (
            before is not None and _position(before) == _position(after)
        ):
            return
        kind = save.entries[-1].kind if save.entries else str(after.phase)
        place = (save.by, after.id)
        if place in self._taken:
            yield f"took {after.id} two transitions further: {self._taken[place]}, then {kind}"
        self._taken[place] = kind

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Forget the run: another may have its name."""
        self._taken = {place: kind for place, kind in self._taken.items() if place[0] != end.by}
        yield from ()


class NotifyOnce(Invariant):
    """Of a rollback that cannot be saved every run tells again: the one before left no trace."""

    name = "told-once"
    text = "No notice is sent twice for one transition that was saved."
    allows = "What could not be saved is decided again by the next run, and told again."

    def __init__(self) -> None:
        self._saved: dict[tuple[str, int], tuple[object, ...]] = {}
        self._told: dict[tuple[str, int, str], str] = {}

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Take note of what was saved."""
        self._saved[save.after.id, save.after.version] = _state(save.after)
        yield from ()

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Yield what was told before."""
        rollout, text = notification.rollout, notification.notice.text
        if self._saved.get((rollout.id, rollout.version)) != _state(rollout):
            return
        place = (rollout.id, rollout.version, text)
        if place in self._told:
            yield f"told people what {self._told[place]} had told them: {text}"
        self._told[place] = notification.by


def _state(rollout: Rollout) -> tuple[object, ...]:
    return rollout.phase, rollout.entries, rollout.chain, rollout.since, rollout.reminded
