"""External actors of a rehearsal: operators, stacks and pipelines that act during a rollout."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

from controller.core.policy import LambdaEnv
from controller.errors import PolicyError
from controller.flag import Flag
from controller.simulation.clock import VirtualClock
from controller.simulation.fakes.lambda_ import FakeLambda, Function, code_digest
from controller.simulation.scenario.fault_events import (
    AliasReset,
    AttestationEvent,
    ExternalAction,
    ManualChange,
    SecondStart,
    StackUpdate,
)
from controller.simulation.scenario.scenario import Scenario
from controller.simulation.scenario.script import Script

# An actor whose change meets an update in progress tries again after this time.
_RETRY_DELAY = timedelta(seconds=5)


def weight_variables(target: LambdaEnv, weight: int) -> dict[str, str]:
    """Return the target's variables for `weight`."""
    variables = {target.percentage: str(weight)}
    if target.boolean is not None:
        variables[target.boolean] = _flag(weight == 100)
    return variables


def preexisting_full_weight(target: LambdaEnv) -> dict[str, str]:
    """Return the variables of an application at 100 % before its first rollout.

    Where the target has a boolean, it is the older variable and stands alone: the application reads
    it as all or nothing.
    """
    return {target.percentage: "100"} if target.boolean is None else {target.boolean: _flag(True)}


def weight_of(target: LambdaEnv, variables: Mapping[str, str]) -> int:
    """Return the percent of requests that the application's flag sends to the canary."""
    return Flag(target.percentage, target.boolean, environ=variables).weight()


class ExternalActors:
    """Carries out the external actions of a script on `target`.

    Raises PolicyError when the script names a variable that the target does not have.
    """

    def __init__(
        self, script: Script, clock: VirtualClock, functions: FakeLambda, target: LambdaEnv
    ) -> None:
        _check_fit(script.scenario, target)
        self._script = script
        self._clock = clock
        self._functions = functions
        self._target = target
        self._original = dict(functions.function(target.function).variables)
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
        function = self._functions.function(self._target.function)
        if function.status == "InProgress":
            self._plan_at(self._clock.now() + _RETRY_DELAY, act)
            return
        match act:
            case ManualChange():
                self._functions.change(function, self._variables_after(function, act))
            case StackUpdate():
                function.code_sha256 = code_digest(f"stack update at {self._clock.now():%FT%T}")
                self._functions.change(function, self._original)
            case AliasReset():
                self._functions.pin(function, self._original)
            case SecondStart():
                self._starts += 1
            case AttestationEvent():
                self._attestations.append(act)
            case unreachable:
                assert_never(unreachable)

    def _variables_after(self, function: Function, act: ManualChange) -> dict[str, str]:
        weight_pair = {} if act.weight is None else weight_variables(self._target, act.weight)
        if act.boolean is not None and self._target.boolean is not None:
            weight_pair[self._target.boolean] = _flag(act.boolean)
        return {**function.variables, **act.variables, **weight_pair}


def _flag(on: bool) -> str:
    return "true" if on else "false"


def _check_fit(scenario: Scenario, target: LambdaEnv) -> None:
    for index, event in enumerate(scenario.events):
        if isinstance(event, ManualChange) and event.boolean is not None and target.boolean is None:
            raise PolicyError(
                f"the scenario {scenario.name} does not fit: events[{index}].boolean sets a "
                "boolean variable, and the policy's target has none (target.boolean)"
            )
