"""The boxes of the state diagram: the phases, `progressing` by its position."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, assert_never

from controller.immutable import replace
from tests.support.core import (
    Live,
    Paused,
    Pending,
    Phase,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    Succeeded,
    Verb,
)
from tests.support.rollouts import MINUTE, NOON, a_reading, with_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    DURING_ROLLBACK,
    FIRST_RAISE,
    FIRST_UNFINISHED,
    IN_FLIGHT,
    NOT_A_RAISE,
    ON_HOLD,
    UNFINISHED,
    a_rollout_paused_in_flight,
    decide_command,
)


class Box(StrEnum):
    """A box of the diagram, in the order of columns and numbers."""

    START = "start"
    FIRST_RAISE = "first raise pending"
    LIVE = "step live"
    RAISE = "raise pending"
    PAUSED = "paused"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    SUCCEEDED = "succeeded"


def box_of(rollout: Rollout) -> Box:
    """Return the box that `rollout` is in."""
    match rollout.state:
        case Progressing(position=Live()):
            return Box.LIVE
        case Progressing(position=Pending(live=None)):
            return Box.FIRST_RAISE
        case Progressing():
            return Box.RAISE
        case Paused():
            return Box.PAUSED
        case RollingBack():
            return Box.ROLLING_BACK
        case RolledBack():
            return Box.ROLLED_BACK
        case Succeeded():
            return Box.SUCCEEDED
        case unreachable:
            assert_never(unreachable)


# The tables have a column for each of these.
COLUMNS: Final[Mapping[Box, str]] = {
    Box.FIRST_RAISE: f"`{Phase.PROGRESSING}`, {Box.FIRST_RAISE}",
    Box.LIVE: f"`{Phase.PROGRESSING}`, {Box.LIVE}",
    Box.RAISE: f"`{Phase.PROGRESSING}`, {Box.RAISE}",
    Box.PAUSED: f"`{Phase.PAUSED}`",
    Box.ROLLING_BACK: f"`{Phase.ROLLING_BACK}`",
    Box.ROLLED_BACK: f"`{Phase.ROLLED_BACK}`",
    Box.SUCCEEDED: f"`{Phase.SUCCEEDED}`",
}

# A weight that an operator had restored while the first raise was pending: no step was live.
_FIRST_RESTORED: Final = with_state(
    FIRST_RAISE, position=Pending(0, 10, 70, "token-1", NOON, NOON, tried=NOON)
)
# Rollouts in each box. The first is that of the tables: the step at 10%, the raise from there to
# 50%, and the others after 10%.
ROLLOUTS: Final[Mapping[Box, Sequence[Rollout]]] = {
    Box.FIRST_RAISE: (
        FIRST_UNFINISHED, FIRST_RAISE, replace(FIRST_UNFINISHED, seen_weight=10), _FIRST_RESTORED,
    ),
    Box.LIVE: (AT_10,),
    Box.RAISE: (UNFINISHED, NOT_A_RAISE),
    Box.PAUSED: (
        replace(ON_HOLD, seen_weight=10),
        replace(with_state(ON_HOLD, reason=Reason.DRIFTED), seen_weight=70),
        IN_FLIGHT,
        a_rollout_paused_in_flight(10),
        decide_command(FIRST_RAISE, Verb.PAUSE, a_reading(0)).rollout,
    ),
    Box.ROLLING_BACK: (DURING_ROLLBACK,),
    Box.ROLLED_BACK: (with_state(AFTER_ROLLBACK, watch_until=NOON + 60 * MINUTE),),
    Box.SUCCEEDED: (AFTER_SUCCESS,),
}  # fmt: skip
