"""Small stories, written by hand: what goes wrong in them, and when."""

from collections.abc import Sequence
from typing import Any, Final

from controller.core.policy import Policy
from tests.chaos.fault_plan import (
    ActorAction,
    Crash,
    Fault,
    FaultPlan,
    InjectionPoint,
    Interleaving,
    Timing,
)
from tests.simulation.worlds import scenario
from tests.support.stage import function_with, short_policy

WRITE: Final = "lambda:UpdateFunctionConfiguration"
READ: Final = "lambda:GetFunctionConfiguration"
MEASURE: Final = "cloudwatch:GetMetricData"
SAVE: Final = "store:save"
NOTIFY: Final = "people:notify"

# From the third minute on nobody can use the canary, or nobody asks for anything.
CANARY_ERRORS: Final = {"kind": "errors", "server_errors": "20%", "at": {"after": "150s"}}
NO_TRAFFIC: Final = {"kind": "traffic", "times": 0}


def sample_plan(
    *faults: Fault,
    events: Sequence[dict[str, Any]] = (),
    takes: str = "3s",
    policy: Policy | None = None,
) -> FaultPlan:
    """Return a story of the short policy, in a world where all is well but for `events`.

    takes: how long an update of the function takes.
    """
    function = {**function_with(), "update_takes": takes}
    played = scenario(function=function, events=events)
    return FaultPlan(1, "sqlite", policy or short_policy(max_hold="2m"), played, faults)


def freeze_before_write(fails: str = "600s") -> FaultPlan:
    """Return a story in which a raise from 10 % is saved, and a freeze begins before its write.

    It lasts from 9:06 to 9:40. fails: how long after nine o'clock the canary begins to fail.
    """
    freeze = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:40"}]}
    sick = {**CANARY_ERRORS, "at": {"after": fails}}
    policy = short_policy(shift_timeout="1m", freeze=freeze)
    return sample_plan(Crash(InjectionPoint(4, WRITE), Timing.BEFORE), events=[sick], policy=policy)


def interleaving(
    tick: int,
    operation: str,
    act: ActorAction,
    *,
    when: Timing = Timing.BEFORE,
    waits: int = 0,
    weight: int = 0,
    number: int = 0,
) -> Interleaving:
    """Return what others do at the first crossing of a kind, from the minute `tick` on."""
    return Interleaving(InjectionPoint(tick, operation, number), when, act, waits, weight)
