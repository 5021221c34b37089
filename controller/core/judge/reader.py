"""What a window is read from: the series of an observation, and counts put together of several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.judge.queries import key
from controller.core.observation import Answer, Series
from controller.core.policy import Metric

NO_SERIES = Series(answer=Answer.ERROR, message="was not asked for")

Failing: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a window -> requests and failures; None without requests; failures -1: no sense."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The series of an observation, by the names that a policy gives its metrics."""

    metrics: Mapping[str, Metric]
    series: Mapping[str, Series]
    period_s: int

    def points(self, metric: str, statistic: str | None = None) -> Mapping[int, float]:
        """Return the datapoints of a statistic, that of the metric where none is said."""
        return self._answer(metric, statistic).points

    def failing(self, total: str, failures: Sequence[str], *, capped: bool) -> Failing:
        """Return how requests and failures of a window are counted.

        capped: more failures than requests are as many; else they make no sense together. A request
        may fail twice where failures overlap, and none of them was well.
        """
        totals = self.points(total)
        parts = [(self.points(name), self.absent_is_zero(name)) for name in failures]

        def counted(start: int) -> tuple[float, float] | None:
            requests = totals.get(start, 0.0)
            if requests <= 0:
                return None
            failed = 0.0
            for counts, absent_is_zero in parts:
                value = counts.get(start)
                if value is None and not absent_is_zero:
                    return requests, -1.0
                failed += value or 0.0
            if failed > requests:
                return requests, requests if capped else -1.0
            return requests, failed

        return counted

    def absent_is_zero(self, metric: str) -> bool:
        """Tell whether a window without a datapoint of `metric` has none of what it counts."""
        # What a failed query left out is not zero: it is unknown.
        complete = self._answer(metric).answer is Answer.COMPLETE
        return complete and self.metrics[metric].missing == "zero"

    def _answer(self, metric: str, statistic: str | None = None) -> Series:
        name = key(metric, statistic or self.metrics[metric].statistic, self.period_s)
        return self.series.get(name, NO_SERIES)
