"""The other rollouts of a tick: of like policies, each with its own function, and all invariants.

Nothing is done to their functions, and no operator names them: what goes wrong is in the calls of
the ticks that visit them. They share the metrics of the world.
"""

from collections.abc import Callable, Iterator
from typing import Any

from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.tools.simulation.world import World
from tests.chaos.event_log import ObservedEvent
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.ground_truth import open_ground_truth
from tests.chaos.invariants import Invariants
from tests.chaos.invariants.invariant import Violation
from tests.chaos.oracle import Oracle
from tests.chaos.process import Interceptor
from tests.support.core import Notice, Policy, Rollout


def policies_of(plan: FaultPlan) -> Iterator[Policy]:
    """Yield the policy of each neighbour of `plan`, whose target is a function."""
    for number in range(plan.neighbours):
        name = f"neighbour-{number}"
        target: Any = plan.policy.target
        parts = {"name": name, "target": target.model_copy(update={"function": name})}
        yield plan.policy.model_copy(update=parts)


class Neighbours:
    """Adds the functions of the neighbours to `world`, and observes their rollouts in `store`.

    policies: theirs. oracles: one for each. listener: receives each violation.
    """

    def __init__(
        self, plan: FaultPlan, world: World, store: Store, listener: Callable[[Violation], None]
    ) -> None:
        self.policies, self.oracles = list(policies_of(plan)), list[Oracle]()
        self._all = list[Invariants]()
        for policy in self.policies:
            target: Any = policy.target
            function = plan.scenario.function
            settings = target.settings(function.weight)
            world.add_function(target.function, {**function.variables, **settings})
            truth = open_ground_truth(target, world)
            invariants = Invariants(
                function.weight, stable_fails=bool(plan.scenario.stable.server_errors)
            )

            def check(event: ObservedEvent, invariants: Invariants = invariants) -> None:
                for violation in invariants.check(event):
                    listener(violation)

            self._all.append(invariants)
            self.oracles.append(Oracle(world, truth, store, check, policy.name))

    def intercept(self, interceptor: Interceptor) -> Interceptor:
        """Return `interceptor` with an observation after each call."""
        for oracle in self.oracles:
            interceptor = oracle.intercept(interceptor)
        return interceptor

    def metrics(self, by: str, source: MetricSource) -> MetricSource:
        """Return `source` for the process `by`; each of its answers is judged again."""
        for oracle in self.oracles:
            source = oracle.metrics(by, source)
        return source

    def announce(self, by: str, rollout: Rollout, notice: Notice) -> None:
        """Record a notice of the process `by`."""
        for oracle in self.oracles:
            oracle.announcer(by)(rollout, notice)

    def finish(self) -> Iterator[Violation]:
        """Yield the violations of the final state."""
        for invariants in self._all:
            yield from invariants.finish()
