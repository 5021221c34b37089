"""A raise that was asked for and is not in force yet: wait, write it again, or give it up.

The limit is the policy's `shift_timeout`, from the first look that saw it unfinished. What only
one late tick saw, or could not see, is no reason to take a healthy release back.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.decision import Decision, Notice, Severity, Shift
from controller.core.judged_intervals import reopen
from controller.core.next_action import transition_record, with_next_action
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.policy import Frozen
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions.advance import drop_previous_live, wait_for_target
from controller.core.transitions.pause import pause_unapplied_write, pause_uncertain_raise
from controller.core.transitions.rollback import end_at_zero, end_unraised, roll_back
from controller.core.units import format_duration


def give_up_failed_update(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """The update that was to bring the weight failed, or one that came after it."""
    why = f"the update to {rollout.weight} % failed: {target.detail or 'no reason given'}"
    return _give_up(rollout, Reason.SHIFT_FAILED, why, target, now)


def wait_for_readable_target(rollout: Rollout, target: UnreadableTarget, now: datetime) -> Decision:
    """Nobody can say whether the raise is in force. One that waits behind a freeze is not late."""
    if rollout.barrier == Reason.FROZEN and rollout.policy.freeze_at(now) is not None:
        return wait_for_target(rollout, Reason.TARGET_UNREADABLE, target.reason)
    if not _is_overdue(rollout, now):
        return wait_for_target(
            _with_first_look(rollout, now), Reason.TARGET_UNREADABLE, target.reason
        )
    why = f"{_not_applied_text(rollout)}, and the target cannot be read: {target.reason}"
    return _give_up(rollout, Reason.SHIFT_TIMED_OUT, why, target, now)


def wait_for_update(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """The update to the new weight, or another one, is in progress."""
    if not _is_overdue(rollout, now):
        why = target.detail or "the update is still in progress"
        return wait_for_target(_with_first_look(rollout, now), Reason.WAITING, why)
    why = f"{_not_applied_text(rollout)}: the update is still in progress"
    return _give_up(rollout, Reason.SHIFT_TIMED_OUT, why, target, now)


def retry_raise(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """Nobody changed the target since the raise was saved: the same raise, under the same token."""
    going_up = rollout.intent.previous < rollout.weight
    frozen = rollout.policy.freeze_at(now) if going_up else None
    if frozen is not None:
        return _freeze_raise(rollout, frozen, now)
    rollout = drop_previous_live(rollout)
    if not _is_overdue(rollout, now):
        return _write_again(_with_first_look(rollout, now), now)
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
    """Tell whether a freeze has begun since `move` was decided that is to raise the weight.

    Between the two lie measurements and hooks. What a person sets is that person's.
    """
    raises = rollout.intent.previous < move.weight == rollout.weight
    ours = raises and rollout.phase is Phase.PROGRESSING
    return ours and rollout.policy.freeze_at(max(now, rollout.updated)) is not None


def resolve_lost_raise(rollout: Rollout, target: TargetReading, now: datetime) -> Decision:
    """The raise left no trace, and another hand changed the target: where 0 % stands, that is all.

    Elsewhere a person must look.
    """
    if target.weight == 0:
        return end_unraised(rollout, target, now)
    return pause_uncertain_raise(rollout, target, now)


def _freeze_raise(rollout: Rollout, frozen: Frozen, now: datetime) -> Decision:
    """A raise that was decided before a freeze is written after it, and has all its time then.

    Until then the weight that is live is judged by the gate of its own step, whose literal windows
    begin anew.
    """
    live = rollout.intent.previous
    sentence = f"{rollout.weight} % was decided but not written; {frozen.text}"
    if live:
        sentence += f"; meanwhile the {live} % that are live are judged on"
    after = replace(
        rollout,
        reason=Reason.FROZEN,
        sentence=sentence,
        blocked=frozen.text,
        unfinished_since=None,
        barrier=str(Reason.FROZEN),
        stretches=reopen(rollout, rollout.unfinished_since or rollout.intent.asked),
    )
    after = with_next_action(after)
    if rollout.barrier == Reason.FROZEN and rollout.stretches == after.stretches:
        return Decision(after)
    entry = transition_record("held_up", rollout, after, live, now)
    return Decision(after, None, (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),), entry)


def _write_again(rollout: Rollout, now: datetime) -> Decision:
    move = Shift(rollout.weight, rollout.intent.token)
    failed = f" ({rollout.write_error})" if rollout.write_error else ""
    sentence = f"{move.weight} % was decided but not written{failed}; writing it again"
    after = replace(rollout, reason=Reason.WRITE_AGAIN, sentence=sentence, barrier="", blocked="")
    entry = transition_record("write_again", rollout, after, rollout.intent.previous, now)
    return Decision(with_next_action(after), move, record=entry)


def _give_up(
    rollout: Rollout,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """A raise is taken back. What raised nothing is not: a person must look."""
    if rollout.intent.previous == rollout.weight:
        return pause_unapplied_write(rollout, reason, why, target, now)
    weight = weight_of(target)
    return roll_back(rollout, reason, why, weight, now)


def _with_first_look(rollout: Rollout, now: datetime) -> Rollout:
    return replace(rollout, unfinished_since=rollout.unfinished_since or now)


def _is_overdue(rollout: Rollout, now: datetime) -> bool:
    limit: timedelta = rollout.policy.shift_timeout
    return rollout.unfinished_since is not None and now - rollout.unfinished_since > limit


def _not_applied_text(rollout: Rollout) -> str:
    limit = format_duration(rollout.policy.shift_timeout)
    return f"{rollout.weight} % was still not in force {limit} after the first look at it"
