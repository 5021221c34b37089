"""Texts about a rollout beside the sentence of its state.

Notices that are no transitions (blindness, silence, holds, summaries and pages), a start as a fix,
what came after the end of a rollout, and a record that was saved in the future.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.evidence import FixStart
from controller.core.judge.judgement import Blindness
from controller.core.judge.silence import Loss, Silence
from controller.core.notice_rules import Condition, ConditionKind
from controller.core.observation import TargetReading
from controller.core.rollout import Rollout, StableUse
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

# A CodeSha256 has 44 characters; the first 12 tell revisions apart.
REVISION_PREFIX_LENGTH = 12
# AWS refuses signed requests whose time is further off, so no run with such a clock moves traffic.
MAX_CLOCK_SKEW: Final = timedelta(minutes=15)

# --- Notices that are no transitions --------------------------------------------------------------


def blind_text(rollout: Rollout, blindness: Blindness, blind_for: timedelta) -> str:
    """Return what could not be read, for how long, and what that means."""
    gap = duration_text(timedelta(minutes=blind_for // timedelta(minutes=1)))
    if blindness.sources:
        what = f"any {' or '.join(blindness.sources)}"
        consequence = "the weight stays as it is, and a failing canary would not be noticed"
    else:
        what = "its target"
        consequence = "the weight is not raised meanwhile; a criterion that fails still rolls back"
    return (
        f"{rollout.id} could not read {what} for {gap} ({blindness.why}): "
        f"{consequence}. To roll back: rolloutctl rollback {rollout.id}"
    )


def silence_text(rollout: Rollout, silence: Silence) -> str:
    """Return that no request is counted any more at 100%, and how many were before."""
    minutes = (silence.end - silence.start) // MINUTE_S
    length = duration_text(timedelta(seconds=silence.before_s))
    span = time_range_text(silence.start, silence.end)
    return (
        f"{rollout.id} counted no request in its first {count_text(minutes, 'minute')} at 100% "
        f"({span}); {silence.metric} counted {number_text(silence.before)} in the {length} before. "
        f"{_to_check(rollout, 'requests')}"
    )


def loss_text(rollout: Rollout, loss: Loss) -> str:
    """Return that fewer requests are counted at 100% than are due."""
    minutes = (loss.end - loss.start) // MINUTE_S
    return (
        f"{rollout.id} lost requests at 100%: {loss.metric} counted {number_text(loss.counted)} "
        f"in {count_text(minutes, 'minute')} ({time_range_text(loss.start, loss.end)}); by the "
        f"hour before, {number_text(round(loss.expected))} were due. "
        f"{_to_check(rollout, 'all requests')}"
    )


def _to_check(rollout: Rollout, served: str) -> str:
    """Return what an operator can do about requests that are missing at 100%."""
    return (
        f"Nothing is rolled back for this: check whether {served} are served, and whether the "
        f"metrics still count them. To roll back: rolloutctl rollback {rollout.id}"
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


# --- A rollout that was started as a fix ---------------------------------------------------------


def fix_text(fix: FixStart) -> str:
    """Return that the rollout is a fix, and what does not gate until it has been green once."""
    waiting = list(fix.not_green)
    if not fix.red:
        return "started as a fix: nothing is red, so every criterion gates"
    if not waiting:
        return "started as a fix: everything that was red has been green, and gates"
    one = len(waiting) == 1
    verbs = "does not gate until it has" if one else "do not gate until they have"
    return f"started as a fix: {names_text(waiting)} {verbs} been green once"


def with_fix(rollout: Rollout, text: str) -> str:
    """Return `text` about a rollout; the first line of one that is a fix ends with `fix_text`."""
    fix = rollout.evidence.fix
    if fix is None or (note := fix_text(fix)) in text:
        return text
    first, newline, rest = text.partition("\n")
    return f"{first.rstrip('.')}; {note}{newline}{rest}"


def green_text(names: Iterable[str]) -> str:
    """Return that criteria that failed before the start are green now."""
    green = list(names)
    is_or_are, gates = ("is", "gates") if len(green) == 1 else ("are", "gate")
    names_now = names_text(green)
    return f"{names_now} {is_or_are} green for the first time since the start, and {gates} now"


def names_text(names: Iterable[str]) -> str:
    """Return names as a list in a sentence: `A, B and C`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


# --- After the end of a rollout, and a wrong clock ------------------------------------------------


def changed_text(rollout: Rollout, target: TargetReading) -> str:
    """Return how the function changed since `rollout` ended; empty where it did not.

    Empty for another kind of target: what it serves shows in its weight.
    """
    known = rollout.token_at_end
    if not known or target.token == known:
        return ""
    noun = rollout.policy.target.resource_word
    ended = f"{rollout.id} ended ({clock_text(rollout.since)})"
    settings = "its settings were changed (it has another RevisionId)"
    change = _codes_text(rollout, target) or settings
    return f"the {noun} was changed without a rollout since {ended}: {change}"


def deployed_text(rollout: Rollout, target: TargetReading) -> str:
    """Return that other code was deployed to the function during `rollout`; empty: it was not."""
    if not (codes := _codes_text(rollout, target)):
        return ""
    return (
        f"{rollout.id}: the {rollout.policy.target.resource_word} was deployed during the rollout: "
        f"{codes}. What was measured of the old code counts for the new "
        f"one. To judge the new code alone: rolloutctl rollback {rollout.id}, then start again"
    )


def _codes_text(rollout: Rollout, target: TargetReading) -> str:
    """Return which code was rolled out, and which there is; empty where it is the same."""
    if not rollout.is_other_code(target.code):
        return ""
    now, before = (one[:REVISION_PREFIX_LENGTH] for one in (target.code, rollout.own_code))
    return f"its code is {now}, and {rollout.id} rolled out {before}"


def stable_path_text(rollout: Rollout, use: StableUse) -> str:
    """Return since when the stable path has had no request, and which metric says it."""
    metrics = " and ".join(rollout.policy.stable_requests)
    read = f"{metrics}, read up to {clock_text(use.through)}"
    applied = rollout.live.since if rollout.live else rollout.since
    if use.through <= applied:
        return f"its use is not known: {metrics} had no complete answer at {clock_text(use.read)}"
    if use.used is not None and use.used >= use.through:
        return f"in use in the newest hour ({read})"
    return f"unused since {clock_text(max(applied, use.used or applied))} ({read})"


def future_save(rollout: Rollout, now: datetime) -> str:
    """Return that `rollout` was last saved in the future, and what to do; empty where it was not.

    `decide` lets no time go back, so the time of that rollout stands still until then. A clock that
    is less than MAX_CLOCK_SKEW ahead is no problem.
    """
    if rollout.updated - now <= MAX_CLOCK_SKEW:
        return ""
    return (
        f"{rollout.id} was last saved at {clock_text(rollout.updated)}, which is in the future: "
        "its time stands still until then, and no tick raises it; check the clock of the host that "
        "saved it; roll it back and start again, or restore its record from a backup"
    )
