"""A criterion of another package that is judged in its own way."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from controller.core.judge.criterion_judge import Context, CriterionJudge, passed, undecided
from controller.core.judge.findings import Fact
from controller.core.judge.series import Measure, WindowCounts
from controller.core.policy.judge_settings import Criterion, MeasuredCriterion
from controller.core.policy.metric_uses import FailureMetrics, MetricName, RequestsMetric
from controller.core.stats.counts import Counts
from tests.support.core import Finding, Label, Series, Tally


class EnoughDatapoints(Criterion):
    """A metric has had a number of datapoints. fault: the method of its judge that raises."""

    judged_by: ClassVar[str] = "tests.support.own_kind:EnoughDatapointsJudge"

    kind: Literal["datapoints"]
    metric: MetricName
    min: int
    fault: Literal["measure", "conclude"] | None = None


class FailureShare(MeasuredCriterion):
    """The share of requests that failed in a window is at most `max`."""

    kind: Literal["failure_share"]
    total: RequestsMetric
    failures: FailureMetrics
    max: float

    @property
    def bound(self) -> float:
        return self.max

    @property
    def subject(self) -> str:
        return "share of failures"

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        total = points.get(self.total, 0.0)
        failed = sum(points.get(name, 0.0) for name in self.failures)
        return (failed / total, total) if total else None


class EnoughDatapointsJudge(CriterionJudge[EnoughDatapoints]):
    """Counts windows with data, whatever is in them."""

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        self._fail_in("measure")
        points = self.reader(series).points(self.criterion.metric)
        return lambda start: (
            WindowCounts(Counts(1.0, 1.0), points[start]) if start in points else None
        )

    def conclude(self, tally: Tally, context: Context) -> Finding:
        self._fail_in("conclude")
        enough = tally.windows >= self.criterion.min
        outcome = passed("enough") if enough else undecided(Label.TOO_FEW, "too_few")
        facts: dict[str, Fact] = {"text": f"{self.name} has {tally.windows} datapoints."}
        return self.finding(
            context, outcome, facts, measured=tally.counts.amount, samples=tally.counts.samples
        )

    def _fail_in(self, method: str) -> None:
        if self.criterion.fault == method:
            raise ZeroDivisionError("a fault of the package")
