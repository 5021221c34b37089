"""Transitions by an operator: a function for each verb, with what refuses it and what it does.

Each raises UsageError, with the reason, where it changes nothing. `rollback` is not here: nothing
refuses it.
"""

from datetime import datetime
from typing import assert_never

from controller.core.decision import Decision, Notice, Record, SetWeight
from controller.core.events import Command
from controller.core.judge.evidence import SignOff
from controller.core.judge.findings import Label, Verdict, weakest_label
from controller.core.judge.judgement import Judgement, attestation_finding
from controller.core.message import Severity
from controller.core.observation import (
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    weight_of,
)
from controller.core.policy import Attestation
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
from controller.core.transitions import advance, announce, blocks
from controller.core.transitions.pause import enter_pause, position_after_drift, position_in_pause
from controller.core.units import quote_value
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import baking_sentence, reached_steps, ways_out_of_drift
from controller.errors import UsageError
from controller.immutable import replace

# Pauses in which the weight was not changed.
_PAUSES_WITHOUT_DRIFT = frozenset({Reason.PAUSED_BY_HAND, Reason.INCONCLUSIVE})

# --- Refusals -------------------------------------------------------------------------------------


def refusal(rollout: Rollout, verb: str, why: str) -> UsageError:
    """Return the error that says that `verb` changed nothing, and why."""
    return UsageError(
        f"{verb} was refused, and {rollout.id} is unchanged: {why}", rollout=rollout.id
    )


def _require_writable_target(judgement: Judgement, verb: str) -> TargetReading:
    """Return the target as it was read. Raises UsageError when no weight can be written to it."""
    rollout, target = judgement.rollout, judgement.target
    if isinstance(target, UnreadableTarget):
        raise refusal(rollout, verb, f"the target cannot be read: {target.reason}")
    if target.update is not UpdateStatus.SUCCESSFUL:
        detail = f": {target.detail}" if target.detail else ""
        raise refusal(rollout, verb, f"the last update of the target is {target.update}{detail}")
    return target


def _require_no_fail(judgement: Judgement, verb: str) -> Rollout:
    """Return the rollout with the findings of now. Raises UsageError when one of them fails.

    No verb goes on over that.
    """
    rollout, findings = judgement.rollout, judgement.findings
    if judgement.verdict is Verdict.FAIL:
        why = " ".join(sentence_of(finding) for finding in findings if finding.fails)
        raise refusal(rollout, verb, f"a criterion fails, and the next tick rolls back: {why}")
    return rollout.with_findings(findings)


def _require_traffic(rollout: Rollout, verb: str, target: TargetReading) -> None:
    """Raise UsageError when no traffic is on the canary."""
    if target.weight == 0:
        raise refusal(rollout, verb, "the weight is 0%, and the next tick ends the rollout")


# --- Pause, and set a weight ----------------------------------------------------------------------


def pause_by_operator(
    rollout: Rollout, state: Progressing, command: Command, judgement: Judgement
) -> Decision:
    """Pause until an operator resumes; a criterion that fails still rolls back.

    Neither weight of a pending raise is drift in the pause. Any other weight is, and the next tick
    reports it.
    """
    target, now, pending = judgement.target, judgement.now, rollout.pending
    weight = weight_of(target)
    is_expected = pending is not None and weight in (pending.previous, pending.weight)
    paused = Paused(
        since=now,
        reason=Reason.PAUSED_BY_HAND,
        sentence=f"paused by an operator{_because(command)}",
        position=position_in_pause(state.position, target),
    )
    seen_weight = weight if is_expected else rollout.seen_weight
    return _pause_transition(
        rollout, replace(rollout, state=paused, seen_weight=seen_weight), weight, now
    )


