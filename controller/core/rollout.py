"""The durable state of one rollout: what a tick loads and saves.

Ids are `name#attempt`. The policy in here is a snapshot: a running rollout follows the policy it
started with, and needs no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from controller.core.judge.evidence import BaselineMeasurement, SignOff, StepInterval, Tally
from controller.core.judge.findings import Finding
from controller.core.message import Message, Page
from controller.core.policy import Policy
from controller.core.stats.combined_tests import Fold
from controller.core.units import ceil_to, from_unix, next_minute

# The version of the stored form. A rollout that is stored with another one is refused.
SCHEMA = 5


class Phase(StrEnum):
    """The phase of a rollout. `succeeded` and `rolled_back` are final."""

    PROGRESSING = "progressing"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    SUCCEEDED = "succeeded"


FINAL_PHASES = frozenset({Phase.ROLLED_BACK, Phase.SUCCEEDED})
# The order in which a tick visits rollouts: a rollback, then traffic to judge, then 0 % to guard.
VISIT_PRIORITY = {
    Phase.ROLLING_BACK: 0,
    Phase.PROGRESSING: 1,
    Phase.PAUSED: 1,
    Phase.ROLLED_BACK: 2,
    Phase.SUCCEEDED: 3,
}


class Reason(StrEnum):
    """Why a rollout is in its state, in one word for machines; `Rollout.sentence` is for people."""

    STARTED = "started"
    WAITING = "waiting"
    SETTLED = "settled"
    WRITE_AGAIN = "write_again"
    BAKING = "baking"
    HOLDING = "holding"
    GATE_PASSED = "gate_passed"
    ADVANCED_UNPROVEN = "advanced_unproven"
    COMPLETED = "completed"
    GATE_FAILED = "gate_failed"
    INCONCLUSIVE = "inconclusive"
    FROZEN = "frozen"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_HOOK = "awaiting_hook"
    KIND_MISSING = "kind_missing"
    APPROVED = "approved"
    ATTESTED = "attested"
    ATTESTATION_REFUSED = "attestation_refused"
    ADOPTED = "adopted"
    PAUSED_BY_HAND = "paused_by_hand"
    RESUMED = "resumed"
    PROMOTED = "promoted"
    SHIFT_FAILED = "shift_failed"
    SHIFT_TIMED_OUT = "shift_timed_out"
    RAISE_UNCERTAIN = "raise_uncertain"
    DRIFTED = "drifted"
    FOUND_AT_ZERO = "found_at_zero"
    ROLLBACK_REQUESTED = "rollback_requested"
    LOWERING = "lowering"
    AT_ZERO = "at_zero"
    GUARDING_ZERO = "guarding_zero"
    WATCHING = "watching"
    TARGET_UNREADABLE = "target_unreadable"


@dataclass(frozen=True, slots=True)
class Intent:
    """A weight that was decided: from which weight, under which token, and when.

    It is saved before a raise is written, so that the next tick detects a crash between the two.
    previous: the weight applied before; of a rollback, the weight that callers may still have, or 0
    for none.
    """

    weight: int
    previous: int
    token: str
    asked: datetime


@dataclass(frozen=True, slots=True)
class Rollout:
    """One run of a policy for one revision: its whole state between two ticks.

    step: index into the policy's steps, never looked up by weight.
    settled: when the weight of the step was first observed applied; None before.
    unfinished_since: the first observation in which a raise was not applied yet. Its time limit
        counts from there, so that late ticks are no reason to roll back.
    seen_weight: the live weight as last observed; None while the variables contradict each other.
    blind_since: since when no tick could read the target, or any metric; None while both are read.
    peak: the last weight above zero that this rollout asked for; the watch after a rollback lowers
        it again.
    since: when the phase was entered; watch_until: end of the watch in a final phase.
    updated: the newest moment recorded; time never goes back before it.
    tallies: sealed evidence of the step, by criterion; sealed_at is when it was last sealed.
    fold: sealed evidence of the whole rollout, where it adds up over minutes; stretches: the
        intervals with evidence that is not sealed yet, except for that of the current weight; the
        one of `previous_live` has no end.
    drain: whether requests left the canary after the rollback, once that is known.
    drift_told, unconfirmed: drift, or an unconfirmed rollback, is recorded in the history already.
    reminded: the newest page or reminder of this phase.
    hold_from: the new start of the hold of an inconclusive gate: an operator resumed the rollout,
        or the gate had passed and a block of its advance has ended.
    approved: the index of the step that an operator approved; None without an approval.
    signed: the signatures of people, by the criterion that they attest.
    earlier: the last findings of criteria of earlier steps that are not in the gate of this step.
    barrier: the block of a due raise that was announced last; empty: none.
    outbox: messages that some recipient has not received yet. page: a critical condition, announced
        again until an operator acknowledges it.
    write_error: why the last write of the weight failed, and what to do; empty once the intended
        weight is observed applied.
    entries, chain: length and last hash of the history.
    version: compare-and-swap counter; the store raises it with every save.
    """

    id: str
    name: str
    attempt: int
    revision: str
    policy: Policy
    digest: str
    target: str
    phase: Phase
    reason: Reason
    sentence: str
    step: int
    intent: Intent
    created: datetime
    since: datetime
    updated: datetime
    settled: datetime | None = None
    unfinished_since: datetime | None = None
    seen_weight: int | None = None
    blind_since: datetime | None = None
    peak: int = 0
    watch_until: datetime | None = None
    baselines: Mapping[str, BaselineMeasurement] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    sealed_at: datetime | None = None
    fold: Fold = field(default_factory=Fold)
    stretches: tuple[StepInterval, ...] = ()
    findings: tuple[Finding, ...] = ()
    label: str = ""
    next_at: datetime | None = None
    next: str = ""
    blocked: str = ""
    exposed_from: datetime | None = None
    exposed_to: datetime | None = None
    drain: Finding | None = None
    drift_told: bool = False
    unconfirmed: bool = False
    reminded: datetime | None = None
    hold_from: datetime | None = None
    approved: int | None = None
    signed: Mapping[str, SignOff] = field(default_factory=dict)
    earlier: tuple[Finding, ...] = ()
    barrier: str = ""
    outbox: tuple[Message, ...] = ()
    page: Page | None = None
    write_error: str = ""
    entries: int = 0
    chain: str = ""
    version: int = 0
    schema: int = SCHEMA

    @property
    def final(self) -> bool:
        """True when no tick moves this rollout any more: its phase is final."""
        return self.phase in FINAL_PHASES

    def is_watched(self, now: datetime) -> bool:
        """Tell whether ticks still watch this final rollout at `now`."""
        return self.watch_until is not None and now < self.watch_until

    @property
    def is_last_step(self) -> bool:
        """True in the last step, after which comes success."""
        return self.step + 1 == len(self.policy.steps)

    @property
    def in_flight(self) -> bool:
        """True until its weight is observed applied.

        A pause before that sets `settled` to the moment of the pause, and counts as in flight.
        """
        paused_in_flight = self.reason is Reason.PAUSED_BY_HAND and self.settled == self.since
        return self.settled is None or paused_in_flight

    @property
    def first_raise_pending(self) -> bool:
        """True while the first raise is in flight, and no weight above 0 was ever observed."""
        return self.in_flight and self.intent.previous == 0 < self.weight and not self.seen_weight

    @property
    def previous_live(self) -> StepInterval | None:
        """The open interval of the previous weight, while a raise waits to be written."""
        last = self.stretches[-1] if self.stretches else None
        return last if self.settled is None and last is not None and last.end == 0 else None

    @property
    def judged_step(self) -> int:
        """The step whose gate is judged: that of the live weight."""
        return self.step if self.previous_live is None else self.previous_live.step

    @property
    def judged_from(self) -> int | None:
        """First judged second of the step: the first whole minute after settling, plus warm-up."""
        if self.settled is None:
            return None if self.previous_live is None else self.previous_live.judged_from
        return next_minute(self.settled + self.policy.warmup_of(self.step))

    @property
    def applied_from(self) -> int | None:
        """First second of the first whole minute with the weight of the step applied."""
        if self.settled is None:
            return None if self.previous_live is None else self.previous_live.begin
        return next_minute(self.settled)

    @property
    def read_from(self) -> int | None:
        """First second of the metrics that are read; sequential criteria read the warm-up as well.

        They roll a plainly broken canary back in the warm-up.
        """
        return self.applied_from if self.policy.sequential_criteria() else self.judged_from

    @property
    def bake_end(self) -> datetime | None:
        """When the bake of the judged step is over; None before its weight is observed applied.

        That is the end of the last window of any criterion of the gate that the bake reaches into.
        """
        start = self.judged_from
        if start is None:
            return None
        baked = start + int(self.policy.steps[self.judged_step].bake.total_seconds())
        windows = (one.period for one in self.policy.gate(self.judged_step).values())
        return from_unix(max(ceil_to(baked, int(one.total_seconds())) for one in windows))

    @property
    def hold_end(self) -> datetime | None:
        """When the hold of an inconclusive gate is over; None before the weight is applied."""
        end = self.bake_end
        hold: timedelta = self.policy.max_hold_of(self.step)
        return None if end is None else max(end, self.hold_from or end) + hold

    @property
    def locks(self) -> tuple[str, ...]:
        """The locks of this rollout: one for each variable of its target, in the whole world."""
        return self.policy.target.locks(self.target)

    @property
    def weight(self) -> int:
        """The weight this rollout last asked for."""
        return self.intent.weight
