"""A pending raise, decided and not applied yet: wait for it, write it again, or give it up.

The limit is the policy's `shift_timeout`, counted from the first tick that saw the raise pending. A
single late tick, or one that could not read the target, does not roll back a healthy release. The
live step is judged meanwhile, by its own gate.
"""

from datetime import datetime, timedelta

from controller.core.decision import Decision, Notice, Record, SetWeight
from controller.core.message import Severity
from controller.core.observation import TargetReading, UnreadableTarget, weight_of
from controller.core.rollout import Pending, Phase, Progressing, Reason, Rollout
from controller.core.transitions.advance import with_activity, with_block_announced
from controller.core.transitions.blocks import missing_kinds_block
from controller.core.transitions.pause import pause_rollout
from controller.core.transitions.rollback import end_at_zero, end_unraised, roll_back
from controller.core.units import format_duration
from controller.immutable import replace

# After a write was accepted, a reading may return the settings before it for as long as this.
_READ_BACK_DELAY = timedelta(seconds=30)


def give_up_failed_update(
    rollout: Rollout, state: Progressing, pending: Pending, target: TargetReading, now: datetime
) -> Decision:
    """Give up a raise whose update of the target failed, or was followed by one that failed."""
    why = f"the update to {pending.weight}% failed: {target.detail or 'no reason given'}"
    return _give_up(rollout, state, pending, Reason.SHIFT_FAILED, why, target, now)


def wait_for_readable_target(
    rollout: Rollout, state: Progressing, pending: Pending, target: UnreadableTarget, now: datetime
) -> Decision:
    """Wait for a target that cannot be read, so that it is unknown whether the raise is applied.

    A raise that a freeze delays is not overdue.
    """
    frozen = state.block is Reason.FROZEN and rollout.policy.freeze_at(now) is not None
    if not frozen:
        if _is_overdue(rollout, pending, now):
            why = f"{_not_applied_text(rollout)}, and the target cannot be read: {target.reason}"
            return _give_up(rollout, state, pending, Reason.SHIFT_TIMED_OUT, why, target, now)
        pending = _with_first_look(pending, now)
    return _wait(rollout, state, pending, Reason.TARGET_UNREADABLE, target.reason, state.block)


def wait_for_update(
    rollout: Rollout, state: Progressing, pending: Pending, target: TargetReading, now: datetime
) -> Decision:
    """Wait while the update to the new weight, or another update, is in progress."""
    if not _is_overdue(rollout, pending, now):
        why = target.detail or "the update is still in progress"
        return _wait(rollout, state, _with_first_look(pending, now), Reason.WAITING, why, None)
    why = f"{_not_applied_text(rollout)}: the update is still in progress"
    return _give_up(rollout, state, pending, Reason.SHIFT_TIMED_OUT, why, target, now)


def with_write_accepted(rollout: Rollout, now: datetime) -> Rollout:
    """Return `rollout` after the target accepted its pending write.

    The token of some targets is a digest of their settings, and is the old one again when a
    deployment puts them back. Such a write is not repeated.
    """
    state, pending = rollout.state, rollout.pending
    if pending is None or not isinstance(state, Progressing):
        return rollout
    return replace(rollout, state=replace(state, position=replace(pending, accepted=now)))


def may_be_stale(rollout: Rollout, pending: Pending, target: TargetReading, now: datetime) -> bool:
    """Tell whether `target` may have been read as it was before a write that it accepted."""
    if pending.accepted is None or _is_overdue(rollout, pending, now):
        return False
    return now - pending.accepted < _READ_BACK_DELAY and target.token == pending.token


def wait_for_read_back(
    rollout: Rollout, state: Progressing, pending: Pending, now: datetime
) -> Decision:
    """Wait for a write that was accepted, and that a reading does not show yet."""
    why = f"the write was accepted, and {pending.previous}% was read after it"
    return _wait(rollout, state, _with_first_look(pending, now), Reason.WAITING, why, None)


def retry_raise(
    rollout: Rollout, state: Progressing, pending: Pending, target: TargetReading, now: datetime
) -> Decision:
    """Write the same raise again under the same token: the target did not change since its save.

    A freeze delays it, and past `shift_timeout` it is given up. The weight of an observed target is
    waited for without a limit.
    """
    policy = rollout.policy
    frozen = policy.freeze_at(now) if pending.is_raise else None
    if frozen is not None:
        return _delay(rollout, state, pending, Reason.FROZEN, "but not written", frozen.text, now)
    if pending.is_raise and policy.missing_kinds:
        block = missing_kinds_block(policy)
        return _delay(rollout, state, pending, block.reason, "but not written", block.text, now)
    if policy.target.observed:
        mover = f"{policy.target.name} is moved outside rolloutctl"
        return _delay(
            rollout, state, pending, Reason.WAITING, "and is expected from outside", mover, now
        )
    if not _is_overdue(rollout, pending, now):
        return _write_again(rollout, state, _with_first_look(pending, now), now)
    why = (
        f"{_not_applied_text(rollout)}: the target is unchanged at {pending.previous}%, so "
        "every write was refused or lost"
    )
    if rollout.write_error:
        why += f"; the last write failed: {rollout.write_error}"
    if target.has_applied(0):
        why += "; no traffic was moved"
        return end_at_zero(rollout, target, Reason.SHIFT_TIMED_OUT, why, now)
    return roll_back(rollout, Reason.SHIFT_TIMED_OUT, why, target.weight, now)


