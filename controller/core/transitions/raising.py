"""A raise that was asked for and is not in force yet: wait, write it again, or give it up.

The limit is the policy's `shift_timeout`, from the first look that saw it unfinished. What only
one late tick saw, or could not see, is no reason to take a healthy release back.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.effects import Decision, Shift
from controller.core.observation import Reading, Unreadable
from controller.core.rollout import Reason, Rollout
from controller.core.transitions.back import ended_at_zero, rolling_back
from controller.core.transitions.climb import waiting
from controller.core.transitions.outlook import outlook, record
from controller.core.units import format_duration


def unseen(rollout: Rollout, target: Unreadable, now: datetime) -> Decision:
    """Nobody can say whether the raise is in force."""
    if not _overdue(rollout, now):
        return waiting(_looked(rollout, now), Reason.TARGET_UNREADABLE, target.reason)
    why = f"{_not_in_force(rollout)}, and the target cannot be read: {target.reason}"
    return rolling_back(rollout, Reason.SHIFT_TIMED_OUT, why, None, now)


def moving(rollout: Rollout, target: Reading, now: datetime) -> Decision:
    """The update to the new weight, or another one, is in progress."""
    if not _overdue(rollout, now):
        why = target.detail or "the update is still in progress"
        return waiting(_looked(rollout, now), Reason.WAITING, why)
    why = f"{_not_in_force(rollout)}: the update is still in progress"
    return rolling_back(rollout, Reason.SHIFT_TIMED_OUT, why, target.weight, now)


def unwritten(rollout: Rollout, target: Reading, now: datetime) -> Decision:
    """Nobody changed the target since the raise was saved: the same raise, under the same token."""
    if not _overdue(rollout, now):
        return _write_again(_looked(rollout, now), now)
    why = (
        f"{_not_in_force(rollout)}: the target is unchanged at {rollout.intent.previous} %, so "
        "every write was refused or never arrived"
    )
    if target.stands_at(0):
        why += "; no traffic was ever moved"
        return ended_at_zero(rollout, target, Reason.SHIFT_TIMED_OUT, why, now)
    return rolling_back(rollout, Reason.SHIFT_TIMED_OUT, why, target.weight, now)


def _write_again(rollout: Rollout, now: datetime) -> Decision:
    move = Shift(rollout.weight, rollout.intent.token)
    sentence = f"{move.weight} % was decided but not written; writing it again"
    after = replace(rollout, reason=Reason.WRITE_AGAIN, sentence=sentence)
    entry = record("write_again", rollout, after, rollout.intent.previous, now)
    return Decision(outlook(after), move, record=entry)


def _looked(rollout: Rollout, now: datetime) -> Rollout:
    return replace(rollout, unfinished_since=rollout.unfinished_since or now)


def _overdue(rollout: Rollout, now: datetime) -> bool:
    limit: timedelta = rollout.policy.shift_timeout
    return rollout.unfinished_since is not None and now - rollout.unfinished_since > limit


def _not_in_force(rollout: Rollout) -> str:
    limit = format_duration(rollout.policy.shift_timeout)
    return f"{rollout.weight} % was still not in force {limit} after the first look at it"
