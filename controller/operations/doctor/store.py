"""Whether the clock is right, and whether anything ticks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.checks import Check, fail, ok, warn
from controller.core.rollout import Rollout
from controller.core.units import duration_text

# A header has whole seconds, and an answer takes a moment.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
# Half of a judged minute is another minute then, at the latest.
CLOCK_SKEW_LIMIT: Final = timedelta(seconds=30)
# The slowest schedule that guards zero after a rollback.
TICK_AGE_LIMIT: Final = timedelta(minutes=15)


def clock_check(local: datetime, aws: datetime | None) -> Check:
    """Return whether our clock agrees with that of AWS; aws: None when no answer had a date."""
    if aws is None:
        return warn("clock", "not checked: no answer of AWS had a date", "run again")
    off = local - aws
    seconds = abs(off).total_seconds()
    side = "ahead of" if off > timedelta() else "behind"
    if abs(off) <= CLOCK_TOLERANCE:
        return ok("clock", "agrees with the clock of AWS")
    text = f"{seconds:.0f} s {side} that of AWS"
    remedy = "let the time service of this machine run (chrony, NTP), and run again"
    return (
        warn("clock", text, remedy) if abs(off) <= CLOCK_SKEW_LIMIT else fail("clock", text, remedy)
    )


def schedule_check(active: Sequence[Rollout], now: datetime) -> Check:
    """Return whether something ticks: every tick of an unfinished rollout leaves its time.

    active: the rollouts of the whole store that are not over.
    """
    if not active:
        return warn(
            "schedule",
            "no rollout is active, so nobody can tell whether anything ticks",
            "look at the schedule itself, or run again after the start",
        )
    newest = max(active, key=lambda one: one.updated)
    age = max(now - newest.updated, timedelta())
    text = f"the newest tick was {duration_text(age)} ago ({newest.id})"
    if age <= TICK_AGE_LIMIT:
        return ok("schedule", text)
    return fail(
        "schedule",
        text,
        "let `rolloutctl tick` run every minute, every 15 at least, on this very store; the log of "
        "its last run says why it does not",
    )
