"""The simulated target of the kind `lambda-env`: the variables of a function in a fake Lambda."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, assert_never

from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import PolicyError
from controller.flag import Flag
from controller.tools.simulation.fakes.errors import AwsResponse
from controller.tools.simulation.fakes.lambda_ import Function, code_digest
from controller.tools.simulation.scenario.fault_events import AliasReset, ManualChange, StackUpdate
from controller.tools.simulation.target import (
    Operation,
    SimulatedTarget,
    TargetChange,
    refuse_raise,
)

if TYPE_CHECKING:
    from controller.tools.simulation.world import World

_UPDATE: Final = "UpdateFunctionConfiguration"


class SimulatedLambdaEnv(SimulatedTarget):
    """`SimulatedTarget` on a function of the world's fake Lambda.

    Raises PolicyError when the scenario sets a variable that the target does not have.
    """

    def __init__(self, target: LambdaEnv, world: "World") -> None:
        for index, event in enumerate(world.scenario.events if target.boolean is None else ()):
            if isinstance(event, ManualChange) and event.boolean is not None:
                raise PolicyError(
                    f"the scenario {world.scenario.name} does not fit: events[{index}].boolean "
                    "sets a boolean variable, and the policy's target has none (target.boolean)"
                )
        self._target, self._world = target, world
        self._original: Mapping[str, str] = {}
        world.lambda_.on_traffic_change = self._on_traffic_change

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """The update of the function, as a scenario may deny it while it raises the weight."""
        return {("lambda", _UPDATE): self._update}

    @property
    def busy(self) -> bool:
        """Whether an update of the function is in progress."""
        return self._function.status == "InProgress"

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Add the function with the variables for `weight`, or those before its first rollout."""
        pair = preexisting_full_weight(self._target) if adopted else self._target.settings(weight)
        variables = {**self._world.scenario.function.variables, **pair}
        self._original = dict(self._world.add_function(self._target.function, variables).variables)

    def perform(self, change: TargetChange) -> None:
        """Begin an update of the function, or send its callers to another version."""
        function = self._function
        match change:
            case ManualChange():
                pair = {} if change.weight is None else self._target.settings(change.weight)
                if change.boolean is not None and self._target.boolean is not None:
                    pair[self._target.boolean] = _flag(change.boolean)
                self._world.lambda_.change(
                    function, {**function.variables, **change.variables, **pair}
                )
            case StackUpdate():
                now = self._world.clock.now()
                function.code_sha256 = code_digest(f"stack update at {now:%FT%T}")
                self._world.lambda_.change(function, self._original)
            case AliasReset():
                self._world.lambda_.pin(function, self._original)
            case unreachable:
                assert_never(unreachable)

    @property
    def _function(self) -> Function:
        return self._world.lambda_.function(self._target.function)

    def _update(self, request: Mapping[str, Any]) -> AwsResponse:
        """Answer UpdateFunctionConfiguration."""
        function = self._function
        if request.get("FunctionName") in (function.name, function.arn):
            written = request.get("Environment", {}).get("Variables", {})
            before, after = (weight_of(self._target, one) for one in (function.variables, written))
            refuse_raise(self._world, _UPDATE, before, after)
        return self._world.lambda_.update_function_configuration(request)

    def _on_traffic_change(self, function: Function) -> None:
        if function is self._function:
            self._world.note_weight(weight_of(self._target, function.effective_environment))


def preexisting_full_weight(target: LambdaEnv) -> dict[str, str]:
    """Return the variables of an application at 100% before its first rollout.

    Where the target has a boolean, it is the older variable and stands alone: the application reads
    it as all or nothing.
    """
    return {target.percentage: "100"} if target.boolean is None else {target.boolean: _flag(True)}


def weight_of(target: LambdaEnv, variables: Mapping[str, str]) -> int:
    """Return the percent of requests that the application's flag sends to the canary."""
    return Flag(target.percentage, target.boolean, environ=variables).weight()


def _flag(on: bool) -> str:
    return "true" if on else "false"
