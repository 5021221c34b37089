"""A bug that is planted in the product by a patch, and the simulation run that shows it."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest

from tests.chaos.fault_plan import FaultPlan
from tests.chaos.invariants import Invariant

Patch: TypeAlias = Callable[[pytest.MonkeyPatch], None]


class PlantedBug(NamedTuple):
    """One bug.

    plant: patches the product; its docstring says what the bug does. invariant: the one that it
    breaks. where: the run that shows it, in words. plan: the fault plan of that run.
    """

    plant: Patch
    invariant: type[Invariant]
    where: str
    plan: Callable[[], FaultPlan]

    @property
    def description(self) -> str:
        """What the bug does, in words that may follow others."""
        sentence = " ".join((self.plant.__doc__ or "").split()).removesuffix(".")
        return sentence[0].lower() + sentence[1:]

    @property
    def name(self) -> str:
        """The invariant and the bug, as the id of a test."""
        return f"{self.invariant.name}: {self.description}"


def breaks(
    invariant: type[Invariant], where: str, plan: Callable[[], FaultPlan]
) -> Callable[[Patch], PlantedBug]:
    """Return a decorator: a patch breaks `invariant` in the run of `plan`."""
    return lambda plant: PlantedBug(plant, invariant, where, plan)
