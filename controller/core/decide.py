"""`decide`: the next state and move of a rollout, from an event. Pure and total.

A tick, a command and a lost save differ only in the event. The table of `docs/policy.md` ("Phases
and verbs") is made by running it. In each function below the first case that matches wins;
`transitions` builds the decision that it leads to.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from controller.core import transitions as to
from controller.core.commands import Command, apply_command
from controller.core.decision import Decision
from controller.core.judge.findings import Verdict, gate_verdict
from controller.core.judge.gate import Evidence
from controller.core.judge.sentences import sentence_of
from controller.core.judge.tick_evidence import (
    awaits_logs,
    evidence_of,
    findings_of,
    refusal_findings,
    seal_if_due,
)
from controller.core.observation import (
    Observation,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    weight_of,
)
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions import final_watch

# The `verb` in the record of a decision after a lost save, where a command has its own.
LOST_RACE: Final = "overtaken"


# --- Events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observed:
    """A tick observed the rollout."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class Commanded:
    """An operator gave a command. observation: of the rollout at that moment."""

    observation: Observation
    command: Command


@dataclass(frozen=True, slots=True)
class LostSave:
    """A run wrote 0 %, and another run saved the rollout before this one did.

    lowered: the decision of this run, on the state before that save.
    """

    observation: Observation
    lowered: Decision


@dataclass(frozen=True, slots=True)
class LateRaise:
    """A run wrote the raise of `raised`, and another run had rolled the rollout back before."""

    observation: Observation
    raised: Rollout


Event: TypeAlias = Observed | Commanded | LostSave | LateRaise


def decide(rollout: Rollout, event: Event, now: datetime) -> Decision:
    """Return the next state of `rollout` and the one move that leads to it.

    The policy is the snapshot inside the rollout. Time never goes back: a `now` before
    `rollout.updated` counts as that moment. Raises UsageError for a command that changes nothing.
    """
    now = max(now, rollout.updated)
    match event:
        case Commanded(observation, command):
            return apply_command(rollout, command, observation, now)
        case LostSave(observation, lowered):
            return _decide_lost_save(rollout, lowered, observation, now)
        case LateRaise(observation, raised):
            return _decide_late_raise(rollout, raised, observation, now)
        case Observed(observation):
            current = replace(rollout, updated=now)
            target = observation.target
            if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
                current = replace(current, write_error="")  # no write fails now
            decision = _decide_in_phase(current, observation, now)
            decision = to.with_visibility(rollout, decision, observation, now)
            return to.with_announcements(rollout, decision, now)
        case unreachable:
            assert_never(unreachable)


# --- Lost saves -----------------------------------------------------------------------------------


def _decide_lost_save(
    stored: Rollout, lowered: Decision, observation: Observation, now: datetime
) -> Decision:
    """Return the rollback `lowered` as a decision on `stored`, which another run saved meanwhile.

    Traffic is at 0 % already, for a known reason. That comes before any decision of the other run,
    except for a rollback with a reason of its own. A 0 % that the other run only found is the one
    that `lowered` wrote.
    """
    rolled_back = lowered.rollout
    if rolled_back.phase is Phase.ROLLED_BACK and stored.phase is Phase.ROLLED_BACK:
        # The watch after the rollback wrote 0 % again.
        decision = to.lower_again(replace(stored, updated=now), now)
        return _with_cause(decision, Reason.GUARDING_ZERO, "")
    if stored.phase in to.ROLLBACK_PHASES and stored.reason not in to.EXTERNAL_ZERO_REASONS:
        return decide(stored, Observed(observation), now)
    stored = replace(stored, updated=now, findings=rolled_back.findings)
    weight = weight_of(observation.target)
    decision = to.roll_back(stored, rolled_back.reason, rolled_back.sentence, weight, now)
    decision = to.with_visibility(stored, decision, observation, now)
    return _with_cause(decision, rolled_back.reason, rolled_back.sentence)


def _decide_late_raise(
    stored: Rollout, raised: Rollout, observation: Observation, now: datetime
) -> Decision:
    """Return the decision on `stored`, which was rolled back before `raised` was written.

    The weight of `raised` is the rollout's own, and is lowered however long ago the rollback was
    and whichever rollout owns the target by now. Any other weight is left to a tick.
    """
    is_own_weight = (
        isinstance(observation.target, UnreadableTarget)
        or observation.target.weight == raised.weight
    )
    if stored.phase is Phase.ROLLED_BACK and is_own_weight:
        lowered = Decision(replace(raised, phase=stored.phase))
        return _decide_lost_save(stored, lowered, observation, now)
    return decide(stored, Observed(observation), now)


def _with_cause(decision: Decision, reason: Reason, sentence: str) -> Decision:
    """Return `decision` with the reason of the rollback in its record."""
    if decision.record is None:
        return decision
    because = {"verb": LOST_RACE, "reason": str(reason), "sentence": sentence}
    return replace(decision, record=replace(decision.record, because=because))


def with_refused_rollback(decision: Decision, why: str, now: datetime) -> Decision:
    """Return `decision` after its move to 0 % was refused for good, with the reason `why`.

    It ends the tick with an alert, pages at most every quarter of an hour, and is recorded once.
    """
    decided_at = decision.rollout.updated
    now = max(now, decided_at)  # the time of the record is the newest moment of the rollout
    rollout = replace(decision.rollout, updated=now, write_error=why)
    decision = replace(decision, rollout=rollout)
    decision = to.with_page(to.with_unconfirmed_rollback(decision, why, now), now)
    record = decision.record
    if record is None:
        return decision
    because = {**record.because, "refused": why, "decided": decided_at.isoformat()}
    return replace(decision, record=replace(record, because=because))


