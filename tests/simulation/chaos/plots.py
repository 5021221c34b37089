"""Small stories, written by hand: what goes wrong in them, and when."""

from collections.abc import Sequence
from typing import Any, Final

from controller.core.policy import Policy
from controller.simulation.chaos.plot import Act, Fault, Meanwhile, Plot, Spot, When
from tests.simulation.worlds import scenario
from tests.stage import short, variables

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
