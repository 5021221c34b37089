"""Pauses that wait for an operator, their daily reminder, and drift while a rollout goes on.

A write may be pending in a pause. A record that was changed outside rolloutctl goes back to what
its history says, and pauses.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.decision import Alert, Decision, Notice, Record
from controller.core.message import Severity
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.observation import Observation, TargetReading, UnreadableTarget, weight_of
from controller.core.repeated_state import without_evidence
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
from controller.core.transitions.advance import close_step
from controller.core.transitions.rollback import roll_back
from controller.core.units import format_duration, with_full_stop
from controller.core.words.next_action import (
    hold_expired_text,
    pause_reminder_at,
    ways_out_of_drift,
)
from controller.immutable import replace


def position_in_pause(position: Position, target: TargetReading | UnreadableTarget) -> Position:
    """Return `position` in a pause, in which nothing is written, as a tick or a command reads it.

    A pending write may never have been tried, or may still be applied. Until it is read back, the
    live step is judged by its own gate.
    """
    if not isinstance(position, Pending) or isinstance(target, UnreadableTarget):
        return position
    return replace(position, tried=None) if target.has_applied(position.previous) else position


def position_after_drift(
    position: Position, target: TargetReading | UnreadableTarget, now: datetime
) -> Position:
    """Return `position` in a pause for a weight that was set outside rolloutctl, or by an operator.

    Traffic is on the canary, and the token of a pending raise fits the target no more: the live
    step is judged on, as after any drift. Where no step is live yet, or the raise was applied
    before, its own step is judged from now on.
    """
    if isinstance(position, Live):
        return position
    is_applied = isinstance(target, TargetReading) and target.has_applied(position.weight)
    if position.live is None or is_applied:
        return Live(position.step, position.weight, now)
    return replace(position, tried=None)


def expected_weights(position: Position) -> tuple[int, ...]:
    """Return the weights that are not drift in a pause.

    That is the intended weight and, while its raise is pending, the weight of the live step.
    """
    if isinstance(position, Pending) and position.is_raise and position.live is not None:
        return (position.weight, position.live.weight)
    return (position.weight,)


def confirm_applied_late(
    rollout: Rollout, state: Paused, pending: Pending, now: datetime
) -> Decision:
    """Confirm a write that was applied during a pause: its step is judged from now on."""
    sentence = f"{state.sentence}; {pending.weight}% was applied during the pause"
    live = Live(pending.step, pending.weight, now)
    after = replace(
        close_step(rollout, now),
        state=replace(state, sentence=sentence, position=live),
    )
    entry = Record.of("applied", rollout, after, live.weight, now, keeps_series=True)
    return Decision(after, None, (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),), entry)


_TRAFFIC_NOTE = "The weight is not raised while paused; a criterion that fails still rolls back."


def operator_options(rollout: Rollout, live: int | None, *, may_exceed: bool) -> str:
    """Return what an operator can do about a pause of `rollout`, as `ways_out_of_drift` does."""
    pending = rollout.pending
    if rollout.reason is Reason.DRIFTED:
        ways = "; ".join(ways_out_of_drift(rollout, live, may_exceed=may_exceed))
        return f"{_TRAFFIC_NOTE} {ways[0].upper()}{ways[1:]}"
    command = f"To continue: rolloutctl resume {rollout.id}"
    if pending is not None and pending.is_raise and pending.live:  # until it is read back
        command = f"To continue at {pending.previous}%: rolloutctl resume {rollout.id} --keep"
    return f"{_TRAFFIC_NOTE} {command}; to roll back: rolloutctl rollback {rollout.id}"


def pause_inconclusive(
    rollout: Rollout, state: Exposed, target: TargetReading | UnreadableTarget, now: datetime
) -> Decision:
    """Pause a rollout whose hold ended without a verdict, as its policy says."""
    why = hold_expired_text(rollout, target)
    return pause_rollout(rollout, state, Reason.INCONCLUSIVE, why, target, now)


def handle_drift(
    rollout: Rollout, state: Exposed, target: TargetReading, now: datetime
) -> Decision:
    """Pause after drift; roll back where the weight was raised and `on_drift_up` says so."""
    higher = target.may_exceed(rollout.weight)
    why = (
        f"drift: the weight was changed outside rolloutctl ({target.variables}, "
        f"expected {rollout.weight}%)"
    )
    if higher and rollout.policy.on_drift_up == "rollback":
        rolling_back = roll_back(rollout, Reason.DRIFTED, why, target.weight, now)
        return replace(rolling_back, alert=Alert.DRIFT)
    severity = Severity.CRITICAL if higher or target.weight is None else Severity.WARNING
    paused = pause_rollout(rollout, state, Reason.DRIFTED, why, target, now, severity)
    return replace(paused, alert=Alert.DRIFT)


def pause_rollout(
    rollout: Rollout,
    state: Exposed,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    now: datetime,
    severity: Severity = Severity.WARNING,
) -> Decision:
    """Pause for an operator, with what can be done about it."""
    if reason is Reason.DRIFTED:
        position = position_after_drift(state.position, target, now)
    else:
        position = position_in_pause(state.position, target)
    paused = Paused(since=now, reason=reason, sentence=why, position=position)
    after = replace(rollout, state=paused)
    options = operator_options(
        after,
        weight_of(target),
        may_exceed=isinstance(target, TargetReading) and target.may_exceed(after.weight),
    )
    text = f"{rollout.id} is paused: {with_full_stop(why)} {options}"
    after = enter_pause(after, text, now, critical=severity is Severity.CRITICAL)
    notice = Notice(severity, text)
    entry = Record.of("paused", rollout, after, weight_of(target), now, keeps_series=True)
    return Decision(after, notices=(notice,), record=entry)


def enter_pause(rollout: Rollout, text: str, now: datetime, *, critical: bool = False) -> Rollout:
    """Return `rollout`, whose state is a pause since `now`, with the condition of that pause."""
    condition = Condition(now, text, announced=now, critical=critical)
    return replace(rollout, conditions={ConditionKind.PAUSED: condition})


def remind_of_pause(rollout: Rollout, now: datetime) -> Decision | None:
    """Return the daily reminder of a pause; None when it is not due."""
    condition = rollout.conditions.get(ConditionKind.PAUSED)
    if condition is None or now < pause_reminder_at(rollout):
        return None
    paused_for = format_duration(timedelta(hours=(now - rollout.since) // timedelta(hours=1)))
    why, live = with_full_stop(rollout.sentence), rollout.seen_weight
    options = operator_options(rollout, live, may_exceed=(live or 0) > rollout.weight)
    text = f"{rollout.id} has been paused for {paused_for}: {why} {options}"
    after = rollout.with_condition(ConditionKind.PAUSED, replace(condition, announced=now))
    entry = Record.of("reminded", rollout, after, rollout.weight, now, keeps_series=True)
    return Decision(after, notices=(Notice(Severity.WARNING, text),), record=entry)


RESTORED: Final = "restored"


def restore_record(
    rollout: Rollout, changed: Sequence[str], observation: Observation, now: datetime
) -> Decision:
    """Return `rollout`, which has the state of its history again, with an entry that says so.

    While traffic may be on the canary it pauses: its gate is judged on, and an operator looks.
    changed: the fields that were changed; changed evidence is read from its source again.
    """
    target = observation.target
    why = f"its record was changed outside rolloutctl ({', '.join(changed)})"
    evidence = without_evidence(rollout.evidence, changed)
    after = replace(rollout, updated=now, evidence=evidence, seen_weight=None)
    text = f"{rollout.id}: {why}, and has the state of its history again"
    if isinstance(rollout.state, Progressing | Paused):
        position = position_in_pause(rollout.state.position, target)
        paused = Paused(since=now, reason=Reason.RECORD_CHANGED, sentence=why, position=position)
        after = replace(after, state=paused)
        options = operator_options(after, weight_of(target), may_exceed=False)
        text = f"{rollout.id} is paused: {why}. Find out who wrote to the store. {options}"
        after = enter_pause(after, text, now, critical=True)
    entry = Record.of(
        RESTORED, rollout, after, weight_of(target), now, reason=Reason.RECORD_CHANGED, sentence=why
    )
    entry = replace(entry, cause={"verb": RESTORED, "changed": list(changed)})
    return Decision(after, notices=(Notice(Severity.CRITICAL, text),), record=entry)
