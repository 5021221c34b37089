"""Replay: derive every decision of a history again, from the observations that its entries record.

Pure: it needs the history and the stored rollout, and no AWS account. It trusts the inputs from
outside: observations, commands of operators, the fields that change without an entry
(`MEMORY_FIELDS`), and the findings that a command carries over from the tick before. So it detects
a changed history even where all hashes were computed again: its decisions no longer follow from its
observations. How an entry is read back is in `operations/recorded`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import assert_never

from controller.core.decision import Decision
from controller.core.history import Digests, Entry, Links, digests
from controller.core.judge.stored_series import StoredPoints
from controller.core.observation import TargetReading
from controller.core.rollout import (
    Live,
    Paused,
    Pending,
    Phase,
    Position,
    Progressing,
    RolledBack,
    RollingBack,
    Rollout,
    State,
    Succeeded,
)
from controller.core.transitions.advance import SUCCESS_WATCH, close_step
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.engine.outbox import HOOK_CALLED
from controller.errors import UsageError
from controller.immutable import Immutable, field, replace
from controller.operations.recorded.decision import (
    RecordedDecision,
    UnreadableEntryError,
    read_entry,
)
from controller.ports.json_view import Count, Time
from controller.tools.replay.compare import (
    EVIDENCE,
    Difference,
    decision_differences,
    derive_decision,
    derive_start,
    state_differences,
)


class EntryDifferences(Immutable):
    """A decision that does not follow from what it saw."""

    seq: Count
    """Number of the entry."""
    at: Time
    """When it was decided."""
    kind: str
    """What happened."""
    differences: tuple[Difference, ...] = field(name="differs")
    """Where it differs."""


class Replay(Immutable):
    """Every decision of a rollout, evaluated again."""

    rollout: str
    """Id of the rollout."""
    consistent: bool = field(name="same")
    """Whether nothing differs, the hash chain holds, and the policy is unchanged."""
    entries: Count
    """Number of entries."""
    decisions: Count
    """Number of decisions that were evaluated again."""
    checkpoints: Count = field(name="hours_of_evidence")
    """Number of hours of evidence that were added up again."""
    chain_valid: bool
    """Whether the hash chain holds."""
    broken_at: int | None = field(name="chain_broken_at")
    """Number of the first entry that breaks the chain; null: none does."""
    policy_valid: bool
    """Whether the policy is still the one that the rollout started with."""
    policy: Digests = field(name="policy_digests")
    """Digests of the policy."""
    entry_differences: tuple[EntryDifferences, ...] = field(name="differences")
    """Each entry that differs."""
    state: tuple[Difference, ...]
    """Where the stored state is not the one that the history leads to."""


def replay(stored: Rollout, entries: Iterable[Entry], snapshot: str | None = None) -> Replay:
    """Derive every decision of `entries` again, and the state of `stored` after them.

    One entry is in memory at a time, with what a tick may still read of those before it.
    snapshot: the digest of the stored policy, where it is not the one that the state names.

    A difference is reported once: the next decision is derived from the recorded outcome.
    Findings of hourly evidence are not derived: the entry stores the minutes of its checkpoint,
    and its findings came from newer ones, too. The tallies of the checkpoint are derived.
    """
    progress, links, kinds, first = _Progress(stored), Links(), Counter[str](), list[Entry]()
    for entry in links.checked(entries):
        if not first:
            first.append(entry)
        kinds[entry.kind] += 1
        if entry.kind != HOOK_CALLED:  # it records no decision
            progress.replay_entry(entry)
    checkpoints = kinds[EVIDENCE]
    broken_at, policy = links.first_broken(stored.chain), digests(stored, first, snapshot)
    differences, state = tuple(progress.entry_differences), progress.state()
    intact = broken_at is None and policy.consistent
    return Replay(
        rollout=stored.id,
        consistent=intact and not differences and not state,
        entries=kinds.total(),
        decisions=kinds.total() - checkpoints - kinds[HOOK_CALLED],
        checkpoints=checkpoints,
        chain_valid=broken_at is None,
        broken_at=broken_at,
        policy_valid=policy.consistent,
        policy=policy,
        entry_differences=differences,
        state=state,
    )


@dataclasses.dataclass(slots=True)
class _Progress:
    """A replay that has come so far in a history.

    rollout: its state after the entries so far; None before the first.
    stored_points: those that hourly entries have stored so far.
    entry_differences: those found so far; empty while the derived state is exact.
    """

    stored: Rollout
    rollout: Rollout | None = None
    stored_points: StoredPoints = dataclasses.field(default_factory=StoredPoints)
    entry_differences: list[EntryDifferences] = dataclasses.field(default_factory=list)

    def replay_entry(self, entry: Entry) -> None:
        """Derive the decision of `entry`, collect what differs, and go on from its outcome."""
        try:
            recorded = read_entry(entry, len(self.stored.policy.steps))
        except UnreadableEntryError as error:
            self._add_differences(
                entry, [Difference("the entry", f"what cannot be read ({error})", "unknown")]
            )
            return
        if self.rollout is None:
            before = derive_start(self.stored, recorded).rollout
        else:
            before = recorded.with_memory(self.rollout)
        try:
            if self.rollout is None:
                decision = derive_start(self.stored, recorded)
            else:
                decision = derive_decision(before, recorded, self.stored_points)
            differences = decision_differences(recorded, decision)
        except UsageError as error:
            decision = Decision(before)
            differences = [Difference("the decision", recorded.summary, str(error))]
        self.rollout = decision.rollout
        if differences:
            self._add_differences(entry, differences)
            self.rollout = resync_to_entry(before, decision, recorded)
        if entry.kind == EVIDENCE:
            self.stored_points.add(recorded.observation.series)

    def state(self) -> tuple[Difference, ...]:
        """Return where the stored state differs from the one after the last entry."""
        if self.rollout is None:
            return ()
        return tuple(state_differences(self.stored, self.rollout, exact=not self.entry_differences))

    def _add_differences(self, entry: Entry, differences: Sequence[Difference]) -> None:
        self.entry_differences.append(
            EntryDifferences(entry.seq, entry.at, entry.kind, tuple(differences))
        )


# --- After a difference ---------------------------------------------------------------------------

# Kinds of entries that report on a rollout and leave it where it is.
_KINDS_WITHOUT_CHANGE = frozenset(
    {
        "acknowledged",
        "approved",
        "at_zero_again",
        "attested",
        "blind",
        "leak_checked",
        "drifted",
        "green",
        "lost_requests",
        "lowered_again",
        "refused",
        "released_outside",
        "rollback_unconfirmed",
        "silent",
        "stable_path",
        "weight_set",
        "write_failed",
    }
)


def resync_to_entry(before: Rollout, decision: Decision, recorded: RecordedDecision) -> Rollout:
    """Return the rollout `before` in the state that `recorded` leads to.

    decision: the derived one; where its outcome is the recorded one, its other fields are used.
    """
    one = decision.record
    derived = one and (one.kind, one.phase_to, one.weight_to, one.step)
    agrees = derived == (recorded.kind, recorded.phase, recorded.weight, recorded.step)
    after = decision.rollout if agrees else _apply_entry(before, recorded)
    if recorded.kind in _KINDS_WITHOUT_CHANGE:
        return after
    if recorded.kind == "evidence":
        evidence = replace(after.evidence, tallies=recorded.tallies, fold=recorded.fold)
        after = replace(after, evidence=evidence)
    findings = recorded.findings if after.evidence.findings else ()
    state = replace(after.state, sentence=recorded.sentence)
    if not isinstance(state, Succeeded):  # which has no other reason
        state = replace(state, reason=recorded.reason)
    return replace(after, state=state).with_findings(findings)


def _apply_entry(before: Rollout, recorded: RecordedDecision) -> Rollout:
    after = replace(before, updated=recorded.entry.at)
    if recorded.kind in ("applied", "resumed"):
        after = close_step(after, recorded.entry.at)
    if recorded.kind == "rolled_back":
        after = replace(after, exposed_to=before.exposed_to or recorded.entry.at)
    return replace(after, state=_recorded_state(before, recorded))


def _recorded_state(before: Rollout, recorded: RecordedDecision) -> State:
    """Return the state that `recorded` leads to, as far as an entry tells it."""
    at, reason, sentence = recorded.entry.at, recorded.reason, recorded.sentence
    since = before.since if recorded.phase is before.phase else at
    weight = before.weight or before.from_weight
    match recorded.phase:
        case Phase.PROGRESSING:
            position = _recorded_position(before, recorded)
            return Progressing(since=since, reason=reason, sentence=sentence, position=position)
        case Phase.PAUSED:
            position = _recorded_position(before, recorded)
            return Paused(since=since, reason=reason, sentence=sentence, position=position)
        case Phase.ROLLING_BACK:
            return RollingBack(
                since=since, reason=reason, sentence=sentence, step=recorded.step,
                intended=weight, from_weight=weight,
            )  # fmt: skip
        case Phase.ROLLED_BACK:
            return RolledBack(
                since=since, reason=reason, sentence=sentence, step=recorded.step,
                intended=weight, from_weight=weight, watch_until=at + ROLLBACK_GUARD,
            )  # fmt: skip
        case Phase.SUCCEEDED:
            live = Live(recorded.step, recorded.weight, before.live.since if before.live else at)
            until = at + SUCCESS_WATCH
            return Succeeded(since=since, sentence=sentence, position=live, watch_until=until)
        case unreachable:
            assert_never(unreachable)


def _recorded_position(before: Rollout, recorded: RecordedDecision) -> Position:
    at, step, weight = recorded.entry.at, recorded.step, recorded.weight
    position, target = before.position, recorded.observation.target
    if recorded.kind == "advanced":
        token = target.token if isinstance(target, TargetReading) else ""
        return Pending(step, weight, before.weight, token, at, tried=at, live=before.live)
    if position is not None and (position.step, position.weight) == (step, weight):
        return Live(step, weight, at) if recorded.kind == "applied" else position
    return Live(step, weight, at)
