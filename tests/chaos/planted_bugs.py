"""Bugs that are planted in the product: each breaks one invariant in one simulation run.

Each is a plausible mistake: a check that is left out, two lines in the wrong order, a retry too
many. A patch names its attribute by a string, and pytest refuses one that does not exist. The table
of docs/contributors/reliability.md is made from here.
"""

from collections.abc import Sequence

from tests.chaos import (
    bugs_in_decisions,
    bugs_in_execution,
    bugs_in_routing,
    bugs_in_stores,
    bugs_with_operators,
)
from tests.chaos.planted_bug import PlantedBug

_MODULES = (
    bugs_in_execution,
    bugs_in_routing,
    bugs_in_decisions,
    bugs_with_operators,
    bugs_in_stores,
)

PLANTED_BUGS: Sequence[PlantedBug] = tuple(
    one for module in _MODULES for one in vars(module).values() if isinstance(one, PlantedBug)
)
