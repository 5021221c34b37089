"""A pending write in a pause: which weights are expected, and which step is judged."""

from datetime import datetime

from controller.core.decision import Decision, Notice, Record
from controller.core.message import Severity
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.rollout import Live, Paused, Pending, Position, Rollout
from controller.core.transitions.advance import close_step
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
    sentence = f"{state.sentence}; {pending.weight} % was applied during the pause"
    live = Live(pending.step, pending.weight, now)
    after = replace(
        close_step(rollout, now),
        state=replace(state, sentence=sentence, position=live),
    )
    entry = Record.of("applied", rollout, after, live.weight, now, keeps_series=True)
    return Decision(after, None, (Notice(Severity.INFO, f"{rollout.id}: {sentence}"),), entry)
