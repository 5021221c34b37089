"""Invariants that must hold after every external call, under any fault (design section 4).

`Invariants.check` gets every event of an oracle, in order; `Invariants.finish` is called once, when
every rollout has had the time to come to rest.
"""

from datetime import timedelta

from tests.chaos.event_log import ObservedEvent
from tests.chaos.invariants.ending import EndsWithReason, FixAdvances, NoPassWithoutData
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
    OtherSettingsUnchanged,
    TrafficJudged,
)

__all__ = ["ALL", "Invariant", "Invariants", "SystemState", "Violation"]

# The clocks of two processes may differ by this much.
MOST_SKEW = timedelta(minutes=6)

ALL: tuple[type[Invariant], ...] = (
    KnownWeight,
    RecordedRaise,
    OneRaisePerAdvance,
    NoStaleRaise,
    OtherSettingsUnchanged,
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
    FixAdvances,
)


class Invariants:
    """All invariants over one simulation run.

    weight: what the target shows at the start. skew: how much the clocks of two processes may
    differ. stable_fails: the stable path fails, from before the first rollout on. violations: all
    of them, oldest first.
    """

    def __init__(
        self,
        weight: int | None = 0,
        skew: timedelta = MOST_SKEW,
        *,
        stable_fails: bool = False,
    ) -> None:
        self.state = SystemState(weight, weight, skew=skew, stable_fails=stable_fails)
        self.violations: list[Violation] = []
        self._all = [one() for one in ALL]

    def check(self, event: ObservedEvent) -> list[Violation]:
        """Return the violations that `event` causes."""
        self.state.now = event.at
        violations = [
            Violation(one.name, event.at, event.by, sentence)
            for one in self._all
            for sentence in one.check(event, self.state)
        ]
        self.state.apply(event)
        self.violations += violations
        return violations

    def finish(self) -> list[Violation]:
        """Return the violations of the final state, when every rollout had time to come to rest."""
        violations = [
            Violation(one.name, self.state.now, "the story", sentence)
            for one in self._all
            for sentence in one.at_end(self.state)
        ]
        self.violations += violations
        return violations