def set_weight(
    rollout: Rollout, state: Exposed, command: Command, judgement: Judgement
) -> Decision:
    """Pause, and write the weight that an operator names: one write, recorded before it.

    The result is drift with a known author: a later resume restores or keeps it. This write makes
    the token of a pending raise invalid.
    """
    target, now = _require_writable_target(judgement, command.verb), judgement.now
    rollout = _require_no_fail(judgement, command.verb)
    weight = command.weight or 0
    if weight == 0:
        raise refusal(rollout, command.verb, f"0% is a rollback: rolloutctl rollback {rollout.id}")
    _require_traffic(rollout, command.verb, target)
    if target.weight == weight:
        raise refusal(rollout, command.verb, f"{weight}% is live already")
    if target.weight is not None and weight > target.weight and rollout.policy.missing_kinds:
        raise refusal(rollout, command.verb, blocks.missing_kinds_block(rollout.policy).text)
    live = target.variables if target.weight is None else f"{target.weight}%"
    position = position_after_drift(state.position, target, now)
    is_new_step = isinstance(position, Live) and position != state.position
    was_paused = isinstance(state, Paused) and state.reason is not Reason.DRIFTED
    before = f"; before that: {state.sentence}" if was_paused else ""
    paused = Paused(
        since=now,
        reason=Reason.DRIFTED,
        sentence=f"set from {live} to {weight}% by an operator{_because(command)}{before}",
        position=position,
    )
    closed = advance.close_step(rollout, now) if is_new_step else rollout
    after = replace(closed, state=paused, seen_weight=weight)
    decision = _pause_transition(rollout, after, target.weight, now)
    return replace(decision, move=SetWeight(weight, target.token))


def set_weight_again(rollout: Rollout, command: Command, judgement: Judgement) -> Decision:
    """Record why a revision that was rolled back gets traffic again. The rollout stays as it is."""
    weight = command.weight or 0
    if not command.reason:
        why = (
            f"it rolled back revision {rollout.revision}: {rollout.sentence.rstrip('.')}. "
            f"To set {weight}% on it again, give --reason TEXT, which is recorded in the history"
        )
        raise refusal(rollout, command.verb, why)
    text = f"{weight}% is set by an operator after the rollback{_because(command)}"
    live = weight_of(judgement.target)
    entry = Record.of("weight_set", rollout, rollout, live, judgement.now, sentence=text)
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(rollout, notices=(notice,), record=entry)


# --- Resume ---------------------------------------------------------------------------------------


def resume(rollout: Rollout, state: Paused, command: Command, judgement: Judgement) -> Decision:
    """Resume at the intended weight, or as the command says where another weight is live."""
    target, now = _require_writable_target(judgement, command.verb), judgement.now
    live, intended = target.weight, rollout.weight
    _require_traffic(rollout, command.verb, target)
    rollout = _require_no_fail(judgement, command.verb)
    if live == intended:
        return resume_at_intended_weight(rollout, state, target, command, now)
    mismatch = f"the target shows {target.variables}, expected {intended}%"
    match command.way:
        case "restore" if target.may_exceed(intended):
            return _restore_weight(rollout, target, command, now)
        case "keep" if live is not None:
            return _resume_at_live_weight(rollout, live, command, now)
        case "restore":
            why = f"--restore only lowers the weight; {mismatch}"
        case "keep":
            why = f"--keep needs one live weight; {mismatch}"
        case "":
            why = mismatch
        case unreachable:
            assert_never(unreachable)
    ways = "; ".join(ways_out_of_drift(rollout, live, may_exceed=target.may_exceed(intended)))
    raise refusal(rollout, command.verb, f"{why}; {ways}")


