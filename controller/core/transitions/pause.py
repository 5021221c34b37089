"""Pauses that wait for an operator, their daily reminder, and drift."""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Alert, Decision, Notice, Record, Severity
from controller.core.next_action import (
    hold_expired_text,
    pause_reminder_at,
    with_next_action,
)
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions.paused_raise import suspend_raise
from controller.core.transitions.rollback import roll_back
from controller.core.units import format_duration, with_full_stop

_TRAFFIC_NOTE = (
    "Traffic stays where it is and is not raised any more; a criterion that fails still rolls it "
    "back."
)


def _operator_options(rollout: Rollout) -> str:
    """Return what an operator can do about a pause of `rollout`, as text."""
    options = ""
    if rollout.reason is Reason.DRIFTED:
        options = " with --restore (down only) or --keep, unless the weight is put back"
    elif rollout.settled is None or (
        rollout.reason is Reason.RAISE_UNCERTAIN and rollout.seen_weight != rollout.weight
    ):  # until the raise is read back
        options = f" with --keep, to go on from {rollout.intent.previous} %"
    return (
        f"{_TRAFFIC_NOTE} To go on: rolloutctl resume {rollout.id}{options}; "
        f"to end it: rolloutctl rollback {rollout.id}"
    )


def pause_uncertain_raise(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Pause for an operator: the raise left no trace, and the target was changed meanwhile."""
    why = (
        f"the target still shows {rollout.intent.previous} % and was changed by another hand after "
        f"{rollout.weight} % was decided, so nobody can say whether that was written"
    )
    return _pause(rollout, Reason.RAISE_UNCERTAIN, why, target, Severity.WARNING, now)


def pause_unapplied_write(
    rollout: Rollout,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """Pause after a write that raised nothing and was not applied: there is no raise to undo."""
    return _pause(rollout, reason, why, target, Severity.WARNING, now)


def pause_inconclusive(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    """Pause a rollout whose hold ended without a verdict, as its policy says."""
    why = hold_expired_text(rollout, target)
    return _pause(rollout, Reason.INCONCLUSIVE, why, target, Severity.WARNING, now)


def handle_drift(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Pause after drift; roll back where the weight was raised and `on_drift_up` says so."""
    higher = target.may_exceed(rollout.weight)
    why = f"another hand moved the weight: {target.shown} where {rollout.weight} % was asked for"
    if higher and rollout.policy.on_drift_up == "rollback":
        rolling_back = roll_back(rollout, Reason.DRIFTED, why, target.weight, now)
        return replace(rolling_back, alert=Alert.DRIFT)
    severity = Severity.CRITICAL if higher or target.weight is None else Severity.WARNING
    paused = _pause(rollout, Reason.DRIFTED, why, target, severity, now)
    return replace(paused, alert=Alert.DRIFT)


def _pause(
    rollout: Rollout,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    severity: Severity,
    now: datetime,
) -> Decision:
    after = replace(
        suspend_raise(rollout, target, now),
        phase=Phase.PAUSED,
        reason=reason,
        sentence=why,
        since=now,
        blocked="a person",
    )
    weight = weight_of(target)
    notice = Notice(
        severity, f"{rollout.id} is paused: {with_full_stop(why)} {_operator_options(after)}"
    )
    entry = Record.of("paused", rollout, after, weight, now, keeps_series=True)
    return Decision(with_next_action(after), notices=(notice,), record=entry)


def remind_of_pause(rollout: Rollout, now: datetime) -> Decision | None:
    """Return the daily reminder of a pause; None when it is not due."""
    if now < pause_reminder_at(rollout):
        return None
    paused_for = format_duration(timedelta(hours=(now - rollout.since) // timedelta(hours=1)))
    why = with_full_stop(rollout.sentence)
    text = f"{rollout.id} has been paused for {paused_for}: {why} {_operator_options(rollout)}"
    after = with_next_action(replace(rollout, reminded=now))
    entry = Record.of("reminded", rollout, after, rollout.weight, now, keeps_series=True)
    return Decision(after, notices=(Notice(Severity.WARNING, text),), record=entry)


def report_final_drift(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Report drift of a final rollout once, and leave it alone; at 0 % its exposure is over."""
    exposed_to = rollout.exposed_to or (now if target.weight == 0 else None)
    if rollout.drift_told and exposed_to == rollout.exposed_to:
        return Decision(rollout)
    text = f"{rollout.id} ended at {rollout.weight} %,"
    return _report_drift(replace(rollout, exposed_to=exposed_to), text, target, now)


def report_reexposure(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Report that a succeeded rollout has traffic again after 0 %: its exposure continues."""
    text = f"{rollout.id} ended at {rollout.weight} % and was found at 0 % since"
    return _report_drift(replace(rollout, exposed_to=None), f"{text};", target, now)


def _report_drift(rollout: Rollout, text: str, target: TargetReading, now: datetime) -> Decision:
    text = f"{text} now the target shows {target.shown}; left alone"
    after = replace(rollout, drift_told=True)
    weight, reason = target.weight, Reason.DRIFTED
    entry = Record.of("drifted", rollout, after, weight, now, reason=reason, sentence=text)
    return Decision(
        after,
        notices=(Notice(Severity.WARNING, text),),
        record=entry,
        alert=Alert.DRIFT,
    )
