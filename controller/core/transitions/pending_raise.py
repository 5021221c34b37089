"""A pending raise, decided and not applied yet: wait for it, write it again, or give it up.

The limit is the policy's `shift_timeout`, counted from the first tick that saw the raise pending. A
single late tick, or one that could not read the target, does not roll back a healthy release.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Decision, Notice, Record, Severity, Shift
from controller.core.judged_intervals import reopen_interval
from controller.core.next_action import with_next_action
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions.advance import drop_previous_live, wait_for_target
from controller.core.transitions.block import missing_kinds_block
from controller.core.transitions.pause import pause_unapplied_write, pause_uncertain_raise
from controller.core.transitions.rollback import end_at_zero, end_unraised, roll_back
from controller.core.units import format_duration


def give_up_failed_update(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Give up a raise whose update of the target failed, or was followed by one that failed."""
    why = f"the update to {rollout.weight} % failed: {target.detail or 'no reason given'}"
    return _give_up(rollout, Reason.SHIFT_FAILED, why, target, now)


def wait_for_readable_target(rollout: Rollout, target: UnreadableTarget, now: datetime) -> Decision:
    """Wait for a target that cannot be read, so that it is unknown whether the raise is applied.

    A raise that a freeze delays is not overdue.
    """
    if rollout.barrier == Reason.FROZEN and rollout.policy.freeze_at(now) is not None:
        return wait_for_target(rollout, Reason.TARGET_UNREADABLE, target.reason)
    if not _is_overdue(rollout, now):
        return wait_for_target(
            _with_unfinished_since(rollout, now), Reason.TARGET_UNREADABLE, target.reason
        )
    why = f"{_not_applied_text(rollout)}, and the target cannot be read: {target.reason}"
    return _give_up(rollout, Reason.SHIFT_TIMED_OUT, why, target, now)


def wait_for_update(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Wait while the update to the new weight, or another update, is in progress."""
    if not _is_overdue(rollout, now):
        why = target.detail or "the update is still in progress"
        return wait_for_target(_with_unfinished_since(rollout, now), Reason.WAITING, why)
    why = f"{_not_applied_text(rollout)}: the update is still in progress"
    return _give_up(rollout, Reason.SHIFT_TIMED_OUT, why, target, now)


def retry_raise(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Write the same raise again under the same token: the target did not change since its save.

    A freeze delays it, and past `shift_timeout` it is given up. The weight of an observed target is
    waited for without a limit.
    """
    is_raise = rollout.intent.previous < rollout.weight
    frozen = rollout.policy.freeze_at(now) if is_raise else None
    if frozen is not None:
        return _delay_raise(rollout, Reason.FROZEN, "but not written", frozen.text, now)
    if is_raise and rollout.policy.missing_kinds:
        block = missing_kinds_block(rollout.policy)
        return _delay_raise(rollout, block.reason, "but not written", block.text, now)
    if rollout.policy.target.observed:
        mover = f"something else moves {rollout.policy.target.name}"
        return _delay_raise(rollout, Reason.WAITING, "and is waited for", mover, now)
    rollout = drop_previous_live(rollout)
    if not _is_overdue(rollout, now):
        return _write_again(_with_unfinished_since(rollout, now), now)
    why = (
        f"{_not_applied_text(rollout)}: the target is unchanged at {rollout.intent.previous} %, so "
        "every write was refused or never arrived"
    )
    if rollout.write_error:
        why += f"; the last write failed: {rollout.write_error}"
    if target.has_applied(0):
        why += "; no traffic was ever moved"
        return end_at_zero(rollout, target, Reason.SHIFT_TIMED_OUT, why, now)
    return roll_back(rollout, Reason.SHIFT_TIMED_OUT, why, target.weight, now)


def is_raise_frozen(rollout: Rollout, move: Shift, now: datetime) -> bool:
    """Tell whether `move` is a raise, and a freeze has begun since it was decided.

    Measurements and hook calls take time between the decision and the write. A weight that an
    operator sets is not held back.
    """
    is_raise = rollout.intent.previous < move.weight == rollout.weight
    is_advance = is_raise and rollout.phase is Phase.PROGRESSING
    return is_advance and rollout.policy.freeze_at(max(now, rollout.updated)) is not None


def resolve_lost_raise(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Resolve a raise that left no trace on a target that was changed outside rolloutctl.

    At 0 % the rollout ends. At any other weight it pauses for an operator.
    """
    if target.weight == 0:
        return end_unraised(rollout, target, now)
    return pause_uncertain_raise(rollout, target, now)


def _delay_raise(
    rollout: Rollout, reason: Reason, state: str, blocked: str, now: datetime
) -> Decision:
    """Delay a raise that was decided; its whole time limit starts after the delay.

    Until then the live weight is judged by the gate of its own step. The windows that the threshold
    judge compares begin anew. state: of the raise, behind "10 % was decided". blocked: by what.
    """
    live = rollout.intent.previous
    sentence = f"{rollout.weight} % was decided {state}; {blocked}"
    if live:
        sentence += f"; meanwhile the {live} % that are live are judged on"
    after = replace(
        rollout,
        reason=reason,
        sentence=sentence,
        blocked=blocked,
        unfinished_since=None,
        barrier=str(reason),
        stretches=reopen_interval(rollout, rollout.unfinished_since or rollout.intent.asked),
    )
    after = with_next_action(after)
    if rollout.barrier == reason and rollout.stretches == after.stretches:
        return Decision(after)
    entry = Record.of("held_up", rollout, after, live, now)
    return Decision(after, None, (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),), entry)


def _write_again(rollout: Rollout, now: datetime) -> Decision:
    move = Shift(rollout.weight, rollout.intent.token)
    error = f" ({rollout.write_error})" if rollout.write_error else ""
    sentence = f"{move.weight} % was decided but not written{error}; writing it again"
    after = replace(rollout, reason=Reason.WRITE_AGAIN, sentence=sentence, barrier="", blocked="")
    entry = Record.of("write_again", rollout, after, rollout.intent.previous, now)
    return Decision(with_next_action(after), move, record=entry)


def _give_up(
    rollout: Rollout,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """Roll back a raise; a write that raised nothing pauses for an operator instead."""
    if rollout.intent.previous == rollout.weight:
        return pause_unapplied_write(rollout, reason, why, target, now)
    weight = weight_of(target)
    return roll_back(rollout, reason, why, weight, now)


def _with_unfinished_since(rollout: Rollout, now: datetime) -> Rollout:
    return replace(rollout, unfinished_since=rollout.unfinished_since or now)


def _is_overdue(rollout: Rollout, now: datetime) -> bool:
    limit: timedelta = rollout.policy.shift_timeout
    if rollout.policy.target.observed:
        return False
    return rollout.unfinished_since is not None and now - rollout.unfinished_since > limit


def _not_applied_text(rollout: Rollout) -> str:
    limit = format_duration(rollout.policy.shift_timeout)
    return f"{rollout.weight} % was still not in force {limit} after the first look at it"
