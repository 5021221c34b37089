"""`decide`: the next state and move of a rollout, from an event. Pure and total.

A start, a tick, a command, a failed write and a lost save differ only in the event. The tables and
the diagram of `state-machine.md` are made by running it. In each function below the first case
that matches wins; `transitions` builds the decision that it leads to.
"""

from datetime import datetime
from typing import Final, assert_never, overload

from controller.core.commands import apply_command
from controller.core.decision import Decision, Notice
from controller.core.events import (
    Commanded,
    Event,
    LateRaise,
    LostSave,
    Observed,
    RecordChanged,
    Started,
    WriteFailed,
)
from controller.core.judge.findings import Verdict
from controller.core.judge.judgement import Judgement, judge, refusal_findings
from controller.core.observation import (
    Observation,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    weight_of,
)
from controller.core.rollout import (
    Exposed,
    Live,
    Paused,
    Pending,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    Succeeded,
)
from controller.core.transitions import (
    advance,
    announce,
    blocks,
    final_watch,
    pause,
    pending_raise,
    rollback,
    write_failure,
)
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import hold_expired_text, with_table
from controller.core.words.notices import with_fix
from controller.immutable import replace

# The `verb` in the record of a decision after a lost save, where a command has its own.
LOST_RACE: Final = "lost_save"


@overload
def decide(rollout: None, event: Started, now: datetime) -> Decision: ...
@overload
def decide(rollout: Rollout, event: Event, now: datetime) -> Decision: ...
def decide(rollout: Rollout | None, event: Event | Started, now: datetime) -> Decision:
    """Return the next state of `rollout`, and the one move that leads to it.

    rollout: None for `Started`, which creates it. The policy is the snapshot inside the rollout.
    Time never goes back: a `now` before `rollout.updated` counts as that moment.
    Raises UsageError for a command that changes nothing.
    """
    if isinstance(event, Started):
        return advance.start_rollout(event, now)
    if rollout is None:
        raise TypeError("a rollout begins with the event Started")
    decision = _decide(rollout, event, max(now, rollout.updated))
    if not decision.notices:
        return decision
    notices = [_in_full(decision.rollout, notice) for notice in decision.notices]
    return replace(decision, notices=tuple(notices))


def _in_full(rollout: Rollout, notice: Notice) -> Notice:
    """Return `notice` with what its decision left out: the table, and that `rollout` is a fix."""
    text = with_table(notice.text, rollout) if notice.has_table else notice.text
    return replace(notice, text=with_fix(rollout, text), has_table=False)


def _decide(rollout: Rollout, event: Event, now: datetime) -> Decision:
    match event:
        case Observed(observation):
            return _decide_observed(rollout, observation, now)
        case Commanded(observation, command):
            return apply_command(rollout, command, observation, now)
        case WriteFailed():
            return write_failure.record_write_failure(event, now)
        case LostSave():
            return _decide_lost_save(rollout, event, now)
        case LateRaise(observation, raised):
            return _decide_late_raise(rollout, raised, observation, now)
        case RecordChanged(observation, changed):
            return pause.restore_record(rollout, changed, observation, now)
        case unreachable:
            assert_never(unreachable)


# --- Lost saves -----------------------------------------------------------------------------------


def _decide_lost_save(stored: Rollout, lost: LostSave, now: datetime) -> Decision:
    """Return the rollback that was carried out as a decision on `stored`, which another run saved.

    Traffic is at 0% already, for a known reason. That comes before any decision of the other run,
    except for a rollback with another reason. A 0% that the other run only found is the one
    that was written.
    """
    observation = lost.observation
    if lost.reason is Reason.LOWERED_AGAIN and isinstance(stored.state, RolledBack):
        decision = rollback.lower_again(replace(stored, updated=now), stored.state, now)
        return _with_cause(decision, lost.reason, "")
    if rollback.has_own_rollback(stored):
        return decide(stored, Observed(observation), now)
    stored = replace(stored, updated=now).with_findings(lost.findings)
    weight = weight_of(observation.target)
    decision = rollback.roll_back(stored, lost.reason, lost.sentence, weight, now)
    decision = announce.with_visibility(decision, judge(stored, observation, now))
    return _with_cause(decision, lost.reason, lost.sentence)


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
    if isinstance(stored.state, RolledBack) and is_own_weight:
        lost = LostSave(observation, Reason.LOWERED_AGAIN, stored.sentence)
        return _decide_lost_save(stored, lost, now)
    return decide(stored, Observed(observation), now)


