"""Transitions by an operator: pause, resume, set a weight, approve a step, sign an attestation."""

from datetime import datetime

from controller.core.decision import Decision, Notice, Record, SetWeight
from controller.core.judge.evidence import SignOff
from controller.core.judge.judgement import attestation_finding
from controller.core.message import Severity
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.rollout import (
    Exposed,
    Live,
    Paused,
    Pending,
    Position,
    Progressing,
    Reason,
    Rollout,
)
from controller.core.transitions.advance import (
    close_step,
    earlier_findings,
    label_after_skip,
    with_activity,
)
from controller.core.transitions.pause import enter_pause, position_after_drift, position_in_pause
from controller.core.words.next_action import baking_sentence
from controller.immutable import replace

# Pauses in which the weight was not changed.
_PAUSES_WITHOUT_DRIFT = frozenset({Reason.PAUSED_BY_HAND, Reason.INCONCLUSIVE})


def pause_by_operator(
    rollout: Rollout,
    state: Progressing,
    target: TargetReading | UnreadableTarget,
    why: str,
    now: datetime,
) -> Decision:
    """Pause until an operator resumes; a criterion that fails still rolls back.

    Neither weight of a pending raise is drift in the pause. Any other weight is, and the next tick
    reports it.
    """
    weight, pending = weight_of(target), rollout.pending
    is_expected = pending is not None and weight in (pending.previous, pending.weight)
    paused = Paused(
        since=now,
        reason=Reason.PAUSED_BY_HAND,
        sentence=why,
        position=position_in_pause(state.position, target),
    )
    after = replace(
        rollout,
        state=paused,
        seen_weight=weight if is_expected else rollout.seen_weight,
    )
    return _pause_transition(rollout, after, weight, now)


def resume_at_intended_weight(
    rollout: Rollout, state: Paused, target: TargetReading, why: str, now: datetime
) -> Decision:
    """Resume at the intended weight, which is live.

    After a pause in which the weight was not changed, the bake continues. Otherwise it begins anew,
    for the weight is read back only now. The time in which an inconclusive gate holds begins anew
    in either case.
    """
    sentence = f"resumed at {rollout.weight}%{_reason_suffix(why)}"
    if is_bake_uninterrupted(state):
        after = _resumed(rollout, state.position, sentence, now)
    else:
        live = Live(rollout.step, rollout.weight, now)
        after = _resumed(close_step(rollout, now), live, sentence, now)
    if after.bake_end is not None and now < after.bake_end:
        sentence += f"; {baking_sentence(after)}"
    return _transition("resumed", rollout, _with_sentence(after, sentence), target.weight, now)


def is_bake_uninterrupted(state: Exposed) -> bool:
    """Tell whether everything measured since the weight was applied belongs to the step."""
    if isinstance(state, Progressing):
        return True
    return state.reason in _PAUSES_WITHOUT_DRIFT and isinstance(state.position, Live)


def restore_weight(rollout: Rollout, target: TargetReading, why: str, now: datetime) -> Decision:
    """Write the intended weight back, in one write, and begin the step anew."""
    live = 100 if target.weight is None else target.weight
    sentence = (
        f"restoring {rollout.weight}% (the target shows {target.variables}){_reason_suffix(why)}"
    )
    pending = Pending(
        rollout.step, rollout.weight, live, target.token, now, tried=now, live=rollout.live
    )
    after = _resumed(rollout, pending, sentence, now)
    move = SetWeight(rollout.weight, target.token)
    return replace(_transition("resumed", rollout, after, target.weight, now), move=move)


def resume_at_live_weight(
    rollout: Rollout, step: int, weight: int, why: str, now: datetime
) -> Decision:
    """Resume at the live `weight`, in the step that it has reached."""
    live, pending = Live(step, weight, now), rollout.pending
    closed = close_step(rollout, now)
    evidence = replace(
        closed.evidence,
        earlier_findings=earlier_findings(rollout, step),
        label=label_after_skip(rollout, step),
    )
    closed = replace(closed, evidence=evidence, approved=0)
    was_live = rollout.live is not None and pending is not None and weight == pending.previous
    origin = "the live weight"
    if not was_live:
        origin += f", set by an operator or from outside; judged as step {step + 1}"
    sentence = f"resumed at {weight}% ({origin}){_reason_suffix(why)}"
    after = _resumed(closed, live, sentence, now)
    after = _with_sentence(after, f"{sentence}; {baking_sentence(after)}")
    return _transition("resumed", rollout, after, weight, now)


