"""Replay: derive every decision of a history again, from the observations that its entries record.

Pure: it needs the history and the stored rollout, and no AWS account. It trusts the inputs from
outside: observations, commands of operators, the fields that change without an entry
(`MEMORY_FIELDS`), and the findings that a command carries over from the tick before. So it detects
a changed history even where all hashes were computed again: its decisions no longer follow from its
observations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller.core.decision import Decision
from controller.core.history import Entry, broken_link
from controller.core.observation import Observation
from controller.core.policy_snapshot import Digests, digests
from controller.core.rollout import Rollout
from controller.engine.outbox import HOOK_CALLED
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.operations.replay.compare import Difference, decision_differences, state_differences
from controller.operations.replay.derive import EVIDENCE, derive_decision, derive_start
from controller.operations.replay.entry import RecordedDecision, UnreadableEntryError, read_entry
from controller.operations.replay.resync import resync_to_entry

__all__ = ["Difference", "EntryDifferences", "Replay", "replay"]


class EntryDifferences(Immutable):
    """The differences of one entry: its decision does not follow from its observation."""

    seq: int
    at: datetime
    kind: str
    differences: tuple[Difference, ...]


class Replay(Immutable):
    """The result of a replay.

    decisions, seals: how many were derived again; a seal is an hour of evidence.
    broken_at: the number of the first entry that breaks the hash chain; None when it is valid.
    entry_differences: the entries that do not follow from the ones before.
    state: the differences of the stored rollout from the one that the history leads to.
    policy: the digests of the policy from which the decisions were derived.
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
        """True when the chain is valid, the policy is that of the start, and nothing differs.

        No decision can be derived from a policy that was changed since the start.
        """
        intact = self.broken_at is None and self.policy.consistent
        return intact and not self.entry_differences and not self.state


def replay(stored: Rollout, entries: Sequence[Entry], snapshot: str | None = None) -> Replay:
    """Derive every decision of `entries` again, and the state of `stored` after them.

    snapshot: the digest of the stored policy, where it is not the one that the state names.

    A difference is reported once: the next decision is derived from the recorded outcome.
    Findings of hourly evidence are not derived: the entry stores the minutes that it sealed, and
    its findings came from newer ones, too. The tallies that it sealed are derived.
    """
    progress = _Progress(stored)
    for entry in entries:
        if entry.kind != HOOK_CALLED:  # it records no decision
            progress.replay_entry(entry)
    seals = sum(entry.kind == EVIDENCE for entry in entries)
    hook_calls = sum(entry.kind == HOOK_CALLED for entry in entries)
    return Replay(
        rollout=stored.id,
        entries=len(entries),
        decisions=len(entries) - seals - hook_calls,
        seals=seals,
        broken_at=broken_link(entries, stored.chain),
        entry_differences=tuple(progress.entry_differences),
        state=progress.state(),
        policy=digests(stored, entries, snapshot),
    )


@dataclass(slots=True)
class _Progress:
    """A replay that has come so far in a history.

    rollout: its state after the entries so far; None before the first.
    sealed: the points that were sealed so far, by series.
    entry_differences: those found so far; empty while the derived state is exact.
    """

    stored: Rollout
    rollout: Rollout | None = None
    sealed: dict[str, dict[int, float]] = field(default_factory=dict)
    entry_differences: list[EntryDifferences] = field(default_factory=list)

    def replay_entry(self, entry: Entry) -> None:
        """Derive the decision of `entry`, collect what differs, and go on from its outcome."""
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
            differences = decision_differences(recorded, decision)
        except UsageError as error:
            decision = Decision(before)
            differences = [Difference("the decision", recorded.summary, str(error))]
        self.rollout = decision.rollout
        if differences:
            self._add_differences(entry, differences)
            self.rollout = resync_to_entry(before, decision, recorded)
        if entry.kind == EVIDENCE:
            self._add_sealed_points(recorded.observation)

    def state(self) -> tuple[Difference, ...]:
        """Return where the stored state differs from the one after the last entry."""
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

    def _add_differences(self, entry: Entry, differences: Sequence[Difference]) -> None:
        self.entry_differences.append(
            EntryDifferences(entry.seq, entry.at, entry.kind, tuple(differences))
        )

    def _add_sealed_points(self, observation: Observation) -> None:
        for key, series in observation.series.items():
            self.sealed.setdefault(key, {}).update(series.points)
