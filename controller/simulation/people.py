"""Other hands: people and stacks that change the function while a rollout runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from controller.core.policy import LambdaEnv
from controller.simulation.clock import VirtualClock
from controller.simulation.fake_lambda import FakeLambda, code_digest
from controller.simulation.happenings import Person, StackUpdate
from controller.simulation.script import Script

# Whoever meets an update in progress tries again after this time.
_TRY_AGAIN = timedelta(seconds=5)


def pair_of(target: LambdaEnv, weight: int) -> dict[str, str]:
    """Return the variables that say `weight`."""
    pair = {target.percentage: str(weight)}
    if target.boolean is not None:
        pair[target.boolean] = "true" if weight == 100 else "false"
    return pair


def weight_of(target: LambdaEnv, variables: Mapping[str, str]) -> int:
    """Return the weight that the application reads from its environment.

    It goes by the percentage; without a sound one the boolean decides between all and nothing.
    """
    text = variables.get(target.percentage, "")
    if text.isascii() and text.isdigit() and int(text) <= 100:
        return int(text)
    return 100 if target.boolean and variables.get(target.boolean) == "true" else 0


class People:
    """Carries out what a script says that others do to `target`."""

    def __init__(
        self, script: Script, clock: VirtualClock, functions: FakeLambda, target: LambdaEnv
    ) -> None:
        self._script = script
        self._clock = clock
        self._functions = functions
        self._target = target
        self._original = dict(functions.function(target.function).variables)
        self._planned: set[int] = set()

    def plan(self) -> None:
        """Plan every act whose moment has become known; each is planned once."""
        for number, moment, act in self._script.acts():
            if number not in self._planned:
                self._planned.add(number)
                self._plan_at(moment, act)

    def _plan_at(self, moment: datetime, act: Person | StackUpdate) -> None:
        self._clock.at(moment, lambda: self._carry_out(act))

    def _carry_out(self, act: Person | StackUpdate) -> None:
        function = self._functions.function(self._target.function)
        if function.status == "InProgress":
            self._plan_at(self._clock.now() + _TRY_AGAIN, act)
        elif isinstance(act, StackUpdate):
            function.code_sha256 = code_digest(f"stack update at {self._clock.now():%FT%T}")
            self._functions.change(function, self._original)
        else:
            pair = {} if act.weight is None else pair_of(self._target, act.weight)
            self._functions.change(function, {**function.variables, **act.variables, **pair})
