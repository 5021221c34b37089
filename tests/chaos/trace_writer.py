"""Writes events by hand, for tests of the invariants."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from controller.core.judge.queries import JUDGED_PHASES
from tests.chaos.event_log import (
    START,
    TIME,
    GateVerdict,
    Notification,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    TargetResponse,
    TargetWrite,
    UpdateCompletion,
)
from tests.chaos.invariants import Invariants
from tests.support.core import (
    FINAL_PHASES,
    Entry,
    Live,
    Notice,
    Pending,
    Phase,
    Reason,
    Rollout,
    Severity,
    State,
    Verdict,
)
from tests.support.rollouts import MINUTE, NOON, a_state, with_entry, with_facts
from tests.support.three_steps import FIRST_RAISE, POLICY

Reading: TypeAlias = tuple[tuple[Rollout, ...], str]
"""The stored rollouts and the token of the target, when a process read it."""


class TraceWriter:
    """Passes events to all invariants, a second apart; `rollout` is as saved last."""

    def __init__(self, weight: int = 0) -> None:
        self.invariants = Invariants(weight)
        self.now: datetime = NOON
        self.rollout: Rollout = FIRST_RAISE
        self.weight: int | None = weight
        self.token = "token-1"
        self._stored: dict[str, Rollout] = {}

    @property
    def violated_names(self) -> set[str]:
        """The names of the violated invariants."""
        return {violation.invariant for violation in self.invariants.violations}

    # --- events ---------------------------------------------------------------------------------

    def later(self, length: timedelta = MINUTE) -> None:
        self.now += length

    def begins(self, by: str, verb: str = "") -> None:
        if verb:
            self._emit(OperatorCommand(self.now, by, verb))
        self._emit(ProcessStart(self.now, by))

    def reads(self) -> Reading:
        """Return what a process reads now, and what is stored then."""
        return tuple(self._stored.values()), self.token

    def writes(
        self,
        by: str,
        weight: int | None,
        *,
        beside: Sequence[str] = (),
        reading: Reading | None = None,
        unseen: Sequence[str] = (),
    ) -> None:
        """Let `by` write a weight. None: a contradiction. beside: other settings that it changes.

        reading: by which the process decided it, where `unseen` have written since.
        """
        stored, token = reading or self.reads()
        self._emit(
            TargetWrite(
                self.now,
                by,
                self.weight,
                weight,
                stored,
                token,
                beside=beside,
                unseen=unseen,
            )
        )
        self.weight = weight
        self.token = f"token after {self.invariants.state.number} happenings"

    def serves(self, weight: int) -> None:
        self._emit(UpdateCompletion(self.now, TIME, weight))

    def saves(self, by: str, kind: str = "", state: State | None = None, /, **facts: Any) -> None:
        """Let `by` save the rollout in `state`, changed by `facts`, with an entry of `kind` if any.

        The entry has the findings of the saved rollout.
        """
        before = self._stored.get(self.rollout.id)
        facts = {"updated": self.now, "version": self.rollout.version + 1, **facts}
        after = with_facts(self.rollout, state=state or self.rollout.state, **facts)
        entries: list[Entry] = []
        if kind:
            after, entry = with_entry(
                after, kind=kind, at=self.now, findings=after.evidence.findings
            )
            entries = [entry]
        self.stores(by, before, after, entries)

    def stores(
        self, by: str, before: Rollout | None, after: Rollout, entries: list[Entry], **facts: Any
    ) -> None:
        """Let `by` replace `before` with `after` in the store."""
        self._emit(RolloutSave(self.now, by, before, after, entries, **facts))
        self.rollout = self._stored[after.id] = after

    def answers(self, by: str, *, sound: bool = True) -> None:
        self._emit(TargetResponse(self.now, by, "GetFunctionConfiguration", sound))

    def judges(self, by: str, verdict: Verdict) -> None:
        self._emit(GateVerdict(self.now, by, self.rollout.id, verdict))

    def tells(self, by: str, text: str, rollout: Rollout | None = None) -> None:
        notice = Notice(Severity.INFO, text)
        self._emit(Notification(self.now, by, rollout or self.rollout, notice))

    def ends(self, by: str, status: int | None = 0) -> None:
        self._emit(ProcessEnd(self.now, by, status))

    def finishes(self) -> None:
        self.invariants.finish()

    def _emit(self, event: Any) -> None:
        self.now += timedelta(seconds=1)
        self.invariants.check(event)

    # --- sequences ------------------------------------------------------------------------------

    def starts(self, by: str = "start") -> None:
        """Save the start; its weight is not written yet."""
        self.begins(by, START)
        self.saves(by, "started", self.raising(0, 10, 0), version=0)

    def bakes(self) -> None:
        """Start, write 10% and serve it."""
        self.starts()
        self.writes("start", 10)
        self.serves(10)
        self.settles("start")
        self.ends("start")

    def settles(self, by: str) -> None:
        """Save that the weight was read back."""
        live = Live(self.rollout.step, self.rollout.weight, self.now)
        self.saves(by, "applied", a_state(position=live))

    def advances(self, by: str, weight: int = 50, /, **facts: Any) -> None:
        """Save the advance to `weight`; it is not written yet."""
        step = [one.weight for one in POLICY.steps].index(weight)
        self.saves(by, "advanced", self.raising(step, weight, self.rollout.weight), **facts)

    def raising(self, step: int, weight: int, previous: int) -> State:
        """Return the state of a rollout that has just decided a raise."""
        pending = Pending(step, weight, previous, self.token, self.now, live=self.rollout.live)
        return a_state(position=pending)

    def pauses(self, by: str, reason: Reason = Reason.INCONCLUSIVE, text: str = "thin") -> None:
        self.enters(by, "paused", Phase.PAUSED, reason, text)

    def goes_back(
        self, by: str, phase: Phase = Phase.ROLLED_BACK, reason: Reason = Reason.GATE_FAILED
    ) -> None:
        """Save that the rollout rolls back to 0%, or has."""
        self.enters(by, str(phase), phase, reason, "it fails")

    def enters(self, by: str, kind: str, phase: Phase, reason: Reason, text: str = "cause") -> None:
        """Save that the rollout enters `phase`, at the weight that it has."""
        facts: dict[str, Any] = {"since": self.now, "reason": reason, "sentence": text}
        if phase in JUDGED_PHASES and self.rollout.position:
            facts["position"] = self.rollout.position
        if phase in FINAL_PHASES:
            facts["watch_until"] = self.now + 15 * MINUTE
        self.saves(by, kind, a_state(phase, **facts))