# --- Ticks ----------------------------------------------------------------------------------------


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
            return final_watch.after_rollback(rollout, observation, now)
        case Phase.SUCCEEDED:
            return final_watch.after_success(rollout, observation, now)
        case unreachable:
            assert_never(unreachable)


def _decide_pending(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    intent, target = rollout.intent, observation.target
    if refused := refusal_findings(rollout):  # a refusal takes the raise back, written or not
        why = " ".join(sentence_of(finding) for finding in refused)
        rollout = replace(rollout, findings=refused)
        return to.roll_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)
    if isinstance(target, UnreadableTarget):
        return _decide_waiting(rollout, observation, now)
    if target.has_applied(intent.weight):
        return to.confirm_applied(rollout, now)
    if target.update is UpdateStatus.FAILED:
        return to.give_up_failed_update(rollout, target, now)
    if target.weight == 0 and not rollout.first_raise_pending:
        return to.end_found_at_zero(rollout, target, now)
    if target.update is UpdateStatus.IN_PROGRESS:
        return to.wait_for_update(rollout, target, now)
    return _decide_not_applied(rollout, observation, target, now)


def _decide_not_applied(
    rollout: Rollout, observation: Observation, target: TargetReading, now: datetime
) -> Decision:
    """Decide while the target is at rest at another weight than the one that was decided."""
    intent = rollout.intent
    at_previous = target.weight == intent.previous
    observed = rollout.policy.target.observed  # its token says nothing about a write of ours
    if at_previous and (observed or target.token == intent.token):  # the write never arrived
        return _decide_waiting(rollout, observation, now)
    if at_previous and intent.previous < intent.weight:  # the function changed since the decision
        return to.resolve_lost_raise(rollout, target, now)
    return to.handle_drift(rollout, target, now)  # a weight that rolloutctl did not write


def _decide_waiting(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """Decide on a raise that was saved and not written, or may be: the target cannot be read.

    Where the raise waits, as in a freeze, the weight before it is live, and is judged first.
    """
    target = observation.target
    judged = rollout.previous_live is not None
    if judged:
        rollout = _judge(rollout, evidence_of(rollout, observation, now))
        if gate_verdict(rollout.findings) is Verdict.FAIL:
            return _roll_back_failed_gate(rollout, target, now)
    if isinstance(target, UnreadableTarget):
        decision = to.wait_for_readable_target(rollout, target, now)
    else:
        decision = to.retry_raise(rollout, target, now)
    return _wait_and_seal(decision, observation, now) if judged else decision


def _judge(rollout: Rollout, evidence: Evidence | None) -> Rollout:
    """Return `rollout` with the findings of its gate."""
    return replace(rollout, findings=findings_of(rollout, evidence))


def _decide_applied(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    target = observation.target
    evidence = evidence_of(rollout, observation, now)
    rollout = _judge(rollout, evidence)
    match gate_verdict(rollout.findings):
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
    """Decide after the gate passed: a target that cannot take a raise now is waited for.

    It is no reason to roll back or to advance.
    """
    target = observation.target
    if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
        return _advance_unless_blocked(rollout, observation, target, Reason.GATE_PASSED, now)
    return _hold(rollout, observation, now) or to.pause_inconclusive(rollout, target, now)


def _advance_unless_blocked(
    rollout: Rollout, observation: Observation, target: TargetReading, reason: Reason, now: datetime
) -> Decision:
    """Advance to the next step, unless a freeze, a missing approval or a hook blocks it."""
    block = to.advance_block(rollout, now) or to.hook_block(rollout, observation.hooks)
    if block is None:
        return to.next_step(rollout, target, reason, now)
    return _wait_and_seal(to.block_advance(rollout, block, reason, now), observation, now)


def _decide_inconclusive(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    """Decide after the bake, while the gate is inconclusive."""
    if hold := _hold(rollout, observation, now):
        return hold
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

    The time does not run while a freeze or a missing approval blocks a gate that had passed, nor
    while a backlog of log events is read: the hold begins with the first tick after that.
    """
    if to.was_blocked(rollout):  # no hook is called until the gate passes again
        rollout = replace(rollout, hold_from=now)
        block = to.advance_block(rollout, now)
        if block is not None:
            return _wait_and_seal(
                to.stay_blocked(rollout, block, observation.target, now), observation, now
            )
    if awaits_logs(rollout, observation, now):  # as the first tick after an outage does
        rollout = replace(rollout, hold_from=now)
    if rollout.hold_end is None or now < rollout.hold_end:
        return _stay_and_seal(to.mark_holding(rollout, observation.target), observation, now)
    return None


def _wait_and_seal(decision: Decision, observation: Observation, now: datetime) -> Decision:
    """Return a wait as it is, or with an hour of evidence when it records and calls nothing."""
    has_effects = decision.record or decision.hooks_to_call
    return decision if has_effects else _stay_and_seal(decision.rollout, observation, now)


def _decide_paused(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    target = observation.target
    rollout = _judge(rollout, evidence_of(rollout, observation, now))
    if gate_verdict(rollout.findings) is Verdict.FAIL:
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
    """Tell whether a paused weight was changed outside rolloutctl since the last tick.

    A weight that the rollout expects is no drift: its raise was applied late, or the drift was
    reverted. 0 % always counts: it ends the rollout.
    """
    return target.weight == 0 or target.weight not in (
        rollout.seen_weight,
        *to.expected_weights(rollout),
    )


def _roll_back_failed_gate(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    why = " ".join(sentence_of(finding) for finding in rollout.findings if finding.fails)
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
    seal = seal_if_due(rollout, observation, now)
    return Decision(rollout) if seal is None else to.evidence_entry(rollout, seal, now)
