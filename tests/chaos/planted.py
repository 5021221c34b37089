"""Bugs, planted into the product: each breaks one invariant, and a story shows it.

Each is a plausible mistake: a check that is left out, two lines in the wrong order, a retry too
many. The table of docs/reliability.md is made from here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.chaos import plants_acting, plants_deciding, plants_hands, plants_storing
from tests.chaos.invariants import Invariant
from tests.chaos.plot import Plot


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug. words: what it does. where: the story that shows it, in words."""

    words: str
    invariant: type[Invariant]
    where: str
    plot: Callable[[], Plot]
    plant: Callable[[pytest.MonkeyPatch], None]

    @property
    def name(self) -> str:
        """What a test calls it."""
        return f"{self.invariant.name}: {self.words}"


PLANTED: Sequence[Planted] = tuple(
    Planted(*facts)
    for module in (plants_acting, plants_deciding, plants_hands, plants_storing)
    for facts in module.PLANTS
)
