"""Bugs that are planted in the product: each breaks one invariant in one simulation run.

Each is a plausible mistake: a check that is left out, two lines in the wrong order, a retry too
many. A patch names its attribute by a string, and pytest refuses one that does not exist. The table
of docs/reliability.md is made from here.
"""

from collections.abc import Callable, Sequence

import pytest

from controller.immutable import Immutable
from tests.chaos import (
    bugs_in_decisions,
    bugs_in_execution,
    bugs_in_routing,
    bugs_in_stores,
    bugs_with_operators,
)
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.invariants import Invariant


class PlantedBug(Immutable):
    """One bug.

    description: what it does. invariant: the one that it breaks. where: the run that shows it, in
    words. plan: the fault plan of that run. plant: patches the product.
    """

    description: str
    invariant: type[Invariant]
    where: str
    plan: Callable[[], FaultPlan]
    plant: Callable[[pytest.MonkeyPatch], None]

    @property
    def name(self) -> str:
        """The invariant and the bug, as the id of a test."""
        return f"{self.invariant.name}: {self.description}"


PLANTED_BUGS: Sequence[PlantedBug] = tuple(
    PlantedBug(*facts)
    for module in (
        bugs_in_execution,
        bugs_in_routing,
        bugs_in_decisions,
        bugs_with_operators,
        bugs_in_stores,
    )
    for facts in module.BUGS
)
