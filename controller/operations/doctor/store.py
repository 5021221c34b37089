"""Doctor checks of the local clock and of the schedule that runs ticks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.rollout import Rollout
from controller.core.units import duration_text
from controller.operations.checks import Check, fail, ok, warn

# The Date header has whole seconds, and a response takes some time.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
# At 30 s, half of each evaluated minute belongs to another minute.
CLOCK_SKEW_LIMIT: Final = timedelta(seconds=30)
# The slowest schedule that still keeps the weight at 0 % after a rollback.
TICK_AGE_LIMIT: Final = timedelta(minutes=15)


def clock_check(local: datetime, aws: datetime | None) -> Check:
    """Return the check of the local clock against that of AWS.

    aws: time of a response; None when no response had a Date header.
    """
    if aws is None:
        return warn("clock", "not checked: no answer of AWS had a date", "run again")
    skew = local - aws
    seconds = abs(skew).total_seconds()
    side = "ahead of" if skew > timedelta() else "behind"
    if abs(skew) <= CLOCK_TOLERANCE:
        return ok("clock", "agrees with the clock of AWS")
    text = f"{seconds:.0f} s {side} that of AWS"
    remedy = "let the time service of this machine run (chrony, NTP), and run again"
    return (
        warn("clock", text, remedy)
        if abs(skew) <= CLOCK_SKEW_LIMIT
        else fail("clock", text, remedy)
    )


def schedule_check(active: Sequence[Rollout], now: datetime) -> Check:
    """Return the check that ticks run: each tick stores its time in every unfinished rollout.

    active: the unfinished rollouts of the policy.
    """
    if not active:
        return warn(
            "schedule",
            "no rollout of this policy is active, so whether the schedule runs is unknown",
            "check the schedule itself, or run again after the start",
        )
    newest = max(active, key=lambda one: one.updated)
    age = max(now - newest.updated, timedelta())
    text = f"the newest tick was {duration_text(age)} ago ({newest.id})"
    if age <= TICK_AGE_LIMIT:
        return ok("schedule", text)
    return fail(
        "schedule",
        text,
        "is the schedule running? `rolloutctl tick` must run every 1 to 15 minutes with this "
        "store; check the log of its last run",
    )
