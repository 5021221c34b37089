"""A raise that nobody has seen in force, and that meets a person or the drift of another hand."""

from dataclasses import replace
from datetime import datetime

from controller.core.decision import Decision, Notice, Severity
from controller.core.judged_intervals import went_on
from controller.core.next_action import outlook, record
from controller.core.observation import Reading, Unreadable
from controller.core.rollout import Rollout
from controller.core.transitions.advance import waited_no_more


def handed_over(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Rollout:
    """Return `rollout` as a person gets it: a step whose weight is live, and judged, in the pause.

    A raise that nobody has seen in force may not be written, or may come yet. Until it is seen,
    what was live is judged on by the gate of its step, as in a freeze.
    """
    intent = rollout.intent
    raises = rollout.settled is None and 0 < intent.previous < intent.weight
    if raises and not (isinstance(target, Reading) and target.stands_at(intent.weight)):
        since = rollout.unfinished_since or intent.asked
        return replace(rollout, stretches=went_on(rollout, since))
    return replace(waited_no_more(rollout), settled=rollout.settled or now)


def own(rollout: Rollout) -> tuple[int, ...]:
    """Return the weights of a paused `rollout` that are no drift.

    That is the one that was asked for, and the one before it while nobody has seen the raise.
    """
    return (rollout.weight,) if rollout.waits is None else (rollout.weight, rollout.intent.previous)


def came(rollout: Rollout, now: datetime) -> Decision:
    """The weight of a raise that met a pause was seen in force: its step is judged from now on."""
    sentence = f"{rollout.sentence}; meanwhile {rollout.weight} % came into force"
    after = replace(waited_no_more(rollout), settled=now, sentence=sentence, blocked="a person")
    entry = record("settled", rollout, after, rollout.weight, now, keeps_series=True)
    notice = Notice(Severity.INFO, f"{rollout.id}: {sentence}")
    return Decision(outlook(after), None, (notice,), entry)
