"""Kinds of criteria of another package, which judge a share of requests and no failures."""

from typing import Annotated, Literal

from controller.core.policy.comparison import Comparison, Ratio
from controller.core.policy.criteria.measured import Threshold
from controller.core.policy.judge_settings import MeasuredCriterion
from controller.core.policy.metric_uses import RequestsMetric
from controller.core.units import PercentUpTo


class Retried(MeasuredCriterion):
    """The share of requests that are retries is at most `max`."""

    kind: Literal["retried"]
    retries: RequestsMetric
    total: RequestsMetric
    max: Annotated[float, PercentUpTo("100%")]

    @property
    def bound(self) -> float:
        return self.max

    @property
    def subject(self) -> str:
        return f"{self.retries} of {self.total}"

    def compares(self) -> tuple[Comparison, ...]:
        share = Ratio((self.retries,), (self.total,))
        return (Comparison(share, self.max, is_maximum=True, window=self.window, field="max"),)


class RetriedByEvidence(Threshold):
    """The same, for either judge: a pass and a failure follow from the evidence of every minute."""

    kind: Literal["retried_by_evidence"]  # type: ignore[assignment] # another kind, on purpose
    metric: RequestsMetric
    per: RequestsMetric
