"""Transitions by an operator: pause, resume, set a weight, approve a step, sign an attestation."""

from dataclasses import replace
from datetime import datetime

from controller.core.decision import Decision, Notice, Record, Severity, Shift
from controller.core.judge.evidence import SignOff
from controller.core.judge.tick_evidence import attestation_finding
from controller.core.next_action import baking_sentence, with_next_action
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.core.transitions.advance import earlier_findings, label_after_skip, reset_step
from controller.core.transitions.paused_raise import suspend_raise

# Pauses in which the weight was not changed.
_PAUSES_WITHOUT_DRIFT = frozenset({Reason.PAUSED_BY_HAND, Reason.INCONCLUSIVE})


def pause_by_operator(
    rollout: Rollout, target: TargetReading | UnreadableTarget, why: str, now: datetime
) -> Decision:
    """Pause until an operator resumes; a criterion that fails still rolls back.

    Neither weight of a pending raise is drift in the pause. Any other weight is, and the next tick
    reports it.
    """
    weight = weight_of(target)
    is_expected = rollout.settled is None and weight in (rollout.intent.previous, rollout.weight)
    after = replace(
        suspend_raise(rollout, target, now),
        phase=Phase.PAUSED,
        reason=Reason.PAUSED_BY_HAND,
        sentence=why,
        since=now,
        seen_weight=weight if is_expected else rollout.seen_weight,
        blocked="a person",
    )
    return _transition("paused", rollout, after, weight, now)


def resume_at_intended_weight(
    rollout: Rollout, target: TargetReading, why: str, now: datetime
) -> Decision:
    """Resume at the intended weight, which is live.

    After a pause in which the weight was not changed, the bake continues. Otherwise it begins anew,
    for the weight is read back only now. The time in which an inconclusive gate holds begins anew
    in either case.
    """
    after = _mark_resumed(
        rollout if is_bake_uninterrupted(rollout) else _restart_step(rollout, now), now
    )
    sentence = f"going on at {rollout.weight} %{_reason_suffix(why)}"
    if after.bake_end is not None and now < after.bake_end:
        sentence += f"; {baking_sentence(after)}"
    return _transition("resumed", rollout, replace(after, sentence=sentence), target.weight, now)


def is_bake_uninterrupted(rollout: Rollout) -> bool:
    """Tell whether everything measured since the weight was applied belongs to the step."""
    if rollout.phase is not Phase.PAUSED:
        return True
    return rollout.reason in _PAUSES_WITHOUT_DRIFT and rollout.settled not in (None, rollout.since)


def restore_weight(rollout: Rollout, target: TargetReading, why: str, now: datetime) -> Decision:
    """Write the intended weight back, in one write, and begin the step anew."""
    live = 100 if target.weight is None else target.weight
    sentence = f"going back from {target.shown} to {rollout.weight} %, and on{_reason_suffix(why)}"
    after = replace(
        _mark_resumed(reset_step(rollout), now),
        sentence=sentence,
        intent=Intent(rollout.weight, live, target.token, now),
    )
    move = Shift(rollout.weight, target.token)
    return replace(_transition("resumed", rollout, after, target.weight, now), move=move)


def resume_at_live_weight(
    rollout: Rollout, step: int, weight: int, token: str, why: str, now: datetime
) -> Decision:
    """Resume at the live `weight`, in the step that it has reached."""
    after = replace(
        _mark_resumed(_restart_step(rollout, now), now),
        step=step,
        intent=Intent(weight, weight, token, now),
        peak=weight,
        earlier=earlier_findings(rollout, step),
        label=label_after_skip(rollout, step),
        approved=None,
    )
    origin = "that another hand had set" if weight != rollout.intent.previous else "that are live"
    sentence = (
        f"going on with the {weight} % {origin}{_reason_suffix(why)}; {baking_sentence(after)}"
    )
    return _transition("resumed", rollout, replace(after, sentence=sentence), weight, now)