def pause_and_set_weight(
    rollout: Rollout, state: Exposed, target: TargetReading, weight: int, why: str, now: datetime
) -> Decision:
    """Pause, and write `weight` by an operator's command: one write, recorded before it.

    The result is drift with a known author: a later resume restores or keeps it. This write makes
    the token of a pending raise invalid.
    """
    live = target.variables if target.weight is None else f"{target.weight}%"
    position = position_after_drift(state.position, target, now)
    is_new_step = isinstance(position, Live) and position != state.position
    was_paused = isinstance(state, Paused) and state.reason is not Reason.DRIFTED
    before = f"; before that: {state.sentence}" if was_paused else ""
    paused = Paused(
        since=now,
        reason=Reason.DRIFTED,
        sentence=f"set from {live} to {weight}% by an operator{_reason_suffix(why)}{before}",
        position=position,
    )
    closed = close_step(rollout, now) if is_new_step else rollout
    after = replace(closed, state=paused, seen_weight=weight)
    decision = _pause_transition(rollout, after, target.weight, now)
    return replace(decision, move=SetWeight(weight, target.token))


def record_weight_after_rollback(
    rollout: Rollout, live: int | None, weight: int, why: str, now: datetime
) -> Decision:
    """Record that an operator sets `weight` on a revision that was rolled back, and why.

    live: the weight before that; None where it is unknown. The rollout stays as it is.
    """
    text = f"{weight}% is set by an operator after the rollback{_reason_suffix(why)}"
    entry = Record.of("weight_set", rollout, rollout, live, now, sentence=text)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(rollout, notices=(notice,), record=entry)


def approve_step(rollout: Rollout, step: int, why: str, now: datetime) -> Decision:
    """Record an operator's approval of `step`, which is entered once the gate before it passes."""
    weight = rollout.policy.steps[step].weight
    gate = f"once the gate at {rollout.weight}% passes"
    text = f"{weight}% is approved: it follows {gate}{_reason_suffix(why)}"
    after, state = replace(rollout, approved=step), rollout.state
    if isinstance(state, Progressing) and state.block is Reason.AWAITING_APPROVAL:
        # Its sentence says that it still waits; the next tick finds out what for.
        after = with_activity(after, state, Reason.APPROVED, text, state.block)
    entry = Record.of(
        "approved", rollout, after, rollout.weight, now, reason=Reason.APPROVED, sentence=text
    )
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(after, notices=(notice,), record=entry)


def record_attestation(
    rollout: Rollout, criterion: str, signature: SignOff, now: datetime
) -> Decision:
    """Record the signature of an operator for `criterion`; the next tick acts on it."""
    word = "refused" if signature.refused else "attested"
    text = f"criterion {criterion} was {word} by {signature.by}: {signature.note}"
    gates = rollout.policy.criteria[criterion].gating
    if signature.refused and gates:
        text += "; the next tick rolls back"
    sign_offs = {**rollout.evidence.sign_offs, criterion: signature}
    signed = replace(rollout, evidence=replace(rollout.evidence, sign_offs=sign_offs))
    after = _with_attestation_finding(signed, criterion)
    reason = Reason.ATTESTATION_REFUSED if signature.refused else Reason.ATTESTED
    weight = rollout.weight
    entry = Record.of(word, rollout, after, weight, now, reason=reason, sentence=text)
    severity = Severity.WARNING if signature.refused else Severity.INFO
    return Decision(
        after,
        notices=(Notice(severity, f"{rollout.id}: {text}"),),
        record=entry,
    )


def _with_attestation_finding(rollout: Rollout, criterion: str) -> Rollout:
    """Return `rollout` with the signature in its finding of `criterion`, if it has one."""
    findings = [
        attestation_finding(rollout, criterion, finding.start, finding.end)
        if finding.criterion == criterion
        else finding
        for finding in rollout.evidence.findings
    ]
    return rollout.with_findings(tuple(findings))


def _resumed(rollout: Rollout, position: Position, sentence: str, now: datetime) -> Rollout:
    """Return `rollout` in progress again, at `position`."""
    state = Progressing(
        since=now, reason=Reason.RESUMED, sentence=sentence, position=position, hold_from=now
    )
    return replace(rollout, state=state, conditions={})


def _with_sentence(rollout: Rollout, sentence: str) -> Rollout:
    return replace(rollout, state=replace(rollout.state, sentence=sentence))


def _transition(
    kind: str, before: Rollout, after: Rollout, weight: int | None, now: datetime
) -> Decision:
    entry = Record.of(kind, before, after, weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{before.id} is {after.phase}: {after.sentence}")
    return Decision(after, notices=(notice,), record=entry)


def _pause_transition(
    before: Rollout, paused: Rollout, weight: int | None, now: datetime
) -> Decision:
    text = f"{paused.id} is paused: {paused.sentence}"
    return _transition("paused", before, enter_pause(paused, text, now), weight, now)


def _reason_suffix(why: str) -> str:
    return f": {why}" if why else ""
