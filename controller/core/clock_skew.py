"""A record that was saved in the future: its time stands still until then."""

from datetime import datetime, timedelta
from typing import Final

from controller.core.rollout import Rollout
from controller.core.units import clock_text

# AWS refuses signed requests whose time is further off, so no run with such a clock moves traffic.
MAX_CLOCK_SKEW: Final = timedelta(minutes=15)


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