def _with_cause(decision: Decision, reason: Reason, sentence: str) -> Decision:
    """Return `decision` with the reason of the rollback in its record."""
    if decision.record is None:
        return decision
    because = {"verb": LOST_RACE, "reason": str(reason), "sentence": sentence}
    return replace(decision, record=replace(decision.record, cause=because))


# --- Ticks ----------------------------------------------------------------------------------------


def _decide_observed(rollout: Rollout, observation: Observation, now: datetime) -> Decision:
    current, target = replace(rollout, updated=now), observation.target
    if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
        current = replace(current, write_error="")  # no write fails now
    judgement = judge(current, observation, now, last_seen=rollout.updated)
    decision = replace(_decide_in_phase(current, judgement), judgement=judgement)
    decision = announce.with_visibility(decision, judgement)
    return announce.with_announcements(decision, judgement)


def _decide_in_phase(rollout: Rollout, judgement: Judgement) -> Decision:
    state = rollout.state
    match state:
        case Progressing():
            decision = decide_progressing(rollout, state, judgement)
            return advance.record_green(decision, judgement)
        case Paused():
            return advance.record_green(_decide_paused(rollout, state, judgement), judgement)
        case RollingBack():
            return rollback.continue_rollback(rollout, judgement.target, judgement.now)
        case RolledBack():
            return final_watch.after_rollback(rollout, state, judgement)
        case Succeeded():
            return final_watch.after_success(rollout, state, judgement)
        case unreachable:
            assert_never(unreachable)


def decide_progressing(rollout: Rollout, state: Progressing, judgement: Judgement) -> Decision:
    """Return the next state of a rollout in progress, from the judgement of its live step."""
    match state.position:
        case Pending() as pending:
            return _decide_pending(rollout, state, pending, judgement)
        case Live() as live:
            return _decide_applied(rollout, state, live, judgement)
        case unreachable:
            assert_never(unreachable)


def _decide_pending(
    rollout: Rollout, state: Progressing, pending: Pending, judgement: Judgement
) -> Decision:
    """Decide on a write that was saved and not read back yet.

    Until it is read back, the live step is judged by its own gate, whatever the write waits for.
    Where the target alone was read again, as after a write, its last findings stay.
    """
    target, now, measured = judgement.target, judgement.now, judgement.observation.measured
    if refused := refusal_findings(rollout):  # a refusal takes the raise back, written or not
        why = " ".join(sentence_of(finding) for finding in refused)
        rollout = rollout.with_findings(refused)
        return rollback.roll_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)
    if judgement.evidence and measured:
        rollout = rollout.with_findings(judgement.findings)
        if judgement.verdict is Verdict.FAIL:
            return _roll_back_failed_gate(rollout, target, now)
    if isinstance(target, TargetReading) and target.has_applied(pending.weight):
        return advance.confirm_applied(rollout, state, pending, now)
    decision = _decide_unapplied(rollout, state, pending, target, now)
    return _wait_with_checkpoint(decision, judgement) if measured else decision


