"""The target of a rehearsal: it answers the calls of its adapter and has a weight of its own."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from controller.core.policy import TargetSpec
from controller.core.policy.kind_registry import load
from controller.errors import PolicyError
from controller.tools.simulation.fakes.errors import AwsResponse, apply_outage
from controller.tools.simulation.scenario.fault_events import AliasReset, ManualChange, StackUpdate

if TYPE_CHECKING:
    from controller.tools.simulation.world import World

TargetChange: TypeAlias = ManualChange | StackUpdate | AliasReset
"""A change of the target outside rolloutctl."""

Operation: TypeAlias = Callable[[Mapping[str, Any]], AwsResponse]
"""Answers one AWS call, or raises what boto3 raises."""


class SimulatedTarget(Protocol):
    """A target in a simulated account, made from the target of a policy and the world.

    It calls `World.note_weight` whenever another share of requests takes the canary.
    """

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """The AWS calls that it answers, by service and operation: ("dynamodb", "GetItem")."""

    @property
    def busy(self) -> bool:
        """Whether a change is in progress, so that another one is refused now: here never."""
        return False

    def begin(self, weight: int, *, adopted: bool) -> None:
        """Take the first state, with `weight`; adopted: with 100% before the first rollout."""

    def perform(self, change: TargetChange) -> None:
        """Begin a change from outside. Raises PolicyError for one that this target has not."""


def refuse_raise(world: "World", operation: str, before: float, after: float) -> None:
    """Raise what Lambda answers to a write that raises the weight while the scenario refuses it.

    before, after: the weight, or the share of requests, without the write and with it.
    """
    if after > before and world.refuses_raises():
        apply_outage("lambda", operation, "denied", dict)


def refuse_variables(target: TargetSpec, world: "World") -> None:
    """Raise PolicyError for a scenario that sets environment variables: `target` has none."""
    for index, event in enumerate(world.scenario.events):
        if isinstance(event, ManualChange) and (event.boolean is not None or event.variables):
            raise PolicyError(
                f"the scenario {world.scenario.name} does not fit: events[{index}] sets an "
                f"environment variable, and a {target.kind} target has none"
            )


def simulate(target: TargetSpec, world: "World") -> SimulatedTarget:
    """Return the simulated target. Raises PolicyError when its kind cannot be simulated."""
    if not target.simulated_by:
        raise PolicyError(
            f"target.kind: a rehearsal needs a simulated target, and {target.kind} has none"
        )
    simulated: SimulatedTarget = load(target.simulated_by)(target, world)
    return simulated
