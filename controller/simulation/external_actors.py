"""External actors of a rehearsal: operators, stacks and pipelines that act during a rollout."""

from datetime import datetime, timedelta
from typing import assert_never

from controller.simulation.clock import VirtualClock
from controller.simulation.scenario.fault_events import (
    AliasReset,
    AttestationEvent,
    ExternalAction,
    ManualChange,
    SecondStart,
    StackUpdate,
)
from controller.simulation.scenario.script import Script
from controller.simulation.target import SimulatedTarget

# An actor whose change meets an update in progress tries again after this time.
_RETRY_DELAY = timedelta(seconds=5)


class ExternalActors:
    """Carries out the external actions of a script on `target`."""

    def __init__(self, script: Script, clock: VirtualClock, target: SimulatedTarget) -> None:
        self._script, self._clock, self._target = script, clock, target
        self._planned: set[int] = set()
        self._starts = 0
        self._attestations: list[AttestationEvent] = []

    def plan(self) -> None:
        """Schedule every action whose moment has become known; each is scheduled once."""
        for number, moment, act in self._script.external_actions():
            if number not in self._planned:
                self._planned.add(number)
                self._plan_at(moment, act)

    def take_starts(self) -> int:
        """Return how many second starts have become due since the last call."""
        due, self._starts = self._starts, 0
        return due

    def take_attestations(self) -> list[AttestationEvent]:
        """Return the attestations that have become due since the last call."""
        due, self._attestations = self._attestations, []
        return due

    def _plan_at(self, moment: datetime, act: ExternalAction) -> None:
        self._clock.at(moment, lambda: self._perform(act))

    def _perform(self, act: ExternalAction) -> None:
        if self._target.busy:
            self._plan_at(self._clock.now() + _RETRY_DELAY, act)
            return
        match act:
            case ManualChange() | StackUpdate() | AliasReset():
                self._target.perform(act)
            case SecondStart():
                self._starts += 1
            case AttestationEvent():
                self._attestations.append(act)
            case unreachable:
                assert_never(unreachable)
