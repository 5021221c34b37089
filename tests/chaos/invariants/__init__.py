"""What must hold after every step, whatever goes wrong: design section 4, for a machine.

`Invariants.check` hears every happening of a witness, in order; `Invariants.finish` is called once,
when all has had the time to come to rest.
"""

from datetime import timedelta

from controller.core.policy import Policy
from tests.chaos.event_log import Happening
from tests.chaos.invariants.ending import EndsWithReason, SilenceStays
from tests.chaos.invariants.hands import (
    NobodyFought,
    NoReturn,
    OwnWeightOnly,
    PauseHolds,
)
from tests.chaos.invariants.invariant import Invariant, Violation
from tests.chaos.invariants.raising import (
    KnownWeight,
    NoStaleRaise,
    OneRaise,
    RecordedRaise,
)
from tests.chaos.invariants.record import (
    OneOwner,
    OneTransition,
    SoundHistory,
    StepByStep,
    TimeForward,
    ToldOnce,
    VersionsRise,
)
from tests.chaos.invariants.scene import Scene
from tests.chaos.invariants.target import (
    BakedFromSight,
    FailureGoesBack,
    OtherVariables,
    TrafficJudged,
)

__all__ = ["ALL", "Invariant", "Invariants", "Scene", "Violation"]

# Clocks of two processes may be this far apart.
MOST_SKEW = timedelta(minutes=6)

ALL: tuple[type[Invariant], ...] = (
    KnownWeight,
    RecordedRaise,
    OneRaise,
    NoStaleRaise,
    OtherVariables,
    FailureGoesBack,
    TrafficJudged,
    NobodyFought,
    PauseHolds,
    OwnWeightOnly,
    NoReturn,
    SilenceStays,
    BakedFromSight,
    StepByStep,
    OneTransition,
    SoundHistory,
    VersionsRise,
    TimeForward,
    OneOwner,
    ToldOnce,
    EndsWithReason,
)


class Invariants:
    """All invariants over one story.

    weight: what the function shows at its begin. skew: how far the clocks of two processes may be
    apart. violations: everything that did not hold, first one first.
    """

    def __init__(self, policy: Policy, weight: int | None = 0, skew: timedelta = MOST_SKEW) -> None:
        self.scene = Scene(policy.target, weight, weight, skew=skew)
        self.violations: list[Violation] = []
        self._all = [one() for one in ALL]

    def check(self, happening: Happening) -> list[Violation]:
        """Return what does not hold any more."""
        self.scene.now = happening.at
        found = [
            Violation(one.name, happening.at, happening.by, sentence)
            for one in self._all
            for sentence in one.see(happening, self.scene)
        ]
        self.scene.hear(happening)
        self.violations += found
        return found

    def finish(self) -> list[Violation]:
        """Return what does not hold at the end, when all has had the time to come to rest."""
        found = [
            Violation(one.name, self.scene.now, "the story", sentence)
            for one in self._all
            for sentence in one.over(self.scene)
        ]
        self.violations += found
        return found
