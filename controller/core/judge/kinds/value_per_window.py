"""Criteria whose model computes one value of each window, like those of other packages."""

from collections.abc import Mapping
from math import isfinite

from controller.core.judge.series import INCONSISTENT, Measure, Window
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import Series
from controller.core.policy import MeasuredCriterion
from controller.core.stats.counts import Counts
from controller.core.units import number_beside


class MeasuredJudge(WindowJudge[MeasuredCriterion]):
    """The value that the criterion computes from the datapoints of a window."""

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that computes the value of one window."""
        criterion, reader = self.criterion, self.reader(series)
        points = {name: reader.points(name) for _, name in criterion.references()}

        def measure(start: int) -> Window | None:
            found = {name: one[start] for name, one in points.items() if start in one}
            try:
                value = criterion.value(found)
                if value is None:
                    return None
                measured, samples = map(float, value)
            except Exception:  # noqa: BLE001 - a package's fault keeps no other criterion from failing
                return INCONSISTENT
            if not (isfinite(measured) and isfinite(samples)):
                return INCONSISTENT
            return Window(Counts(samples, measured), measured, criterion.breaches(measured))

        return measure

    @property
    def bound(self) -> float:
        """The bound that every window is compared with."""
        return self.criterion.bound

    @property
    def is_maximum(self) -> bool:
        """True when the bound is the largest value that holds."""
        return self.criterion.is_maximum

    @property
    def subject(self) -> str:
        """What the package calls the value."""
        return self.criterion.subject

    @property
    def unit(self) -> str:
        """The unit that the package gives the value."""
        return self.criterion.unit

    # --- in words ---------------------------------------------------------------------------------

    def value_text(self, value: float, bound: float) -> str:
        """Return the value with its unit."""
        return f"{number_beside(value, bound)} {self.unit}".rstrip()
