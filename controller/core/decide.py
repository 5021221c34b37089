"""`decide`: what a rollout does next, from what a tick saw. Pure and total.

The table of `docs/policy.md` ("Phases and verbs") is made by running it. In each function below
the first case that holds wins; what it leads to is built in `transitions`.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from controller.core import transitions as to
from controller.core.decision import Decision
from controller.core.judge.findings import Verdict, gate
from controller.core.judge.sealing import evidence_of, findings_of, reads_on, refusals, sealed
from controller.core.observation import (
    Observation,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    weight_of,
)
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions import watch

__all__ = ["decide", "with_refused_rollback"]


def decide(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """Return the next state of `rollout` and the one move that leads to it.

    The policy is the snapshot inside the rollout. Time never goes back: a `now` before
    `rollout.updated` counts as that moment.
    """
    now = max(now, rollout.updated)
    current = replace(rollout, updated=now)
    if isinstance(observation.target, TargetReading) and observation.target.has_applied(
        rollout.weight
    ):
        current = replace(current, write_error="")  # whatever failed, it is over
    decision = _decide_in_phase(current, observation, now)
    return to.with_announcements(
        rollout, to.with_visibility(rollout, decision, observation, now), now
    )


def _decide_in_phase(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    match rollout.phase:
        case Phase.PROGRESSING if rollout.settled is None:
            return _decide_pending(rollout, observation, now)
        case Phase.PROGRESSING:
            return _decide_applied(rollout, observation, now)
        case Phase.PAUSED:
            return _decide_paused(rollout, observation, now)
        case Phase.ROLLING_BACK:
            return _decide_rolling_back(rollout, observation.target, now)
        case Phase.ROLLED_BACK:
            return watch.after_rollback(rollout, observation, now)
        case Phase.SUCCEEDED:
            return watch.after_success(rollout, observation, now)
        case unreachable:
            assert_never(unreachable)


def with_refused_rollback(decision: Decision, why: str, now: datetime) -> Decision:
    """Return what `decision` becomes when its move to 0 % was refused for good, and `why`.

    It ends the tick in alarm, pages at most every quarter of an hour, and is recorded once.
    """
    decided = decision.rollout.updated
    now = max(now, decided)  # what is recorded now is the newest moment of the rollout
    rollout = replace(decision.rollout, updated=now, write_error=why)
    decision = replace(decision, rollout=rollout)
    decision = to.with_page(to.with_unconfirmed_rollback(decision, why, now), now)
    entry = decision.record
    if entry is None:
        return decision
    because = {**entry.because, "refused": why, "decided": decided.isoformat()}
    return replace(decision, record=replace(entry, because=because))


def _decide_pending(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    intent, target = rollout.intent, observation.target
    if said_no := refusals(rollout):  # nothing goes up over that, written or not
        why = " ".join(one.sentence for one in said_no)
        rollout = replace(rollout, findings=said_no)
        return to.roll_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)
    if isinstance(target, UnreadableTarget):
        return _decide_unreadable(rollout, observation, target, now)
    quiet = target.update is not UpdateStatus.IN_PROGRESS
    at_previous = target.weight == intent.previous
    if target.has_applied(intent.weight):
        return to.confirm_applied(rollout, now)
    if target.update is UpdateStatus.FAILED:
        return to.give_up_failed_update(rollout, target, now)
    if target.weight == 0 and not rollout.first_raise_pending:
        return to.end_found_at_zero(rollout, target, now)
    if quiet and at_previous and target.token == intent.token:
        return _decide_unwritten(rollout, observation, target, now)
    if quiet and at_previous and intent.previous < intent.weight:
        return to.resolve_lost_raise(rollout, target, now)
    return (
        to.handle_drift(rollout, target, now) if quiet else to.wait_for_update(rollout, target, now)
    )


def _decide_unreadable(
    rollout: Rollout, observation: Observation, target: UnreadableTarget, now: datetime
) -> Decision:
    """Nobody can say whether the raise is in force; behind a freeze, what was live is judged on."""
    if rollout.previous_live is None:
        return to.wait_for_readable_target(rollout, target, now)
    rollout = replace(
        rollout, findings=findings_of(rollout, evidence_of(rollout, observation, now))
    )
    if gate(rollout.findings) is Verdict.FAIL:
        return _roll_back_failed_gate(rollout, target, now)
    return _wait_and_seal(to.wait_for_readable_target(rollout, target, now), observation, now)


def _decide_unwritten(
    rollout: Rollout, observation: Observation, target: TargetReading, now: datetime
) -> Decision:
    """Nobody wrote the raise: where it waits, the weight that is live is judged before anything."""
    if rollout.previous_live is None:
        return to.retry_raise(rollout, target, now)
    rollout = replace(
        rollout, findings=findings_of(rollout, evidence_of(rollout, observation, now))
    )
    if gate(rollout.findings) is Verdict.FAIL:
        return _roll_back_failed_gate(rollout, target, now)
    return _wait_and_seal(to.retry_raise(rollout, target, now), observation, now)


def _decide_applied(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    target = observation.target
    evidence = evidence_of(rollout, observation, now)
    rollout = replace(rollout, findings=findings_of(rollout, evidence))
    match gate(rollout.findings):
        case Verdict.FAIL:
            return _roll_back_failed_gate(rollout, target, now)
        case _ if isinstance(target, TargetReading) and target.weight != rollout.weight:
            return _decide_drift(rollout, target, now)
        case _ if evidence is None or not evidence.bake_over:
            return _bake(rollout, observation, now)
        case Verdict.PASS:
            return _decide_pass(rollout, observation, now)
        case Verdict.INCONCLUSIVE:
            return _decide_inconclusive(rollout, observation, now)
        case unreachable:
            assert_never(unreachable)


def _decide_drift(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    if target.weight == 0:
        return to.end_found_at_zero(rollout, target, now)
    return to.handle_drift(rollout, target, now)


def _bake(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    if isinstance(observation.target, UnreadableTarget):
        rollout = to.wait_for_target(
            rollout, Reason.TARGET_UNREADABLE, observation.target.reason
        ).rollout
    else:
        rollout = to.mark_baking(rollout)
    return _stay_and_seal(rollout, observation, now)


def _decide_pass(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """The gate passed; a target that takes no raise now is no reason to go back, or on."""
    target = observation.target
    if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
        return _advance_unless_blocked(rollout, observation, target, Reason.GATE_PASSED, now)
    return _hold(rollout, observation, now) or to.pause_inconclusive(rollout, target, now)


def _advance_unless_blocked(
    rollout: Rollout, observation: Observation, target: TargetReading, reason: Reason, now: datetime
) -> Decision:
    """The gate lets the rollout go on; a freeze, a missing approval or a hook may not."""
    barrier = to.advance_block(rollout, now) or to.hook_block(rollout, observation.hooks)
    if barrier is None:
        return to.next_step(rollout, target, reason, now)
    return _wait_and_seal(to.block_advance(rollout, barrier, reason, now), observation, now)


def _decide_inconclusive(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """The bake is over, and the gate has no verdict."""
    if held := _hold(rollout, observation, now):
        return held
    target = observation.target
    match rollout.policy.on_inconclusive:
        case "rollback":
            why = to.hold_expired_text(rollout, target)
            return to.roll_back(rollout, Reason.INCONCLUSIVE, why, weight_of(target), now)
        case "advance" if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
            return _advance_unless_blocked(
                rollout, observation, target, Reason.ADVANCED_UNPROVEN, now
            )
        case "advance" | "pause":
            return to.pause_inconclusive(rollout, target, now)
        case unreachable:
            assert_never(unreachable)


def _hold(rollout: Rollout, observation: Observation, now: datetime) -> Decision | None:
    """Hold for as long as the policy allows; None once that is over.

    While a freeze or a missing approval keeps a gate that had passed from going up, nothing is lost
    by waiting, nor while a log is caught up with: its hold begins with the first tick after that.
    """
    if to.was_blocked(rollout):  # a hook is asked no more until the gate passes again
        rollout = replace(rollout, hold_from=now)
        barrier = to.advance_block(rollout, now)
        if barrier is not None:
            return _wait_and_seal(
                to.stay_blocked(rollout, barrier, observation.target, now), observation, now
            )
    if reads_on(rollout, observation, now):  # as the first tick after an outage does
        rollout = replace(rollout, hold_from=now)
    if rollout.hold_end is None or now < rollout.hold_end:
        return _stay_and_seal(to.mark_holding(rollout, observation.target), observation, now)
    return None


def _wait_and_seal(decision: Decision, observation: Observation, now: datetime) -> Decision:
    """Return a wait with what it says, or with its hour of evidence when it has nothing to say."""
    said = decision.record or decision.hooks_to_call
    return decision if said else _stay_and_seal(decision.rollout, observation, now)


def _decide_paused(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    target = observation.target
    rollout = replace(
        rollout, findings=findings_of(rollout, evidence_of(rollout, observation, now))
    )
    if gate(rollout.findings) is Verdict.FAIL:
        return _roll_back_failed_gate(rollout, target, now)
    if isinstance(target, TargetReading) and _is_new_drift(rollout, target):
        return _decide_drift(rollout, target, now)
    if (
        rollout.previous_live
        and isinstance(target, TargetReading)
        and target.has_applied(rollout.weight)
    ):
        return to.confirm_applied_late(rollout, now)
    return to.remind_of_pause(rollout, now) or _stay_and_seal(rollout, observation, now)


def _is_new_drift(rollout: Rollout, target: TargetReading) -> bool:
    """Tell whether another hand moved a paused weight since the last look; 0 % always ends it.

    What is the rollout's own is none: a raise was on its way, or the hand has taken it back.
    """
    return target.weight == 0 or target.weight not in (
        rollout.seen_weight,
        *to.expected_weights(rollout),
    )


def _roll_back_failed_gate(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    why = " ".join(one.sentence for one in rollout.findings if one.fails)
    if isinstance(target, TargetReading) and target.weight == 0:
        why += " 0 % is set already."
        return to.end_at_zero(rollout, target, Reason.GATE_FAILED, why, now)
    return to.roll_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)


def _decide_rolling_back(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    limit: timedelta = rollout.policy.rollback_timeout
    late = now - rollout.since > limit
    if isinstance(target, UnreadableTarget):
        move = None if target.permanent else to.lower_move(rollout)
        return to.keep_lowering(rollout, move, target.reason, late or target.permanent, now)
    if target.has_applied(0):
        return to.confirm_rollback(rollout, now)
    if target.weight == 0 and target.update is UpdateStatus.IN_PROGRESS:
        return to.keep_lowering(rollout, None, "0 % is written, still in progress", late, now)
    why = f"the target shows {target.shown}"
    if target.update is UpdateStatus.FAILED:
        why += f", and its last update failed: {target.detail or 'no reason given'}"
    return to.keep_lowering(rollout, to.lower_move(rollout), why, late, now)


def _stay_and_seal(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """Stay, and once an hour seal the evidence of the minutes that can no longer change."""
    rollout = to.with_next_action(rollout)
    kept = sealed(rollout, observation, now)
    return Decision(rollout) if kept is None else to.evidence_entry(rollout, kept, now)
