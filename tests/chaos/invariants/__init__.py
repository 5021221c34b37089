"""What must hold after every step, whatever goes wrong: design section 4, for a machine.

`Invariants.check` hears every happening of a witness, in order; `Invariants.finish` is called once,
when all has had the time to come to rest.
"""

from datetime import timedelta

from controller.core.policy import Policy
from tests.chaos.event_log import ObservedEvent
from tests.chaos.invariants.ending import EndsWithReason, NoPassWithoutData
from tests.chaos.invariants.invariant import Invariant, Violation
from tests.chaos.invariants.operators import (
    NoOperatorOverride,
    NoUnattendedRetry,
    PausePersists,
    ZeroGuardScope,
)
from tests.chaos.invariants.persistence import (
    MonotonicTime,
    NotifyOnce,
    OneOwner,
    OneTransition,
    SoundHistory,
    StepByStep,
    VersionIncrements,
)
from tests.chaos.invariants.raises import (
    KnownWeight,
    NoStaleRaise,
    OneRaisePerAdvance,
    RecordedRaise,
)
from tests.chaos.invariants.system_state import SystemState
from tests.chaos.invariants.target import (
    BakeFromServed,
    FailureRollsBack,
    OtherVariablesUnchanged,
    TrafficJudged,
)

__all__ = ["ALL", "Invariant", "Invariants", "SystemState", "Violation"]

# Clocks of two processes may be this far apart.
MOST_SKEW = timedelta(minutes=6)

ALL: tuple[type[Invariant], ...] = (
    KnownWeight,
    RecordedRaise,
    OneRaisePerAdvance,
    NoStaleRaise,
    OtherVariablesUnchanged,
    FailureRollsBack,
    TrafficJudged,
    NoOperatorOverride,
    PausePersists,
    ZeroGuardScope,
    NoUnattendedRetry,
    NoPassWithoutData,
    BakeFromServed,
    StepByStep,
    OneTransition,
    SoundHistory,
    VersionIncrements,
    MonotonicTime,
    OneOwner,
    NotifyOnce,
    EndsWithReason,
)


class Invariants:
    """All invariants over one story.

    weight: what the function shows at its begin. skew: how far the clocks of two processes may be
    apart. violations: everything that did not hold, first one first.
    """

    def __init__(self, policy: Policy, weight: int | None = 0, skew: timedelta = MOST_SKEW) -> None:
        self.state = SystemState(policy.target, weight, weight, skew=skew)
        self.violations: list[Violation] = []
        self._all = [one() for one in ALL]

    def check(self, event: ObservedEvent) -> list[Violation]:
        """Return what does not hold any more."""
        self.state.now = event.at
        found = [
            Violation(one.name, event.at, event.by, sentence)
            for one in self._all
            for sentence in one.check(event, self.state)
        ]
        self.state.apply(event)
        self.violations += found
        return found

    def finish(self) -> list[Violation]:
        """Return what does not hold at the end, when all has had the time to come to rest."""
        found = [
            Violation(one.name, self.state.now, "the story", sentence)
            for one in self._all
            for sentence in one.at_end(self.state)
        ]
        self.violations += found
        return found
