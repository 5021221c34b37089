"""A criterion of another package: the slowest requests are not much slower than the usual ones.

A canary that hangs for a few requests raises a high percentile and leaves the median alone.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from controller.core.policy import ConcurrentBaseline, MeasuredCriterion
from controller.core.policy.comparison import Comparison, Increase
from controller.core.policy.metric_uses import MetricName


class LatencySpread(MeasuredCriterion):
    """A high percentile is at most `max` times a usual one, in the same window."""

    unit: ClassVar[str] = "times"

    kind: Literal["latency_spread"] = Field(description="Kind of the criterion.")
    metric: MetricName = Field(description="Metric with a high percentile, like p99.")
    usual: MetricName = Field(description="The same metric with a usual percentile, like p50.")
    max: Annotated[float, Field(gt=1)] = Field(description="Largest ratio that holds.")

    @property
    def bound(self) -> float:
        """The largest ratio that holds."""
        return self.max

    @property
    def subject(self) -> str:
        """What the ratio is called in a sentence."""
        return f"{self.metric} per {self.usual}"

    def compares(self) -> tuple[Comparison, ...]:
        """Return the ratio as an increase over the usual percentile, for an alarm and a graph."""
        increase = Increase(self.metric, ConcurrentBaseline(concurrent=self.usual))
        return (Comparison(increase, self.max - 1, True, self.window, field="max"),)

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        """Return the ratio in one window, as one sample; None without both percentiles."""
        high, usual = points.get(self.metric), points.get(self.usual)
        return None if high is None or not usual else (high / usual, 1.0)
