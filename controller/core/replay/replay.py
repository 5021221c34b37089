"""Replay: every decision of a history derived again, from what its entries say was seen.

Pure: it needs the history and the stored rollout, and no account. Taken on trust is what came from
outside: what was seen, what people asked, the minutes in which nothing was recorded (`MEMORY`), and
the findings that a person's verb carries over from the tick before. A history that was changed, its
hashes made anew, has to make sense all the same: that is what is found here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller.core.decision import Decision
from controller.core.history import Entry, broken_link
from controller.core.observation import Observation
from controller.core.outbox import HOOK_CALLED
from controller.core.replay.compare import Difference, decision_differences, state_differences
from controller.core.replay.derive import EVIDENCE, derive_decision, derive_start
from controller.core.replay.entry import RecordedDecision, UnreadableEntryError, read_entry
from controller.core.replay.resync import resync_to_entry
from controller.core.rollout import Rollout
from controller.core.snapshot import Digests, digests
from controller.errors import UsageError

__all__ = ["Difference", "EntryDifferences", "Replay", "replay"]


@dataclass(frozen=True, slots=True)
class EntryDifferences:
    """An entry that does not follow from what it says was seen."""

    seq: int
    at: datetime
    kind: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of a replay.

    decisions, seals: how many were derived again; a seal is an hour of evidence.
    broken: the number of the first entry that breaks the hash chain; None when it holds.
    policy: the digests of the policy from which it was derived.
    differing: the entries that do not follow; state: what is stored of the rollout and does not.
    """

    rollout: str
    entries: int
    decisions: int
    seals: int
    broken_at: int | None
    entry_differences: tuple[EntryDifferences, ...]
    state: tuple[Difference, ...]
    policy: Digests

    @property
    def consistent(self) -> bool:
        """True when the chain holds and everything was derived again as it stands.

        A policy that was changed since the start is none to derive from.
        """
        sound = self.broken_at is None and self.policy.consistent
        return sound and not self.entry_differences and not self.state


def replay(stored: Rollout, entries: Sequence[Entry], snapshot: str | None = None) -> Replay:
    """Derive every decision of `entries` again, and what `stored` has to be after them.

    snapshot: the digest of the stored policy, where it is not the one that the state names.

    A difference is told once: the next decision is derived from what was recorded.
    Findings of hourly evidence are not derived: the entry keeps the minutes it sealed, and they
    came from younger ones too. The tallies that it sealed are.
    """
    walk = _Walk(stored)
    for entry in entries:
        if entry.kind != HOOK_CALLED:  # nothing was decided
            walk.replay_entry(entry)
    seals = sum(entry.kind == EVIDENCE for entry in entries)
    hooked = sum(entry.kind == HOOK_CALLED for entry in entries)
    return Replay(
        rollout=stored.id,
        entries=len(entries),
        decisions=len(entries) - seals - hooked,
        seals=seals,
        broken_at=broken_link(entries, stored.chain),
        entry_differences=tuple(walk.entry_differences),
        state=walk.state(),
        policy=digests(stored, entries, snapshot),
    )


@dataclass(slots=True)
class _Walk:
    """Goes along a history.

    rollout: where it stands after the entries so far; None before the first.
    sealed: the points that were sealed so far, by series; exact: no difference was met so far.
    """

    stored: Rollout
    rollout: Rollout | None = None
    sealed: dict[str, dict[int, float]] = field(default_factory=dict)
    entry_differences: list[EntryDifferences] = field(default_factory=list)

    def replay_entry(self, entry: Entry) -> None:
        """Derive the decision of `entry`, tell what differs, and go on from there."""
        try:
            recorded = read_entry(entry, len(self.stored.policy.steps))
        except UnreadableEntryError as error:
            self._add_differences(
                entry, [Difference("the entry", f"what cannot be read ({error})", "unknown")]
            )
            return
        before = self._before(recorded)
        try:
            decision = self._derive(before, recorded)
            contrasts = decision_differences(recorded, decision)
        except UsageError as error:
            decision = Decision(before)
            contrasts = [Difference("the decision", recorded.summary, str(error))]
        self.rollout = decision.rollout
        if contrasts:
            self._add_differences(entry, contrasts)
            self.rollout = resync_to_entry(before, decision, recorded)
        if entry.kind == EVIDENCE:
            self._add_sealed_points(recorded.observation)

    def state(self) -> tuple[Difference, ...]:
        """Return what is stored otherwise than it follows from the last entry."""
        if self.rollout is None:
            return ()
        return tuple(state_differences(self.stored, self.rollout, exact=not self.entry_differences))

    def _before(self, recorded: RecordedDecision) -> Rollout:
        if self.rollout is None:
            return derive_start(self.stored, recorded).rollout
        return recorded.with_memory(self.rollout)

    def _derive(self, before: Rollout, recorded: RecordedDecision) -> Decision:
        if self.rollout is None:
            return derive_start(self.stored, recorded)
        return derive_decision(before, recorded, self.sealed)

    def _add_differences(self, entry: Entry, contrasts: Sequence[Difference]) -> None:
        self.entry_differences.append(
            EntryDifferences(entry.seq, entry.at, entry.kind, tuple(contrasts))
        )

    def _add_sealed_points(self, observation: Observation) -> None:
        for key, one in observation.series.items():
            self.sealed.setdefault(key, {}).update(one.points)