def pause_and_set_weight(
    rollout: Rollout, target: TargetReading, weight: int, why: str, now: datetime
) -> Decision:
    """Pause, and write `weight` by an operator's command: one write, recorded before it.

    The result is drift with a known author: a later resume restores or keeps it. This write makes
    the token of a pending raise invalid.
    """
    live = target.shown if target.weight is None else f"{target.weight} %"
    after = replace(
        suspend_raise(rollout, target, now),
        phase=Phase.PAUSED,
        reason=Reason.DRIFTED,
        sentence=f"set from {live} to {weight} % by hand{_reason_suffix(why)}",
        since=now,
        seen_weight=weight,
        blocked="a person",
    )
    decision = _transition("paused", rollout, after, target.weight, now)
    return replace(decision, move=Shift(weight, target.token))


def approve_step(rollout: Rollout, step: int, why: str, now: datetime) -> Decision:
    """Record an operator's approval of `step`, which is entered once the gate before it passes."""
    weight = rollout.policy.steps[step].weight
    text = (
        f"{weight} % may be entered once the gate at {rollout.weight} % passes{_reason_suffix(why)}"
    )
    after = replace(rollout, approved=step)
    if rollout.reason is Reason.AWAITING_APPROVAL:  # its sentence says that it still waits
        after = replace(after, reason=Reason.APPROVED, sentence=text, blocked="")
    entry = Record.of(
        "approved", rollout, after, rollout.weight, now, reason=Reason.APPROVED, sentence=text
    )
    notice = Notice(Severity.INFO, f"{rollout.id}: {text}")
    return Decision(with_next_action(after), notices=(notice,), record=entry)


def record_attestation(
    rollout: Rollout, criterion: str, signature: SignOff, now: datetime
) -> Decision:
    """Record the signature of an operator for `criterion`; the next tick acts on it."""
    word = "refused" if signature.refused else "attested"
    text = f"{criterion} is {word} by {signature.by}: {signature.note}"
    gates = rollout.policy.criteria[criterion].gating
    if signature.refused and gates:
        text += "; the next tick rolls back"
    after = _with_attestation_finding(
        replace(rollout, signed={**rollout.signed, criterion: signature}), criterion
    )
    reason = Reason.ATTESTATION_REFUSED if signature.refused else Reason.ATTESTED
    weight = rollout.weight
    entry = Record.of(word, rollout, after, weight, now, reason=reason, sentence=text)
    severity = Severity.WARNING if signature.refused else Severity.INFO
    return Decision(
        with_next_action(after),
        notices=(Notice(severity, f"{rollout.id}: {text}"),),
        record=entry,
    )


def _with_attestation_finding(rollout: Rollout, criterion: str) -> Rollout:
    """Return `rollout` with the signature in its finding of `criterion`, if it has one."""
    findings = [
        attestation_finding(rollout, criterion, one.start, one.end)
        if one.criterion == criterion
        else one
        for one in rollout.findings
    ]
    return replace(rollout, findings=tuple(findings))


def _mark_resumed(rollout: Rollout, now: datetime) -> Rollout:
    return replace(
        rollout,
        phase=Phase.PROGRESSING,
        reason=Reason.RESUMED,
        since=now,
        hold_from=now,
        barrier="",
        blocked="",
    )


def _restart_step(rollout: Rollout, now: datetime) -> Rollout:
    """Return `rollout` at the begin of its step: its weight was read back just now."""
    return replace(reset_step(rollout), settled=now)


def _transition(
    kind: str, before: Rollout, after: Rollout, weight: int | None, now: datetime
) -> Decision:
    entry = Record.of(kind, before, after, weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{before.id} is {after.phase}: {after.sentence}")
    return Decision(with_next_action(after), notices=(notice,), record=entry)


def _reason_suffix(why: str) -> str:
    return f": {why}" if why else ""
