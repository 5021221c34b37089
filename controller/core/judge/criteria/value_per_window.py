"""Criteria whose model computes one value of each window, like those of other packages."""

from collections.abc import Mapping
from math import isfinite

from controller.core.judge.bound import Bound
from controller.core.judge.series import INCONSISTENT, Measure, WindowCounts
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import Series
from controller.core.policy import MeasuredCriterion
from controller.core.stats.counts import Counts


class MeasuredJudge(WindowJudge[MeasuredCriterion]):
    """The value that the criterion computes from the datapoints of a window."""

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that computes the value of one window."""
        criterion, reader = self.criterion, self.reader(series)
        points = {name: reader.points(name) for name in criterion.metric_names}

        def measure(start: int) -> WindowCounts | None:
            found = {name: point[start] for name, point in points.items() if start in point}
            try:
                value = criterion.value(found)
                if value is None:
                    return None
                measured, samples = map(float, value)
            except Exception:  # noqa: BLE001 - a package's fault keeps no other criterion from failing
                return INCONSISTENT
            if not (isfinite(measured) and isfinite(samples)):
                return INCONSISTENT
            return WindowCounts(Counts(samples, measured), measured, criterion.breaches(measured))

        return measure

    @property
    def value_bound(self) -> Bound:
        """The bound, and what the package calls the value."""
        one = self.criterion
        return Bound(one.widest, one.is_maximum, one.subject, one.value_unit(self.metrics))
