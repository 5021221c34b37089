"""Kinds of criteria of another package, which judge a share of requests and no failures."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from controller.core.policy.comparison import Comparison, Ratio
from controller.core.policy.criteria.measured import Threshold
from controller.core.policy.judge_settings import MeasuredCriterion
from controller.core.policy.metric_uses import RequestsMetric
from controller.core.units import PercentUpTo


class Retried(MeasuredCriterion):
    """The share of requests that are retries is at most `max`."""

    kind: Literal["retried"] = Field(description="Kind of the criterion.")
    retries: RequestsMetric = Field(description="Metric that counts retries.")
    total: RequestsMetric = Field(description="Metric that counts requests.")
    max: Annotated[float, PercentUpTo("100%")] = Field(
        description="Largest share of retries that passes."
    )

    @property
    def bound(self) -> float:
        return self.max

    @property
    def subject(self) -> str:
        return f"{self.retries} of {self.total}"

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        total = points.get(self.total, 0.0)
        return (points.get(self.retries, 0.0) / total, total) if total else None

    def compares(self) -> tuple[Comparison, ...]:
        share = Ratio((self.retries,), (self.total,))
        return (Comparison(share, self.max, is_maximum=True, window=self.window, field="max"),)


class RetriedByEvidence(Threshold):
    """The same, for either judge: a pass and a failure follow from the evidence of every minute."""

    kind: Literal["retried_by_evidence"]  # type: ignore[assignment] # another kind, on purpose
    metric: RequestsMetric
    per: RequestsMetric
