"""Texts of notices that are no transitions: blindness, silence, holds, summaries and pages."""

from datetime import timedelta

from controller.core.judge.silence import Loss, Silence
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.rollout import Rollout
from controller.core.units import (
    MINUTE_S,
    clock_text,
    count_text,
    duration_text,
    number_text,
    time_range_text,
    with_full_stop,
)
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import next_action
from controller.immutable import Immutable


class Blindness(Immutable):
    """What cannot be read, why, and the consequence for traffic."""

    what: str
    why: str
    consequence: str


def blind_text(rollout: Rollout, blindness: Blindness, blind_for: timedelta) -> str:
    """Return what could not be read, for how long, and what that means."""
    gap = duration_text(timedelta(minutes=blind_for // timedelta(minutes=1)))
    return (
        f"{rollout.id} could not read {blindness.what} for {gap} ({blindness.why}): "
        f"{blindness.consequence}. To roll back: rolloutctl rollback {rollout.id}"
    )


def silence_text(rollout: Rollout, silence: Silence) -> str:
    """Return that no request is counted any more at 100%, and how many were before."""
    minutes = (silence.end - silence.start) // MINUTE_S
    length = duration_text(timedelta(seconds=silence.before_s))
    span = time_range_text(silence.start, silence.end)
    return (
        f"{rollout.id} counted no request in its first {count_text(minutes, 'minute')} at 100% "
        f"({span}); {silence.metric} counted {number_text(silence.before)} in the {length} before. "
        "Nothing is rolled back for this: check whether requests are served, and whether the "
        f"metrics still count them. To roll back: rolloutctl rollback {rollout.id}"
    )


def loss_text(rollout: Rollout, loss: Loss) -> str:
    """Return that fewer requests are counted at 100% than are due."""
    minutes = (loss.end - loss.start) // MINUTE_S
    return (
        f"{rollout.id} lost requests at 100%: {loss.metric} counted {number_text(loss.counted)} "
        f"in {count_text(minutes, 'minute')} ({time_range_text(loss.start, loss.end)}); by the "
        f"hour before, {number_text(round(loss.expected))} were due. Nothing is rolled back for "
        "this: check whether all requests are served, and whether the metrics still count them. "
        f"To roll back: rolloutctl rollback {rollout.id}"
    )


def hold_text(rollout: Rollout) -> str:
    """Return why a rollout is on hold, and what it does next."""
    following = next_action(rollout).text
    next_ = f" Next: {following}." if following else ""
    return f"{rollout.id} is {with_full_stop(rollout.sentence)}{next_}"


def summary_text(rollout: Rollout, at_100_for: timedelta) -> str:
    """Return where a long bake at 100% stands, with every finding."""
    findings = " ".join(
        with_full_stop(sentence_of(finding)) for finding in rollout.evidence.findings
    )
    return (
        f"{rollout.id} has been at 100% for {duration_text(at_100_for)}: "
        f"{with_full_stop(rollout.sentence)} {findings}".rstrip()
    )


def repeated_page_text(rollout: Rollout, condition: Condition) -> str:
    """Return a critical condition again, until it is acknowledged."""
    return (
        f"{with_full_stop(condition.text)} Critical since {clock_text(condition.since)} and not "
        f"acknowledged: rolloutctl ack {rollout.id}"
    )


def acknowledged_text(page: ConditionKind, condition: Condition, note: str) -> str:
    """Return that an operator acknowledged a critical condition."""
    more = f": {note}" if note else ""
    return f"critical alert since {clock_text(condition.since)} acknowledged ({page}){more}"
