"""The durable state of one rollout: what a tick loads and saves.

Ids are `name#attempt`. The policy in here is a snapshot: a running rollout follows the policy it
started with, and needs no file.

The phase is a sum type, `State`: each phase has the facts that only it has. While traffic may be on
the canary, the rollout is at a `Live` step or has a `Pending` write.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

from controller.core import stored_formats
from controller.core.judge.evidence import RolloutEvidence, StepInterval
from controller.core.judge.findings import Finding, waits_for_data
from controller.core.message import Message
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.policy import Policy
from controller.core.units import (
    MINUTE_S,
    AwareTime,
    Count,
    RaisedWeight,
    Weight,
    floor_to,
    from_unix,
    next_minute,
)
from controller.immutable import Immutable, field, replace


class Phase(StrEnum):
    """The phase of a rollout. `succeeded` and `rolled_back` are final."""

    PROGRESSING = "progressing"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    SUCCEEDED = "succeeded"


FINAL_PHASES = frozenset({Phase.ROLLED_BACK, Phase.SUCCEEDED})


class Reason(StrEnum):
    """Why a rollout is in its state, in one word for machines; `sentence` is for people."""

    STARTED = "started"
    WAITING = "waiting"
    APPLIED = "applied"
    WRITE_RETRIED = "write_retried"
    BAKING = "baking"
    ON_HOLD = "on_hold"
    GATE_PASSED = "gate_passed"
    ADVANCED_UNPROVEN = "advanced_unproven"
    COMPLETED = "completed"
    GATE_FAILED = "gate_failed"
    INCONCLUSIVE = "inconclusive"
    FROZEN = "frozen"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_HOOK = "awaiting_hook"
    KIND_MISSING = "kind_missing"
    OVER_EXPOSURE_BUDGET = "over_exposure_budget"
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
    RECORD_CHANGED = "record_changed"
    DRIFTED = "drifted"
    FOUND_AT_ZERO = "found_at_zero"
    ROLLBACK_REQUESTED = "rollback_requested"
    LOWERED_AGAIN = "lowered_again"
    WATCHING = "watching"
    TARGET_UNREADABLE = "target_unreadable"


# --- Where the weight is --------------------------------------------------------------------------


class Live(Immutable, tag="live", tag_field="kind"):
    """A step whose weight was read back from the target: its gate is judged.

    step: index into the policy's steps, never looked up by weight.
    weight: percent; that of the step, unless an operator goes on at another one.
    since: when the weight was first read back.
    """

    step: Count
    weight: RaisedWeight
    since: AwareTime
    kind: ClassVar[Literal["live"]] = "live"


class Pending(Immutable, tag="pending", tag_field="kind"):
    """A write that was decided, and was not read back yet.

    It is saved before a raise is written, so that the next tick detects a crash between the two.
    step, weight: those that become live.
    previous: the weight that the target had when this was decided.
    token: the write is conditional on it.
    decided: when it was decided. first_look: the first tick that saw it not applied; its time limit
        counts from there, so that late ticks are no reason to roll back.
    tried: when it was last written, if the previous weight was not seen since: from then on, either
        weight may be live.
    accepted: when the target accepted the write, if it was not read back then.
    live: the step that is live and judged until this write is read back; None for the first raise.
    """

    step: Count
    weight: RaisedWeight
    previous: Weight
    token: str
    decided: AwareTime
    first_look: AwareTime | None = None
    tried: AwareTime | None = None
    accepted: AwareTime | None = None
    live: Live | None = None
    kind: ClassVar[Literal["pending"]] = "pending"

    @property
    def is_raise(self) -> bool:
        """True when it raises the weight; an operator may also have one restored."""
        return self.previous < self.weight

    @property
    def is_first_raise(self) -> bool:
        """True when it raises the weight from 0%."""
        return self.previous == 0


Position: TypeAlias = Live | Pending


# --- Phases ---------------------------------------------------------------------------------------


class Progressing(Immutable, kw_only=True, tag="progressing", tag_field="phase"):
    """The rollout goes from step to step.

    since: when the phase was entered. reason, sentence: what it does or waits for now.
    hold_from: the new start of the hold of an inconclusive gate: an operator resumed the rollout,
        the gate had passed and a block of its advance has ended, or time without data was left
        out. None: the end of the bake.
    block: what blocked the last tick from an advance, or from the write of one; None: nothing.
    """

    since: AwareTime
    reason: Reason
    sentence: str
    position: Position
    hold_from: AwareTime | None = None
    block: Reason | None = None
    phase: ClassVar[Phase] = Phase.PROGRESSING


class Paused(Immutable, kw_only=True, tag="paused", tag_field="phase"):
    """The rollout waits for an operator. A write that is pending is not written any more.

    since, reason, sentence: when and why it was paused.
    """

    since: AwareTime
    reason: Reason
    sentence: str
    position: Position
    phase: ClassVar[Phase] = Phase.PAUSED


class RollingBack(Immutable, kw_only=True, tag="rolling_back", tag_field="phase"):
    """0% is written until it is read back.

    since, reason, sentence: when and why the rollback was decided first.
    step: the step that was reached. intended: the last weight above 0% that the rollout intended.
    from_weight: the weight that callers may still have; 0: they had none.
    void: the token of a first raise that may still be written; empty: there is none.
    """

    since: AwareTime
    reason: Reason
    sentence: str
    step: Count
    intended: RaisedWeight
    from_weight: Weight
    void: str = ""
    phase: ClassVar[Phase] = Phase.ROLLING_BACK


class RolledBack(Immutable, kw_only=True, tag="rolled_back", tag_field="phase"):
    """0% was read back. Final.

    since: when it was read back. reason, sentence, step, intended, from_weight: as in
    `RollingBack`. watch_until: end of the watch.
    leak_check: whether requests still reach the canary after the rollback, once that is known.
    token: of the function as it was then; empty for another kind of target, and once the weight was
        written again.
    """

    since: AwareTime
    reason: Reason
    sentence: str
    step: Count
    intended: RaisedWeight
    from_weight: Weight
    watch_until: AwareTime
    leak_check: Finding | None = None
    token: str = ""
    phase: ClassVar[Phase] = Phase.ROLLED_BACK


class StableUse(Immutable):
    """The requests of the stable path since 100% was applied, as the watch reads them once a day.

    read: when they were read last. through: up to when they are known; used: end of the last hour
    that had one; None: none had.
    """

    read: AwareTime
    through: AwareTime
    used: AwareTime | None = None


class Succeeded(Immutable, kw_only=True, tag="succeeded", tag_field="phase"):
    """The last step passed. Final. position: the last step. watch_until: end of the watch.

    token: as in `RolledBack`. stable_use: None before it was read, and where no metric counts it.
    """

    since: AwareTime
    sentence: str
    position: Live
    watch_until: AwareTime
    token: str = ""
    stable_use: StableUse | None = None
    reason: Reason = Reason.COMPLETED
    phase: ClassVar[Phase] = Phase.SUCCEEDED


Exposed: TypeAlias = Progressing | Paused
"""The phases in which a gate is judged."""
State: TypeAlias = Progressing | Paused | RollingBack | RolledBack | Succeeded


# --- The rollout ----------------------------------------------------------------------------------


class Rollout(Immutable):
    """One run of a policy for one revision: its whole state between two ticks.

    code: digest of the code at the start, where the revision was named; empty: it is the revision.
    state: the phase and its facts.
    evidence: what was measured and judged so far.
    seen_weight: the live weight as last observed; None while the variables contradict each other.
    updated: the newest moment recorded; time never goes back before it.
    exposed_to: when the weight was back at 0%; None while it may be above.
    conditions: what people must know until it ends.
    approved: the index of the step that an operator approved; 0, which needs none, for none.
    outbox: messages that some recipient has not received yet.
    threads: by the name of a channel that keeps a thread per rollout, the id of that thread.
    write_error: why the last write of the weight failed, and what to do; empty once the intended
        weight is observed applied.
    entries, chain: length and last hash of the history.
    state_digest: of what the newest entry repeats of the state.
    due: when a tick has to visit it again; None: the next one has to.
    version: compare-and-swap counter; the store raises it with every save.
    format: of the stored record; it says which fields the rollout may have (`stored_formats`).
    """

    id: str
    revision: str
    policy: Policy
    digest: str
    target: str
    state: State
    created: AwareTime
    updated: AwareTime
    code: str = ""
    evidence: RolloutEvidence = field(default_factory=RolloutEvidence)
    seen_weight: Weight | None = None
    exposed_to: AwareTime | None = None
    conditions: Mapping[ConditionKind, Condition] = field(default_factory=dict)
    approved: Count = 0
    outbox: tuple[Message, ...] = ()
    threads: Mapping[str, str] = field(default_factory=dict)
    write_error: str = ""
    entries: Count = 0
    chain: str = ""
    state_digest: str = ""
    due: AwareTime | None = None
    version: Count = 0
    format: Count = field(default_factory=lambda: stored_formats.NEWEST, name="schema")

    # --- Identity -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name of the policy."""
        return self.id.rpartition("#")[0]

    @property
    def attempt(self) -> int:
        """The number of this run of the policy, from 1."""
        return int(self.id.rpartition("#")[2])

    @property
    def locks(self) -> tuple[str, ...]:
        """The locks of this rollout: one for each variable of its target, in the whole world."""
        return self.policy.target.locks(self.target)

    # --- Phase --------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def since(self) -> datetime:
        """When the phase was entered."""
        return self.state.since

    @property
    def reason(self) -> Reason:
        """Why it is in its state, in one word for machines."""
        return self.state.reason

    @property
    def sentence(self) -> str:
        """Why it is in its state, for people."""
        return self.state.sentence

    @property
    def final(self) -> bool:
        """True when no tick moves this rollout any more: its phase is final."""
        return self.phase in FINAL_PHASES

    @property
    def watch_until(self) -> datetime | None:
        """The end of the watch of a final rollout; None for any other."""
        return self.state.watch_until if isinstance(self.state, RolledBack | Succeeded) else None

    def is_watched(self, now: datetime) -> bool:
        """Tell whether ticks still watch this final rollout at `now`."""
        return self.watch_until is not None and now < self.watch_until

    @property
    def leak_check(self) -> Finding | None:
        """Whether requests reach the canary after the rollback; None while that is not known."""
        return self.state.leak_check if isinstance(self.state, RolledBack) else None

    @property
    def token_at_end(self) -> str:
        """The token of the target as a final rollout left it; empty where it is not known."""
        return self.state.token if isinstance(self.state, RolledBack | Succeeded) else ""

    @property
    def stable_use(self) -> StableUse | None:
        """The requests of the stable path after success; None where they are not known."""
        return self.state.stable_use if isinstance(self.state, Succeeded) else None

    def is_other_code(self, code: str) -> bool:
        """Tell whether `code`, of a reading, is another code than the one of this rollout.

        A revision that was named in the first format is no digest, and cannot be compared.
        """
        comparable = self.policy.target.runs_code and len(code) == len(self.own_code)
        return comparable and code != self.own_code

    @property
    def own_code(self) -> str:
        """The code that was rolled out, where it is known, else the revision."""
        return self.code or self.revision

    @property
    def from_weight(self) -> int:
        """The weight that a rollback took back; 0: callers had none, or there is no rollback."""
        return self.state.from_weight if isinstance(self.state, RollingBack | RolledBack) else 0

    @property
    def red_metrics(self) -> dict[str, float]:
        """The criteria on metrics in the gate that were red before a start as a fix, and are not
        green yet, with their worst value before the start.
        """
        fix, gate = self.evidence.fix, self.policy.gate(self.judged_step)
        red = {} if fix is None else fix.not_green
        return {name: worst for name, worst in red.items() if worst is not None and name in gate}

    def with_findings(self, findings: tuple[Finding, ...]) -> "Rollout":
        """Return the rollout with the findings of its gate."""
        return replace(self, evidence=replace(self.evidence, findings=findings))

    # --- Conditions ---------------------------------------------------------------------------

    def conditions_of(self, *kinds: ConditionKind) -> dict[ConditionKind, Condition]:
        """Return the conditions of these kinds."""
        return {kind: condition for kind, condition in self.conditions.items() if kind in kinds}

    def with_condition(self, kind: ConditionKind, condition: Condition | None) -> "Rollout":
        """Return the rollout with `condition`; without one of that kind when it is None."""
        others = {name: one for name, one in self.conditions.items() if name is not kind}
        added = {} if condition is None else {kind: condition}
        return replace(self, conditions={**others, **added})

    @property
    def unacknowledged_page(self) -> ConditionKind | None:
        """The critical condition that waits for an acknowledgement.

        None without a channel: no page is repeated there.
        """
        if not self.policy.notify:
            return None
        pages = (kind for kind, condition in self.conditions.items() if condition.critical)
        return next((kind for kind in pages if not self.conditions[kind].acknowledged), None)

    # --- Weight and step ----------------------------------------------------------------------

    @property
    def position(self) -> Position | None:
        """The live step or the pending write; None once a rollback was decided."""
        return None if isinstance(self.state, RollingBack | RolledBack) else self.state.position

    @property
    def live(self) -> Live | None:
        """The step that is judged: that of the weight that was last read back."""
        position = self.position
        return position.live if isinstance(position, Pending) else position

    @property
    def pending(self) -> Pending | None:
        """The write that was decided and was not read back yet."""
        return self.position if isinstance(self.position, Pending) else None

    @property
    def weight(self) -> int:
        """The weight this rollout last asked for."""
        return 0 if self.position is None else self.position.weight

    @property
    def step(self) -> int:
        """Index of the step that this rollout is in, or was in before its rollback."""
        if isinstance(self.state, RollingBack | RolledBack):
            return self.state.step
        return self.state.position.step

    @property
    def judged_step(self) -> int:
        """The step whose gate is judged: the live one."""
        return self.step if self.live is None else self.live.step

    @property
    def is_last_step(self) -> bool:
        """True in the last step, after which comes success."""
        return self.step + 1 == len(self.policy.steps)

    # --- Times of the live step ---------------------------------------------------------------

    @property
    def judged_from(self) -> int | None:
        """First judged second of the step: the first whole minute after settling, plus warm-up."""
        if self.live is None:
            return None
        return next_minute(self.live.since + self.policy.warmup_of(self.live.step))

    @property
    def applied_from(self) -> int | None:
        """First second of the first whole minute with the weight of the step applied."""
        return None if self.live is None else next_minute(self.live.since)

    @property
    def read_from(self) -> int | None:
        """First second of the metrics that are read; sequential criteria read the warm-up as well.

        They roll a plainly broken canary back in the warm-up.
        """
        return self.applied_from if self.policy.sequential_criteria() else self.judged_from

    @property
    def bake_end(self) -> datetime | None:
        """When the bake of the judged step is over; None before its weight is observed applied."""
        start = self.judged_from
        if start is None:
            return None
        return from_unix(self.policy.bake_end_of(self.judged_step, start))

    def newest_bake_from(self, end: int) -> int:
        """Return where the newest bake-length of the step begins that is over at `end`.

        Unix seconds; the first judged second while the step is not older than its bake.
        """
        look_back = self.policy.look_back_of(self.judged_step)
        return max(self.judged_from or 0, end - int(look_back.total_seconds()))

    @property
    def hold_begin(self) -> datetime | None:
        """From when the hold of an inconclusive gate counts; None before the weight is applied."""
        end = self.bake_end
        if end is None:
            return None
        begin = self.state.hold_from if isinstance(self.state, Progressing) else None
        return max(end, begin or end)

    @property
    def hold_end(self) -> datetime | None:
        """When the hold of an inconclusive gate is over; None before the weight is applied."""
        begin = self.hold_begin
        return None if begin is None else begin + self.policy.max_hold_of(self.judged_step)

    @property
    def data_wait_end(self) -> datetime | None:
        """Until when time without data may be left out of the hold; None as for `hold_end`.

        An operator who resumes the rollout has it begin anew.
        """
        end = self.bake_end
        return None if end is None else max(end, self.since) + self.policy.data_wait

    @property
    def waits_for_data(self) -> bool:
        """True when its gate lacks nothing but data, and may still wait for them."""
        begin, end = self.hold_begin, self.data_wait_end
        may_wait = begin is not None and end is not None and begin < end
        return may_wait and waits_for_data(self.evidence.findings)

    # --- Intervals ----------------------------------------------------------------------------

    @property
    def intervals_after_checkpoint(self) -> tuple[StepInterval, ...]:
        """The intervals that end after the checkpoint, that of the live step last.

        Empty for a policy without sequential criteria: no other evidence outlives its step.
        """
        if not self.policy.sequential_criteria():
            return ()
        current = self._live_interval
        return (*self._closed_intervals, *(() if current is None else (current,)))

    def intervals_after(self, end: datetime) -> tuple[StepInterval, ...]:
        """Return the intervals of earlier steps, once the live step is over at `end`.

        The minute of that moment belongs to no interval: both weights were applied in it.
        """
        current = self._live_interval
        if current is None or not self.policy.sequential_criteria():
            return self.evidence.intervals
        return (*self._closed_intervals, replace(current, end=floor_to(end, MINUTE_S)))

    @property
    def _closed_intervals(self) -> tuple[StepInterval, ...]:
        stored_end = self.evidence.fold.through
        return tuple(interval for interval in self.evidence.intervals if interval.end > stored_end)

    @property
    def _live_interval(self) -> StepInterval | None:
        begin, judged_from = self.applied_from, self.judged_from
        if begin is None or judged_from is None:
            return None
        return StepInterval(self.judged_step, begin, judged_from)