def is_raise_frozen(rollout: Rollout, move: SetWeight, now: datetime) -> bool:
    """Tell whether `move` is a raise, and a freeze has begun since it was decided.

    Measurements and hook calls take time between the decision and the write. A weight that an
    operator sets is not held back.
    """
    pending = rollout.pending
    if pending is None or not pending.is_raise or rollout.phase is not Phase.PROGRESSING:
        return False
    is_advance = move.weight == pending.weight
    return is_advance and rollout.policy.freeze_at(max(now, rollout.updated)) is not None


def resolve_lost_raise(
    rollout: Rollout, state: Progressing, target: TargetReading, now: datetime
) -> Decision:
    """Resolve a raise that left no trace on a target that was changed outside rolloutctl.

    At 0% the rollout ends. At any other weight it pauses for an operator.
    """
    if target.weight == 0:
        return end_unraised(rollout, target, now)
    if rollout.pending is not None and rollout.pending.accepted is not None:
        why = (
            f"{rollout.weight}% was written, and the weight was put back to {target.weight}% "
            "outside rolloutctl before it was read"
        )
    else:
        why = (
            f"the target still shows {target.weight}% and was changed outside rolloutctl after "
            f"{rollout.weight}% was decided: whether {rollout.weight}% was written is unknown"
        )
    return pause_rollout(rollout, state, Reason.RAISE_UNCERTAIN, why, target, now)


def _wait(
    rollout: Rollout,
    state: Progressing,
    pending: Pending,
    reason: Reason,
    why: str,
    block: Reason | None,
) -> Decision:
    """Wait for the target without a move; `why` says what for."""
    sentence = f"waiting until {pending.weight}% is applied: {why}"
    state = replace(state, position=pending)
    return Decision(with_activity(rollout, state, reason, sentence, block, why))


def _delay(
    rollout: Rollout,
    state: Progressing,
    pending: Pending,
    reason: Reason,
    note: str,
    blocked: str,
    now: datetime,
) -> Decision:
    """Delay a raise that was decided; its whole time limit starts after the delay.

    note: of the raise, behind "10% was decided". blocked: by what.
    """
    live = pending.previous
    sentence = f"{pending.weight}% was decided {note}; {blocked}"
    if live:
        sentence += f"; the live {live}% are still judged"
    delayed = replace(state, position=replace(pending, first_look=None, tried=None))
    after = with_activity(rollout, delayed, reason, sentence, reason, blocked)
    if state.block is reason:
        return Decision(after)
    after = with_block_announced(after, now)
    entry = Record.of("blocked", rollout, after, live, now, findings=())
    return Decision(after, None, (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),), entry)


def _write_again(rollout: Rollout, state: Progressing, pending: Pending, now: datetime) -> Decision:
    error = f" ({rollout.write_error})" if rollout.write_error else ""
    sentence = f"{pending.weight}% was decided but not written{error}; writing it again"
    state = replace(state, position=replace(pending, tried=now))
    after = with_activity(rollout, state, Reason.WRITE_RETRIED, sentence)
    entry = Record.of("write_retried", rollout, after, pending.previous, now, findings=())
    return Decision(after, SetWeight(pending.weight, pending.token), record=entry)


def _give_up(
    rollout: Rollout,
    state: Progressing,
    pending: Pending,
    reason: Reason,
    why: str,
    target: TargetReading | UnreadableTarget,
    now: datetime,
) -> Decision:
    """Roll back a raise; a write that raised nothing pauses for an operator instead."""
    if pending.previous == pending.weight:
        return pause_rollout(rollout, state, reason, why, target, now)
    return roll_back(rollout, reason, why, weight_of(target), now)


def _with_first_look(pending: Pending, now: datetime) -> Pending:
    return replace(pending, first_look=pending.first_look or now)


def _is_overdue(rollout: Rollout, pending: Pending, now: datetime) -> bool:
    if rollout.policy.target.observed or pending.first_look is None:
        return False
    return now - pending.first_look > rollout.policy.shift_timeout


def _not_applied_text(rollout: Rollout) -> str:
    limit = format_duration(rollout.policy.shift_timeout)
    return f"{rollout.weight}% was not applied within {limit} of the first check"
