"""The durable state of one rollout: what a tick loads and saves.

Ids are `name#attempt`. The policy in here is a snapshot: a running rollout follows the policy it
started with, and needs no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from controller.core.judge.evidence import FrozenValue, Signature, Stretch, Tally
from controller.core.judge.findings import Finding
from controller.core.message import Message, Page
from controller.core.policy import Policy
from controller.core.stats.mixture import Fold
from controller.core.units import ceil_to, from_unix, next_minute


class Reason(StrEnum):
    """Why a rollout is where it is; one word for machines, `Rollout.sentence` for people."""

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


# --- The rollout ----------------------------------------------------------------------------------

# The form of a stored rollout. A rollout that is stored with another schema is refused.
SCHEMA = 5


class Phase(StrEnum):
    """Where a rollout stands. `succeeded` and `rolled_back` are final."""

    PROGRESSING = "progressing"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    SUCCEEDED = "succeeded"


FINAL_PHASES = frozenset({Phase.ROLLED_BACK, Phase.SUCCEEDED})
# Which rollouts a tick takes first: a rollback, then traffic to judge, then 0 % to guard.
VISIT_PRIORITY = {
    Phase.ROLLING_BACK: 0,
    Phase.PROGRESSING: 1,
    Phase.PAUSED: 1,
    Phase.ROLLED_BACK: 2,
    Phase.SUCCEEDED: 3,
}


@dataclass(frozen=True, slots=True)
class Intent:
    """A weight that was decided: from what, under which token, and when.

    Saved before a raise, so that a crash between saving and acting is seen by the next tick.
    previous: what was in force; of a way back to 0 %, what callers may still have, or 0 for none.
    """

    weight: int
    previous: int
    token: str
    asked: datetime


@dataclass(frozen=True, slots=True)
class Rollout:
    """One run of a policy.

    step: index into the policy's steps, never looked up by weight.
    settled: when the weight of the step was first seen in force; None before.
    unfinished_since: the first look that saw a raise not in force yet; its time limit counts from
        there, so that ticks that came late are no reason to roll back.
    seen_weight: the live weight as last seen; None while the variables contradict each other.
    blind_since: since when no tick saw the target, or any metric; None while they are seen.
    peak: the last weight above zero that this rollout asked for; guarding zero looks for it.
    since: when the phase was entered; watch_until: end of the watch in a final phase.
    updated: the newest moment recorded; time never goes back before it.
    tallies: sealed evidence of the step, by criterion; sealed_at is when it was last sealed.
    fold: sealed evidence of the whole rollout, where it adds up over minutes; stretches: from where
        what is not sealed yet comes, but for the weight of now; the one that `waits` has no end.
    drain: whether requests left the canary after the rollback, once that is known.
    drift_told, unconfirmed: drift, or a rollback that is not confirmed, is in the history already.
    reminded: the newest page or reminder of this phase.
    hold_from: from when an inconclusive gate holds anew: a person let it go on, or it had passed
        and what kept it from going up was over.
    approved: the index of the step that a person lets it enter; None when nobody has.
    signed: what people have said of criteria that they attest to.
    earlier: the last findings of criteria of earlier steps that the gate of this one has not.
    barrier: what was last said to hold up a raise that was due; empty: nothing.
    outbox: messages that have not arrived everywhere yet. page: what is critical, and told again
        until somebody acknowledges it.
    write_error: why the last write of the weight failed, and what to do; empty once the weight that
        was asked for is seen applied.
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
    baselines: Mapping[str, FrozenValue] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    sealed_at: datetime | None = None
    fold: Fold = field(default_factory=Fold)
    stretches: tuple[Stretch, ...] = ()
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
    signed: Mapping[str, Signature] = field(default_factory=dict)
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
        """True when no tick moves this rollout any more."""
        return self.phase in FINAL_PHASES

    @property
    def in_flight(self) -> bool:
        """True while nobody has seen its weight in force; a pause in flight passes for settled."""
        paused = self.reason is Reason.PAUSED_BY_HAND and self.settled == self.since
        return self.settled is None or paused

    @property
    def first_raise_pending(self) -> bool:
        """True while no weight above 0 was ever seen, for the first raise is in flight."""
        return self.in_flight and self.intent.previous == 0 < self.weight and not self.seen_weight

    @property
    def previous_live(self) -> Stretch | None:
        """The stretch that goes on at the weight before, while a raise waits to be written."""
        last = self.stretches[-1] if self.stretches else None
        return last if self.settled is None and last is not None and last.end == 0 else None

    @property
    def judged_step(self) -> int:
        """The step whose gate is judged: the one of the weight that is live."""
        return self.step if self.previous_live is None else self.previous_live.step

    @property
    def judged_from(self) -> int | None:
        """First judged second of the step: the first whole minute after settling, plus warm-up."""
        if self.settled is None:
            return None if self.previous_live is None else self.previous_live.judged_from
        return next_minute(self.settled + self.policy.warmup_of(self.step))

    @property
    def applied_from(self) -> int | None:
        """First whole second of a minute with the weight of the step in force."""
        if self.settled is None:
            return None if self.previous_live is None else self.previous_live.begin
        return next_minute(self.settled)

    @property
    def read_from(self) -> int | None:
        """From when metrics are read: what is plainly broken is rolled back in the warm-up too."""
        return self.applied_from if self.policy.sequential_criteria() else self.judged_from

    @property
    def bake_end(self) -> datetime | None:
        """When the bake of the step that is judged is over; None before its weight was seen.

        That is the end of the last window of any criterion of the gate that it reaches into.
        """
        start = self.judged_from
        if start is None:
            return None
        baked = start + int(self.policy.steps[self.judged_step].bake.total_seconds())
        gate = self.policy.gate(self.judged_step).values()
        return from_unix(max(ceil_to(baked, int(one.window.total_seconds())) for one in gate))

    @property
    def hold_end(self) -> datetime | None:
        """When an inconclusive gate stops holding; None before the weight was seen."""
        end = self.bake_end
        hold: timedelta = self.policy.max_hold_of(self.step)
        return None if end is None else max(end, self.hold_from or end) + hold

    @property
    def locks(self) -> tuple[str, ...]:
        """What this rollout owns: each variable of its target, in the whole world."""
        return self.policy.target.locks(self.target)

    @property
    def weight(self) -> int:
        """The weight this rollout last asked for."""
        return self.intent.weight
