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
from controller.core.outbox import HOOKED
from controller.core.replay.compare import Contrast, decision_contrasts, state_contrasts
from controller.core.replay.derive import EVIDENCE, begun, derived
from controller.core.replay.entry import Recorded, UnreadableEntryError, read
from controller.core.replay.resume import as_recorded
from controller.core.rollout import Rollout
from controller.core.snapshot import Digests, digests
from controller.errors import UsageError

__all__ = ["Contrast", "Differing", "Replay", "replay"]


@dataclass(frozen=True, slots=True)
class Differing:
    """An entry that does not follow from what it says was seen."""

    seq: int
    at: datetime
    kind: str
    contrasts: tuple[Contrast, ...]


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
    broken: int | None
    differing: tuple[Differing, ...]
    state: tuple[Contrast, ...]
    policy: Digests

    @property
    def same(self) -> bool:
        """True when the chain holds and everything was derived again as it stands.

        A policy that was changed since the start is none to derive from.
        """
        sound = self.broken is None and self.policy.same
        return sound and not self.differing and not self.state


def replay(stored: Rollout, entries: Sequence[Entry], snapshot: str | None = None) -> Replay:
    """Derive every decision of `entries` again, and what `stored` has to be after them.

    snapshot: the digest of the stored policy, where it is not the one that the state names.

    A difference is told once: the next decision is derived from what was recorded.
    Findings of hourly evidence are not derived: the entry keeps the minutes it sealed, and they
    came from younger ones too. The tallies that it sealed are.
    """
    walk = _Walk(stored)
    for entry in entries:
        if entry.kind != HOOKED:  # nothing was decided
            walk.pass_by(entry)
    seals = sum(entry.kind == EVIDENCE for entry in entries)
    hooked = sum(entry.kind == HOOKED for entry in entries)
    return Replay(
        rollout=stored.id,
        entries=len(entries),
        decisions=len(entries) - seals - hooked,
        seals=seals,
        broken=broken_link(entries, stored.chain),
        differing=tuple(walk.differing),
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
    differing: list[Differing] = field(default_factory=list)

    def pass_by(self, entry: Entry) -> None:
        """Derive the decision of `entry`, tell what differs, and go on from there."""
        try:
            recorded = read(entry, len(self.stored.policy.steps))
        except UnreadableEntryError as error:
            self._tell(entry, [Contrast("the entry", f"what cannot be read ({error})", "unknown")])
            return
        before = self._before(recorded)
        try:
            decision = self._decided(before, recorded)
            contrasts = decision_contrasts(recorded, decision)
        except UsageError as error:
            decision = Decision(before)
            contrasts = [Contrast("the decision", recorded.shown, str(error))]
        self.rollout = decision.rollout
        if contrasts:
            self._tell(entry, contrasts)
            self.rollout = as_recorded(before, decision, recorded)
        if entry.kind == EVIDENCE:
            self._keep(recorded.seen)

    def state(self) -> tuple[Contrast, ...]:
        """Return what is stored otherwise than it follows from the last entry."""
        if self.rollout is None:
            return ()
        return tuple(state_contrasts(self.stored, self.rollout, exact=not self.differing))

    def _before(self, recorded: Recorded) -> Rollout:
        if self.rollout is None:
            return begun(self.stored, recorded).rollout
        return recorded.remembered(self.rollout)

    def _decided(self, before: Rollout, recorded: Recorded) -> Decision:
        if self.rollout is None:
            return begun(self.stored, recorded)
        return derived(before, recorded, self.sealed)

    def _tell(self, entry: Entry, contrasts: Sequence[Contrast]) -> None:
        self.differing.append(Differing(entry.seq, entry.at, entry.kind, tuple(contrasts)))

    def _keep(self, seen: Observation) -> None:
        for key, one in seen.series.items():
            self.sealed.setdefault(key, {}).update(one.points)