def resume_at_intended_weight(
    rollout: Rollout, state: Paused, target: TargetReading, command: Command, now: datetime
) -> Decision:
    """Resume at the intended weight, which is live.

    After a pause in which the weight was not changed, the bake continues. Otherwise it begins anew,
    for the weight is read back only now. The time in which an inconclusive gate holds begins anew
    in either case.
    """
    sentence = f"resumed at {rollout.weight}%{_because(command)}"
    if _is_bake_uninterrupted(state):
        after = _resumed(rollout, state.position, sentence, now)
    else:
        live = Live(rollout.step, rollout.weight, now)
        after = _resumed(advance.close_step(rollout, now), live, sentence, now)
    if after.bake_end is not None and now < after.bake_end:
        sentence += f"; {baking_sentence(after)}"
    return _transition("resumed", rollout, _with_sentence(after, sentence), target.weight, now)


def _is_bake_uninterrupted(state: Exposed) -> bool:
    """Tell whether everything measured since the weight was applied belongs to the step."""
    if isinstance(state, Progressing):
        return True
    return state.reason in _PAUSES_WITHOUT_DRIFT and isinstance(state.position, Live)


def _restore_weight(
    rollout: Rollout, target: TargetReading, command: Command, now: datetime
) -> Decision:
    """Write the intended weight back, in one write, and begin the step anew."""
    weight, live = rollout.weight, 100 if target.weight is None else target.weight
    sentence = f"restoring {weight}% (the target shows {target.variables}){_because(command)}"
    pending = Pending(rollout.step, weight, live, target.token, now, tried=now, live=rollout.live)
    after = _resumed(rollout, pending, sentence, now)
    decision = _transition("resumed", rollout, after, target.weight, now)
    return replace(decision, move=SetWeight(weight, target.token))


def _resume_at_live_weight(
    rollout: Rollout, weight: int, command: Command, now: datetime
) -> Decision:
    """Resume at the live `weight`, in the last step whose weight is not above it."""
    reached = reached_steps(rollout, weight)
    if not reached:
        why = f"{weight}% is below the first step"
        remedy = f"set {rollout.weight}% in AWS, then: rolloutctl resume {rollout.id}"
        raise refusal(rollout, command.verb, f"{why}: {remedy}")
    step, pending = reached[-1], rollout.pending
    closed = advance.close_step(rollout, now)
    evidence = replace(
        closed.evidence,
        earlier_findings=advance.earlier_findings(rollout, step),
        label=advance.label_after_skip(rollout, step),
    )
    closed = replace(closed, evidence=evidence, approved=0)
    was_live = rollout.live is not None and pending is not None and weight == pending.previous
    origin = "the live weight"
    if not was_live:
        origin += f", set by an operator or from outside; judged as step {step + 1}"
    sentence = f"resumed at {weight}% ({origin}){_because(command)}"
    after = _resumed(closed, Live(step, weight, now), sentence, now)
    after = _with_sentence(after, f"{sentence}; {baking_sentence(after)}")
    return _transition("resumed", rollout, after, weight, now)


# --- Promote, approve, attest, acknowledge --------------------------------------------------------


def promote(rollout: Rollout, state: Exposed, command: Command, judgement: Judgement) -> Decision:
    """Advance without a pass of the gate; over a freeze, an approval or a hook it does not go."""
    target, now = _require_writable_target(judgement, command.verb), judgement.now
    live = state.position
    if target.weight != rollout.weight and (isinstance(state, Paused) or isinstance(live, Live)):
        why = f"the target shows {target.variables}, expected {rollout.weight}%"
        raise refusal(rollout, command.verb, f"{why}; resume the rollout first")
    if isinstance(live, Pending):
        raise refusal(
            rollout, command.verb, f"{live.weight}% is not applied yet; run rolloutctl tick first"
        )
    judged, answers = _require_no_fail(judgement, command.verb), judgement.observation.hooks
    if block := blocks.advance_block(rollout, now) or blocks.hook_block(rollout, answers):
        if block.hooks_to_call:
            return Decision(rollout, hooks_to_call=block.hooks_to_call)
        why = f"{block.text}; promote does not skip a freeze, an approval or a hook"
        raise refusal(rollout, command.verb, why)
    if not (judgement.bake_over and _is_bake_uninterrupted(state)):
        label = weakest_label((rollout.evidence.label, str(Label.NOT_JUDGED)))
        judged = replace(judged, evidence=replace(judged.evidence, label=label))
    exposure = blocks.check_exposure(rollout, judgement.evidence)  # recorded, and not in the way
    note = "" if exposure is None else exposure.note
    return advance.next_step(judged, live, target, Reason.PROMOTED, now, command.reason, note)


