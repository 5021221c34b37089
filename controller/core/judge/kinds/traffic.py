"""Criteria of kind `traffic`: requests arrived on the canary."""

from collections.abc import Mapping
from functools import partial
from math import exp
from typing import ClassVar

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    failed,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import UnreachedCanary
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.sequential import SILENCE_SIGNIFICANCE
from controller.core.judge.series import Measure, Window
from controller.core.observation import Series
from controller.core.policy import Traffic
from controller.core.stats.counts import Counts


class TrafficJudge(CriterionJudge[Traffic]):
    """Requests of the canary, with those of the stable path as a control."""

    samples_field: ClassVar[str] = "min"

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that reads the requests of one window."""
        reader = self.reader(series)
        values = reader.points(self.criterion.metric)
        control = {} if self.criterion.control is None else reader.points(self.criterion.control)

        def measure(start: int) -> Window | None:
            count, control_count = values.get(start), control.get(start, 0.0)
            if count is None and not control_count:
                return None
            canary = count or 0.0
            return Window(Counts(canary, canary, control_count, control_count), canary)

        return measure

    def can_fail_after(self, finding: Finding | None) -> bool:
        """Tell whether silence can still fail it: before the first request, beside a control."""
        arrived = finding is not None and bool(finding.measured)
        return not arrived and self.criterion.control is not None

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return `pass` for enough requests, and `fail` for a silence that chance rules out."""
        minimum, count, control = (
            self.criterion.min,
            tally.counts.amount,
            tally.counts.control_amount,
        )
        unready = not_ready(tally, context, self.period_s)
        finding = partial(
            self.finding,
            context,
            measured=None if unready is not None else count,
            bound=float(minimum),
            samples=max(0, count),
            end=min(tally.through, context.open_end),
        )
        if unready is not None:
            return finding(*unready)
        if count >= minimum:
            return finding(passed(FindingReason.REQUESTS_ARRIVED))
        if not count and control and context.weight < 100:
            expected = control * context.weight / (100 - context.weight)
            if exp(-expected) < SILENCE_SIGNIFICANCE:  # Poisson: P(0 requests | expected)
                facts = UnreachedCanary(expected, control)
                return finding(failed(FindingReason.CANARY_UNREACHED), facts)
        label = Label.TOO_FEW if count else Label.NO_DATA
        return finding(undecided(label, FindingReason.TOO_FEW_ARRIVED))

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        """Return how many requests are asked for."""
        criterion = self.criterion
        text = f"{criterion.metric} at least {criterion.min} in the step; fewer keep it on hold"
        if criterion.control is None:
            return text
        return f"{text}, and none at all fails it while {criterion.control} has traffic"

    @property
    def bound(self) -> float:
        """How many requests are asked for."""
        return float(self.criterion.min)

    def bound_text(self, bound: float) -> str:
        """Return how many requests are asked for."""
        return f"≥ {super().bound_text(bound)}"