def _decide_unapplied(
    rollout: Rollout,
    state: Progressing,
    pending: Pending,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """Decide while the target does not have the weight that was decided, or cannot be read."""
    if isinstance(target, UnreadableTarget):
        return pending_raise.wait_for_readable_target(rollout, state, pending, target, now)
    if target.update is UpdateStatus.FAILED:
        return pending_raise.give_up_failed_update(rollout, state, pending, target, now)
    if pending_raise.may_be_stale(rollout, pending, target, now):
        return pending_raise.wait_for_read_back(rollout, state, pending, now)
    if target.weight == 0 and not rollback.is_first_raise_unseen(rollout):
        return rollback.end_found_at_zero(rollout, target, now)
    if target.update is UpdateStatus.IN_PROGRESS:
        return pending_raise.wait_for_update(rollout, state, pending, target, now)
    at_previous = target.weight == pending.previous
    observed = rollout.policy.target.observed  # its token says nothing about a write of ours
    unchanged = target.token == pending.token and pending.accepted is None
    if at_previous and (observed or unchanged):  # the write never arrived
        return pending_raise.retry_raise(rollout, state, pending, target, now)
    if at_previous and pending.is_raise:  # the function changed since the decision
        return pending_raise.resolve_lost_raise(rollout, state, target, now)
    return pause.handle_drift(rollout, state, target, now)  # a weight that rolloutctl did not write


def _decide_applied(
    rollout: Rollout, state: Progressing, live: Live, judgement: Judgement
) -> Decision:
    target, now = judgement.target, judgement.now
    rollout = rollout.with_findings(judgement.findings)
    match judgement.verdict:
        case Verdict.FAIL:
            return _roll_back_failed_gate(rollout, target, now)
        case _ if isinstance(target, TargetReading) and target.weight != live.weight:
            return _decide_drift(rollout, state, target, now)
        case _ if not judgement.bake_over:
            return _bake(rollout, state, judgement)
        case Verdict.PASS:
            return _decide_pass(rollout, state, live, judgement)
        case Verdict.INCONCLUSIVE:
            return _decide_inconclusive(rollout, state, live, judgement)
        case unreachable:
            assert_never(unreachable)


def _decide_drift(
    rollout: Rollout, state: Exposed, target: TargetReading, now: datetime
) -> Decision:
    if target.weight == 0:
        return rollback.end_found_at_zero(rollout, target, now)
    return pause.handle_drift(rollout, state, target, now)


def _bake(rollout: Rollout, state: Progressing, judgement: Judgement) -> Decision:
    if isinstance(judgement.target, UnreadableTarget):
        rollout = advance.mark_unreadable(rollout, state, judgement.target.reason)
    else:
        rollout = advance.mark_baking(rollout, state)
    return _stay_with_checkpoint(rollout, judgement)


def _decide_pass(
    rollout: Rollout, state: Progressing, live: Live, judgement: Judgement
) -> Decision:
    """Decide after the gate passed: a target that cannot take a raise now is waited for.

    It is no reason to roll back or to advance.
    """
    target = judgement.target
    if isinstance(target, TargetReading) and target.has_applied(live.weight):
        return _advance_unless_blocked(rollout, state, live, judgement, target, Reason.GATE_PASSED)
    hold = _hold(rollout, state, judgement)
    return hold or pause.pause_inconclusive(rollout, state, target, judgement.now)


def _advance_unless_blocked(
    rollout: Rollout,
    state: Progressing,
    live: Live,
    judgement: Judgement,
    target: TargetReading,
    reason: Reason,
) -> Decision:
    """Advance to the next step, unless something blocks it; hooks are asked last."""
    now, exposure = judgement.now, blocks.check_exposure(rollout, judgement.evidence)
    block = blocks.advance_block(rollout, now, exposure)
    block = block or blocks.hook_block(rollout, judgement.observation.hooks)
    if block is None:
        note = "" if exposure is None else exposure.note
        return advance.next_step(rollout, live, target, reason, now, note=note)
    return _wait_with_checkpoint(
        blocks.block_advance(rollout, state, block, reason, now), judgement
    )


def _decide_inconclusive(
    rollout: Rollout, state: Progressing, live: Live, judgement: Judgement
) -> Decision:
    """Decide after the bake, while the gate is inconclusive."""
    if hold := _hold(rollout, state, judgement):
        return hold
    target, now = judgement.target, judgement.now
    match rollout.policy.on_inconclusive:
        case "rollback":
            why = hold_expired_text(rollout, target)
            return rollback.roll_back(rollout, Reason.INCONCLUSIVE, why, weight_of(target), now)
        case "advance" if isinstance(target, TargetReading) and target.has_applied(live.weight):
            reason = Reason.ADVANCED_UNPROVEN
            return _advance_unless_blocked(rollout, state, live, judgement, target, reason)
        case "advance" | "pause":
            return pause.pause_inconclusive(rollout, state, target, now)
        case unreachable:
            assert_never(unreachable)


def _hold(rollout: Rollout, state: Progressing, judgement: Judgement) -> Decision | None:
    """Hold for as long as the policy allows; None once that is over.

    The time does not run while anything but a hook blocks a gate that had passed, nor while a
    backlog of log events is read: the hold begins with the first tick after that. Time without
    data is left out of it.
    """
    target, now = judgement.target, judgement.now
    if blocks.was_blocked(rollout, state):  # no hook is called until the gate passes again
        state = replace(state, hold_from=now)
        exposure = blocks.check_exposure(rollout, judgement.evidence)
        if exposure is not None and exposure.expected is None:
            exposure = None  # traffic that cannot be measured is what the hold is for
        block = blocks.advance_block(rollout, now, exposure)
        if block is not None:
            return _wait_with_checkpoint(
                blocks.stay_blocked(rollout, state, block, target, now), judgement
            )
    if judgement.awaits_logs:  # as the first tick after an outage does
        state = replace(state, hold_from=now)
    state = blocks.leave_out_missing_data(replace(rollout, state=state), state, judgement.last_seen)
    rollout = replace(rollout, state=state)
    if rollout.hold_end is None or now < rollout.hold_end:
        return _stay_with_checkpoint(advance.mark_holding(rollout, state, target), judgement)
    return None


def _wait_with_checkpoint(decision: Decision, judgement: Judgement) -> Decision:
    """Return a wait as it is, or with an hour of evidence when it records and calls nothing."""
    has_effects = decision.record or decision.hooks_to_call
    return decision if has_effects else _stay_with_checkpoint(decision.rollout, judgement)


def _decide_paused(rollout: Rollout, state: Paused, judgement: Judgement) -> Decision:
    target, now, position = judgement.target, judgement.now, state.position
    rollout = rollout.with_findings(judgement.findings)
    if judgement.verdict is Verdict.FAIL:
        return _roll_back_failed_gate(rollout, target, now)
    if isinstance(target, TargetReading):
        if _is_new_drift(rollout, state, target):
            return _decide_drift(rollout, state, target, now)
        if isinstance(position, Pending) and target.has_applied(position.weight):
            return pause.confirm_applied_late(rollout, state, position, now)
    state = replace(state, position=pause.position_in_pause(position, target))
    rollout = replace(rollout, state=state)
    return pause.remind_of_pause(rollout, now) or _stay_with_checkpoint(rollout, judgement)


def _is_new_drift(rollout: Rollout, state: Paused, target: TargetReading) -> bool:
    """Tell whether a paused weight was changed outside rolloutctl since the last tick.

    A weight that the rollout expects is no drift: its raise was applied late, or the drift was
    reverted. 0% always counts: it ends the rollout.
    """
    return target.weight == 0 or target.weight not in (
        rollout.seen_weight,
        *pause.expected_weights(state.position),
    )


def _roll_back_failed_gate(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    why = " ".join(sentence_of(finding) for finding in rollout.evidence.findings if finding.fails)
    if isinstance(target, TargetReading) and target.weight == 0:
        why += " The weight is 0% already."
        return rollback.end_at_zero(rollout, target, Reason.GATE_FAILED, why, now)
    return rollback.roll_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)


def _stay_with_checkpoint(rollout: Rollout, judgement: Judgement) -> Decision:
    """Stay, and once an hour write a checkpoint of the minutes that can no longer change."""
    if judgement.checkpoint is None:
        return Decision(rollout)
    return advance.evidence_entry(rollout, judgement.checkpoint, judgement.now)
