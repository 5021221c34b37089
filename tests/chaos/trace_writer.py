"""Writes events by hand, for tests of the invariants."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.core.decision import Notice, Severity
from controller.core.history import Entry
from controller.core.judge.findings import Verdict
from controller.core.rollout import Intent, Phase, Reason, Rollout
from tests.chaos.event_log import (
    START,
    TIME,
    EnvironmentWrite,
    GateVerdict,
    LambdaResponse,
    Notification,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    UpdateCompletion,
    may_mean_full_weight,
    parse_weight,
)
from tests.chaos.invariants import Invariants
from tests.support.rollouts import MINUTE, NOON, lambda_env, with_entry
from tests.support.three_steps import FIRST_RAISE, POLICY

OTHER_VARIABLES: Mapping[str, str] = {"API_KEY": "hunter2"}


class TraceWriter:
    """Passes events to all invariants, a second apart; `rollout` is as saved last."""

    def __init__(self, weight: int = 0) -> None:
        self.invariants = Invariants(POLICY, weight)
        self.now: datetime = NOON
        self.rollout: Rollout = FIRST_RAISE
        self.shown: Mapping[str, str] = {
            **OTHER_VARIABLES,
            **POLICY.target.settings(weight),
        }
        self.token = "token-1"
        self._stored: dict[str, Rollout] = {}

    @property
    def violated_names(self) -> set[str]:
        """The names of the violated invariants."""
        return {one.invariant for one in self.invariants.violations}

    # --- events ---------------------------------------------------------------------------------

    def later(self, length: timedelta = MINUTE) -> None:
        self.now += length

    def begins(self, by: str, verb: str = "") -> None:
        if verb:
            self._emit(OperatorCommand(self.now, by, verb))
        self._emit(ProcessStart(self.now, by))

    def writes(self, by: str, weight: int | None = None, /, **variables: str) -> None:
        """Let `by` write a weight, or these variables."""
        pair = {} if weight is None else POLICY.target.settings(weight)
        before, after = self.shown, {**self.shown, **pair, **variables}
        self._emit(
            EnvironmentWrite(
                self.now,
                by,
                before,
                after,
                parse_weight(lambda_env(POLICY), before),
                parse_weight(lambda_env(POLICY), after),
                tuple(self._stored.values()),
                self.token,
                may_mean_full_weight(lambda_env(POLICY), before),
            )
        )
        self.shown = after
        self.token = f"token after {self.invariants.state.number} happenings"

    def serves(self, weight: int) -> None:
        self._emit(UpdateCompletion(self.now, TIME, weight))

    def saves(self, by: str, kind: str = "", /, **facts: Any) -> None:
        """Let `by` save the rollout, changed by `facts`, with an entry of `kind` if any.

        The entry has the findings of the saved rollout.
        """
        before = self._stored.get(self.rollout.id)
        facts = {"updated": self.now, "version": self.rollout.version + 1, **facts}
        after = replace(self.rollout, **facts)
        entries: list[Entry] = []
        if kind:
            after, entry = with_entry(after, kind=kind, at=self.now, findings=after.findings)
            entries = [entry]
        self.stores(by, before, after, entries)

    def stores(
        self, by: str, before: Rollout | None, after: Rollout, entries: list[Entry], **facts: Any
    ) -> None:
        """Let `by` replace `before` with `after` in the store."""
        self._emit(RolloutSave(self.now, by, before, after, entries, **facts))
        self.rollout = self._stored[after.id] = after

    def answers(self, by: str, *, sound: bool = True) -> None:
        self._emit(LambdaResponse(self.now, by, "GetFunctionConfiguration", sound))

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
        self.saves(by, "started", version=0, intent=Intent(10, 0, self.token, self.now))

    def bakes(self) -> None:
        """Start, write 10 % and serve it."""
        self.starts()
        self.writes("start", 10)
        self.serves(10)
        self.saves("start", "settled", settled=self.now)
        self.ends("start")

    def advances(self, by: str, weight: int = 50, /, **facts: Any) -> None:
        """Save the advance to `weight`; it is not written yet."""
        known = self.rollout
        step = [one.weight for one in POLICY.steps].index(weight)
        intent = Intent(weight, known.weight, self.token, self.now)
        facts = {"step": step, "intent": intent, "settled": None, "peak": weight, **facts}
        self.saves(by, "advanced", **facts)

    def pauses(self, by: str, reason: Reason = Reason.INCONCLUSIVE, text: str = "thin") -> None:
        self.saves(by, "paused", phase=Phase.PAUSED, reason=reason, sentence=text, since=self.now)

    def goes_back(
        self, by: str, phase: Phase = Phase.ROLLED_BACK, reason: Reason = Reason.GATE_FAILED
    ) -> None:
        """Save that the rollout rolls back to 0 %, or has."""
        intent = Intent(0, self.rollout.weight, "", self.now)
        watch = self.now + 15 * MINUTE
        facts = {"sentence": "it fails", "intent": intent, "since": self.now, "watch_until": watch}
        self.saves(by, str(phase), phase=phase, reason=reason, **facts)
