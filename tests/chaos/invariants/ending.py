"""Invariants of verdicts and ends: no data is no pass, and every end has a reason."""

from collections.abc import Iterator
from datetime import timedelta

from controller.core.judge.facts import FailureTotals
from tests.chaos.event_log import RolloutSave
from tests.chaos.invariants.invariant import Invariant
from tests.chaos.invariants.system_state import SystemState
from tests.support.core import Entry, Phase, Reason, Rollout, Verb, Verdict

# More than a step of a drawn policy takes with its hold.
_TIME_OF_A_STEP = timedelta(minutes=30)
# Longer than an update of a target takes, and the tick after it.
_TIME_OF_A_ROLLBACK = timedelta(minutes=3)
_WAIT_REASONS = frozenset(
    {
        Reason.AWAITING_APPROVAL,
        Reason.AWAITING_HOOK,
        Reason.FROZEN,
        Reason.OVER_EXPOSURE_BUDGET,
    }
)
_PAUSE_OR_ROLLBACK_REASONS = frozenset(
    {
        Reason.DRIFTED,
        Reason.INCONCLUSIVE,
        Reason.RAISE_UNCERTAIN,
        Reason.SHIFT_FAILED,
        Reason.SHIFT_TIMED_OUT,
    }
)
_ROLLBACK_REASONS = _PAUSE_OR_ROLLBACK_REASONS | {
    Reason.GATE_FAILED,
    Reason.FOUND_AT_ZERO,
    Reason.ROLLBACK_REQUESTED,
}
# The reasons with which a rollout may rest in each phase.
REASONS = {
    Phase.PAUSED: _PAUSE_OR_ROLLBACK_REASONS | {Reason.PAUSED_BY_HAND},
    Phase.ROLLING_BACK: _ROLLBACK_REASONS,
    Phase.ROLLED_BACK: _ROLLBACK_REASONS,
    Phase.SUCCEEDED: frozenset({Reason.COMPLETED}),
}


class NoPassWithoutData(Invariant):
    """An operator may promote an inconclusive gate, but not one that fails."""

    name = "no-pass-without-data"
    text = (
        "A rollout advances only after a gate that passed with the `min_samples` of its policy. "
        "It also advances after an inconclusive gate when an operator promotes it, or when the "
        "policy says `on_inconclusive: advance` and the hold is over. It never advances after a "
        "gate that failed."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield an advance without a passed gate, an expired hold or an operator's promote."""
        for entry in save.entries:
            if save.before is not None and entry.kind in ("advanced", "succeeded"):
                yield from self._check_advance(save, save.before, entry, state)

    def _check_advance(
        self, save: RolloutSave, before: Rollout, entry: Entry, state: SystemState
    ) -> Iterator[str]:
        findings = entry.body["findings"]
        verdicts = {finding["verdict"] for finding in findings}
        action = f"let {before.id} go up from {before.weight}%"
        if Verdict.FAIL in verdicts:
            yield f"{action} although a criterion fails"
        elif Verb.PROMOTE in state.verbs_of(save.by):
            return
        elif verdicts == {Verdict.PASS}:
            criteria = before.policy.criteria
            for finding in findings:
                min_samples = getattr(criteria[finding["criterion"]], "min_samples", 0)
                if finding["samples"] < min_samples:
                    yield f"{action} with {finding['samples']} samples of {finding['criterion']}"
        elif before.policy.on_inconclusive != "advance":
            yield f"{action} without a verdict"
        elif before.hold_end is None or entry.at < before.hold_end:
            yield f"{action} without a verdict, before its hold was over"


class EndsWithReason(Invariant):
    """Checked at the end of the run, and at each save of a state in which a rollout may rest."""

    name = "ends-with-a-reason"
    text = "Every rollout ends, or waits for an operator, with a recorded reason."
    allows = (
        "A rollout waits as long as a freeze lasts, or traffic that is too high for its budget; it "
        "may be on its way when that ended less than half an hour before the run does, and on its "
        "way back for as long as an update takes. A rollback "
        "command without a `--reason` is a reason by itself."
    )

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a resting state without a reason."""
        after = save.after
        allowed = REASONS.get(after.phase)
        if allowed is None:
            return
        if after.reason not in allowed:
            yield f"left {after.id} {after.phase} because of {after.reason}, which is no reason"
        if not after.sentence and after.reason is not Reason.ROLLBACK_REQUESTED:
            yield f"left {after.id} {after.phase} without a word"

    def at_end(self, state: SystemState) -> Iterator[str]:
        """Yield a rollout that neither ended nor waits for an operator, a hook or a freeze."""
        for one in state.stored.values():
            waiting = one.phase is Phase.PAUSED or (
                one.phase is Phase.PROGRESSING and one.reason in _WAIT_REASONS
            )
            if not (one.final or waiting or _waited_for_traffic(one, state)):
                yield f"left {one.id} {one.phase} ({one.reason}): {one.sentence}"


# So many failures of the stable path, and none of the canary, show any test that it is better.
_SURELY_BETTER = 400


class FixAdvances(Invariant):
    """Judged by the counts in the findings, and by what the world does to the stable path."""

    name = "a-fix-goes-on"
    text = (
        "A fix is not held by what it fixes: no rollout pauses for an outage of the stable path "
        "that began before it, when its canary had no failure and the stable path hundreds."
    )
    allows = "Another rollout may have broken the stable path: only the first one is certain."

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield a pause of the first rollout for an outage that was there before it."""
        after, others = save.after, state.stored.keys() - {save.after.id}
        if not state.stable_fails or others or after.reason is not Reason.INCONCLUSIVE:
            return
        for finding in after.evidence.findings:
            totals = FailureTotals.find(finding)
            if totals is None or finding.verdict is not Verdict.INCONCLUSIVE or totals.failures:
                continue
            min_samples = getattr(after.policy.criteria[finding.criterion], "min_samples", 0)
            if totals.control_failures >= _SURELY_BETTER and finding.samples >= min_samples:
                yield f"paused {after.id} for the stable path, which failed before it"


def _waited_for_traffic(rollout: Rollout, state: SystemState) -> bool:
    """Tell whether a rollout goes on, or back, since traffic kept it from a step a while ago.

    Any other wait ends so early that a rollout comes to its end within the run.
    """
    entries = state.histories[rollout.id]
    blocked = [
        number
        for number, entry in enumerate(entries)
        if entry.body.get("reason") == Reason.OVER_EXPOSURE_BUDGET
    ]
    since = [entry.at for entry in entries[blocked[-1] + 1 :]] if blocked else []
    if not since:
        return False
    if rollout.phase is Phase.ROLLING_BACK:
        return state.now - rollout.since < _TIME_OF_A_ROLLBACK
    return state.now - since[0] < _TIME_OF_A_STEP
