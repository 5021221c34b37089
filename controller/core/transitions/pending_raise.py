"""A raise that nobody has seen in force, and that meets a person or the drift of another hand."""

from dataclasses import replace
from datetime import datetime

from controller.core.decision import Decision, Notice, Severity
from controller.core.judged_intervals import reopen
from controller.core.next_action import transition_record, with_next_action
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.rollout import Rollout
from controller.core.transitions.advance import drop_previous_live


def suspend_raise(
    rollout: Rollout, target: TargetReading | UnreadableTarget, now: datetime
) -> Rollout:
    """Return `rollout` as a person gets it: a step whose weight is live, and judged, in the pause.

    A raise that nobody has seen in force may not be written, or may come yet. Until it is seen,
    what was live is judged on by the gate of its step, as in a freeze.
    """
    intent = rollout.intent
    raises = rollout.settled is None and 0 < intent.previous < intent.weight
    if raises and not (isinstance(target, TargetReading) and target.has_applied(intent.weight)):
        since = rollout.unfinished_since or intent.asked
        return replace(rollout, stretches=reopen(rollout, since))
    return replace(drop_previous_live(rollout), settled=rollout.settled or now)


def expected_weights(rollout: Rollout) -> tuple[int, ...]:
    """Return the weights of a paused `rollout` that are no drift.

    That is the one that was asked for, and the one before it while nobody has seen the raise.
    """
    return (
        (rollout.weight,)
        if rollout.previous_live is None
        else (rollout.weight, rollout.intent.previous)
    )


def confirm_applied_late(rollout: Rollout, now: datetime) -> Decision:
    """The weight of a raise that met a pause was seen in force: its step is judged from now on."""
    sentence = f"{rollout.sentence}; meanwhile {rollout.weight} % came into force"
    after = replace(drop_previous_live(rollout), settled=now, sentence=sentence, blocked="a person")
    entry = transition_record("settled", rollout, after, rollout.weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{rollout.id}: {sentence}")
    return Decision(with_next_action(after), None, (notice,), entry)
