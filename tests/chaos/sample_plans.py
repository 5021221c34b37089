"""Small stories, written by hand: what goes wrong in them, and when."""

from collections.abc import Sequence
from typing import Any, Final

from controller.core.policy import Policy
from tests.chaos.fault_plan import Act, Crash, Fault, Meanwhile, Plot, Spot, When
from tests.simulation.worlds import scenario
from tests.support.stage import short, variables

WRITE: Final = "lambda:UpdateFunctionConfiguration"
READ: Final = "lambda:GetFunctionConfiguration"
MEASURE: Final = "cloudwatch:GetMetricData"
SAVE: Final = "store:save"
NOTIFY: Final = "people:notify"

# From the third minute on nobody can use the canary, or nobody asks for anything.
SICK: Final = {"kind": "errors", "server_errors": "20%", "at": {"after": "150s"}}
QUIET: Final = {"kind": "traffic", "times": 0}


def plot(
    *faults: Fault,
    events: Sequence[dict[str, Any]] = (),
    takes: str = "3s",
    policy: Policy | None = None,
) -> Plot:
    """Return a story of the short policy, in a world where all is well but for `events`.

    takes: how long an update of the function takes.
    """
    function = {**variables(), "update_takes": takes}
    played = scenario(function=function, events=events)
    return Plot(1, "sqlite", policy or short(max_hold="2m"), played, faults)


def frozen_in_between(fails: str = "600s") -> Plot:
    """Return a story in which a raise from 10 % is saved, and a freeze begins before its write.

    It lasts from 9:06 to 9:40. fails: how long after nine o'clock the canary begins to fail.
    """
    freeze = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:40"}]}
    sick = {**SICK, "at": {"after": fails}}
    policy = short(shift_timeout="1m", freeze=freeze)
    return plot(Crash(Spot(4, WRITE), When.BEFORE), events=[sick], policy=policy)


def meanwhile(
    tick: int,
    operation: str,
    act: Act,
    *,
    when: When = When.BEFORE,
    waits: int = 0,
    weight: int = 0,
    number: int = 0,
) -> Meanwhile:
    """Return what others do at the first crossing of a kind, from the minute `tick` on."""
    return Meanwhile(Spot(tick, operation, number), when, act, waits, weight)
