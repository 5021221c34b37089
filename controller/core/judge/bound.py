"""The bound that a value is compared with, and both as text."""

from collections.abc import Iterable
from typing import Final

from controller.core.units import format_percent, number_beside, number_text, percent_beside
from controller.immutable import Immutable

# The unit of a value that is shown as a percent.
FRACTION: Final = "fraction"


class Bound(Immutable):
    """A bound of a criterion.

    value: the largest that passes; the smallest, where `is_maximum` is False. subject: what is
    compared with it. unit: of both; FRACTION where they are shown as percents.
    """

    value: float
    is_maximum: bool
    subject: str
    unit: str

    @property
    def side(self) -> str:
        """On which side of the bound a value passes."""
        return "at most" if self.is_maximum else "at least"

    @property
    def demand(self) -> str:
        """What the criterion asks for: `duration at most 500 ms`."""
        bound = f"{number_text(self.value)} {self.unit}".rstrip()
        if self.unit == FRACTION:
            bound = format_percent(self.value)
        return f"{self.subject} {self.side} {bound}"

    def worst(self, values: Iterable[float]) -> float | None:
        """Return the value that is worst for this bound; None of none."""
        return (max if self.is_maximum else min)(values, default=None)

    def text(self, bound: float) -> str:
        """Return the bound of a finding, and on which side of it the criterion passes."""
        return f"{'≤' if self.is_maximum else '≥'} {self.value_text(bound, bound)}"

    def value_text(self, value: float, bound: float) -> str:
        """Return a value with its unit, and enough digits to differ from the bound."""
        return text_in_unit(value, bound, self.unit)


def text_in_unit(value: float, bound: float, unit: str) -> str:
    """Return a value with its unit, and enough digits to differ from the bound."""
    if unit == FRACTION:
        return percent_beside(value, bound)
    return f"{number_beside(value, bound)} {unit}".rstrip()
