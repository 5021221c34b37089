"""A pending raise in a pause: which weights are expected, and which step is judged."""

from dataclasses import replace
from datetime import datetime

from controller.core.decision import Decision, Notice, Record, Severity
from controller.core.judged_intervals import reopen_interval
from controller.core.next_action import with_next_action
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.rollout import Rollout
from controller.core.transitions.advance import drop_previous_live


def suspend_raise(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Rollout:
    """Return `rollout` as it enters a pause, so that the step whose weight is live is judged.

    A pending raise may never have been written, or may still be applied. Until it is read back, the
    previous weight is judged by the gate of its step, as in a freeze.
    """
    intent = rollout.intent
    is_pending = rollout.settled is None and 0 < intent.previous < intent.weight
    if is_pending and not (isinstance(target, TargetReading) and target.has_applied(intent.weight)):
        since = rollout.unfinished_since or intent.asked
        return replace(rollout, stretches=reopen_interval(rollout, since))
    return replace(drop_previous_live(rollout), settled=rollout.settled or now)


def expected_weights(rollout: Rollout) -> tuple[int, ...]:
    """Return the weights of a paused `rollout` that are not drift.

    That is the intended weight and, while its raise is pending, the weight before it.
    """
    return (
        (rollout.weight,)
        if rollout.previous_live is None
        else (rollout.weight, rollout.intent.previous)
    )


def confirm_applied_late(rollout: Rollout, now: datetime) -> Decision:
    """Confirm a raise that was applied during a pause: its step is judged from now on."""
    sentence = f"{rollout.sentence}; meanwhile {rollout.weight} % came into force"
    after = replace(drop_previous_live(rollout), settled=now, sentence=sentence, blocked="a person")
    entry = Record.of("settled", rollout, after, rollout.weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{rollout.id}: {sentence}")
    return Decision(with_next_action(after), None, (notice,), entry)