def approve(rollout: Rollout, command: Command, now: datetime) -> Decision:
    """Record an approval of the next step, which is entered once the gate before it passes."""
    step = rollout.step + 1
    if rollout.is_last_step or not rollout.policy.needs_approval(step):
        raise refusal(rollout, command.verb, "the next step needs no approval")
    if rollout.approved == step:
        return Decision(rollout)
    weight = rollout.policy.steps[step].weight
    gate = f"once the gate at {rollout.weight}% passes"
    text = f"{weight}% is approved: it follows {gate}{_because(command)}"
    after, state = replace(rollout, approved=step), rollout.state
    if isinstance(state, Progressing) and state.block is Reason.AWAITING_APPROVAL:
        # Its sentence says that it still waits; the next tick finds out what for.
        after = advance.with_activity(after, state, Reason.APPROVED, text, state.block)
    entry = Record.of(
        "approved", rollout, after, rollout.weight, now, reason=Reason.APPROVED, sentence=text
    )
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(after, notices=(notice,), record=entry)


def attest(rollout: Rollout, command: Command, now: datetime) -> Decision:
    """Record the signature of an operator for a criterion; the next tick acts on it.

    The newest one counts, a repeated one changes nothing. Refused for a criterion that takes no
    signature, and without a note.
    """
    name, criteria = command.criterion, rollout.policy.criteria
    attestations = [one for one, rule in criteria.items() if isinstance(rule, Attestation)]
    if name not in attestations:
        known = f"its attestations: {', '.join(attestations) or 'none'}"
        unknown = f"the policy has no attestation {quote_value(name)}"
        raise refusal(rollout, command.verb, f"{unknown}; {known}")
    if not command.reason:
        why = "--note is missing: say what you checked; it is recorded in the history"
        raise refusal(rollout, command.verb, why)
    signature = SignOff(command.by, int(now.timestamp()), command.reason, command.refuse)
    before = rollout.evidence.sign_offs.get(name)
    if before is not None and before.refused == signature.refused:
        return Decision(rollout)
    word = "refused" if signature.refused else "attested"
    text = f"criterion {name} was {word} by {signature.by}: {signature.note}"
    if signature.refused and criteria[name].gating:
        text += "; the next tick rolls back"
    sign_offs = {**rollout.evidence.sign_offs, name: signature}
    signed = replace(rollout, evidence=replace(rollout.evidence, sign_offs=sign_offs))
    findings = tuple(
        attestation_finding(signed, name, one.start, one.end) if one.criterion == name else one
        for one in signed.evidence.findings
    )
    after = signed.with_findings(findings)
    reason = Reason.ATTESTATION_REFUSED if signature.refused else Reason.ATTESTED
    entry = Record.of(word, rollout, after, rollout.weight, now, reason=reason, sentence=text)
    severity = Severity.WARNING if signature.refused else Severity.INFO
    return Decision(after, notices=(Notice(severity, f"{rollout.id}: {text}"),), record=entry)


def acknowledge(rollout: Rollout, command: Command, now: datetime) -> Decision:
    """Acknowledge the critical condition that waits for it: its page is not repeated."""
    page = rollout.unacknowledged_page
    if page is None:
        raise refusal(rollout, command.verb, "no critical alert waits for an acknowledgement")
    return announce.acknowledge(rollout, page, command.reason, now)


# --- What they share ------------------------------------------------------------------------------


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


def _because(command: Command) -> str:
    return f": {command.reason}" if command.reason else ""
