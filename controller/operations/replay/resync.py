"""Resync after a difference: the rollout in the state that an entry recorded."""

from dataclasses import replace

from controller.core.decision import Decision
from controller.core.observation import TargetReading
from controller.core.rollout import Intent, Phase, Rollout
from controller.core.transitions.advance import SUCCESS_WATCH, reset_step
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.operations.replay.entry import RecordedDecision

# Kinds of entries that report on a rollout and leave it where it is.
_KINDS_WITHOUT_CHANGE = frozenset(
    {
        "acknowledged",
        "approved",
        "attested",
        "blind",
        "drained",
        "drifted",
        "guarding_zero",
        "refused",
        "rollback_unconfirmed",
        "write_failed",
    }
)


def resync_to_entry(
    before: Rollout, decision: Decision | None, recorded: RecordedDecision
) -> Rollout:
    """Return the rollout `before` in the state that `recorded` leads to.

    decision: the derived one; where its outcome is the recorded one, its other fields are used.
    """
    agrees = decision is not None and _decision_outcome(decision) == _recorded_outcome(recorded)
    after = decision.rollout if decision and agrees else _apply_entry(before, recorded)
    if recorded.kind in _KINDS_WITHOUT_CHANGE:
        return after
    if recorded.kind == "evidence":
        after = replace(after, tallies=recorded.tallies, fold=recorded.fold)
    findings = recorded.findings if after.findings else ()
    return replace(after, reason=recorded.reason, sentence=recorded.sentence, findings=findings)


def _decision_outcome(decision: Decision) -> object:
    entry = decision.record
    return entry and (entry.kind, entry.phase_to, entry.weight_to, entry.step)


def _recorded_outcome(recorded: RecordedDecision) -> object:
    return (recorded.kind, recorded.phase, recorded.weight, recorded.step)


def _apply_entry(before: Rollout, recorded: RecordedDecision) -> Rollout:
    at, target = recorded.entry.at, recorded.observation.target
    step_restarts = recorded.kind in ("advanced", "resumed")
    after = reset_step(replace(before, updated=at)) if step_restarts else before
    if recorded.weight != before.weight:
        token = target.token if isinstance(target, TargetReading) else ""
        intent = Intent(recorded.weight, before.weight, token, at)
        after = replace(after, intent=intent, peak=recorded.weight or before.peak)
    if recorded.phase is not before.phase:
        after = replace(after, since=at)
    if recorded.kind in ("settled", "paused"):
        after = replace(after, settled=after.settled or at)
    return _with_watch(
        replace(after, phase=recorded.phase, step=recorded.step, updated=at), recorded
    )


def _with_watch(rollout: Rollout, recorded: RecordedDecision) -> Rollout:
    at = recorded.entry.at
    match recorded.kind:
        case "succeeded":
            return replace(rollout, watch_until=at + SUCCESS_WATCH)
        case "rolled_back":
            exposed_to = rollout.exposed_to or at
            return replace(rollout, watch_until=at + ROLLBACK_GUARD, exposed_to=exposed_to)
        case _ if rollout.phase is Phase.ROLLING_BACK:
            return replace(rollout, watch_until=None, drain=None)
        case _:
            return rollout
