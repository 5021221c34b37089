"""Criteria of kind `traffic` and `share`: requests arrive on the canary, as its weight says.

A share off the weight means that the target does not do what the controller expects. A rollback
would not mend that, so the criterion never fails: the rollout is on hold, and an operator decides.
"""

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
from controller.core.judge.facts import MinSamples, SplitFacts, SplitRange, UnreachedCanary
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.sequential import SILENCE_SIGNIFICANCE
from controller.core.judge.series import Measure, WindowCounts
from controller.core.observation import Series
from controller.core.policy import Share, Traffic
from controller.core.stats.binomial import acceptance_region
from controller.core.stats.counts import Counts
from controller.core.units import count_text, format_percent, percent_beside

# --- Traffic --------------------------------------------------------------------------------------


class TrafficJudge(CriterionJudge[Traffic]):
    """Requests of the canary, with those of the stable path as a control."""

    samples_field: ClassVar[str] = "min"

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        reader = self.reader(series)
        values = reader.points(self.criterion.metric)
        control = {} if self.criterion.control is None else reader.points(self.criterion.control)

        def measure(start: int) -> WindowCounts | None:
            count, control_count = values.get(start), control.get(start, 0.0)
            if count is None and not control_count:
                return None
            canary = count or 0.0
            return WindowCounts(Counts(canary, canary, control_count, control_count), canary)

        return measure

    def can_fail_after(self, finding: Finding | None) -> bool:
        """Tell whether silence can still fail it: before the first request, beside a control."""
        arrived = finding is not None and bool(finding.measured)
        return not arrived and self.criterion.control is not None

    def may_fail_early(self, tally: Tally) -> bool:
        """Tell whether only the stable path has requests."""
        return bool(tally.counts.control_amount) and not tally.counts.amount

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return `pass` for enough requests, and `fail` for a silence that chance rules out."""
        minimum = self.criterion.min
        count, control = tally.counts.amount, tally.counts.control_amount
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
        return f"≥ {super().bound_text(bound)}"


# --- Share of traffic -----------------------------------------------------------------------------


class ShareJudge(CriterionJudge[Share]):
    """The requests of both paths, as the weight divides them."""

    samples_field: ClassVar[str] = "min_samples"
    counts_both_paths: ClassVar[bool] = True

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        reader = self.reader(series)
        canary = reader.points(self.criterion.metric)
        control = reader.points(self.criterion.control)

        def measure(start: int) -> WindowCounts | None:
            canary_count, control_count = canary.get(start, 0.0), control.get(start, 0.0)
            total = canary_count + control_count
            if total <= 0:
                return None
            return WindowCounts(Counts(total, canary_count), canary_count / total)

        return measure

    def can_fail_after(self, finding: Finding | None) -> bool:
        """Return False: a share that does not fit holds the rollout."""
        return False

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the counts of the step, at the end of its bake: one look.

        While the rollout is on hold after that, every tick judges again, over more requests.
        """
        criterion = self.criterion
        trials, canary = round(tally.counts.samples), round(tally.counts.amount)
        weight = context.weight / 100
        finding = partial(
            self.finding,
            context,
            measured=canary / trials if trials else None,
            bound=weight,
            samples=trials,
            end=min(tally.through, context.open_end),
        )
        unready = not_ready(tally, context, self.period_s)
        if unready is not None:
            return finding(*unready)
        if not trials:
            return finding(undecided(Label.NO_DATA, FindingReason.NO_REQUESTS))
        if trials < criterion.min_samples:
            needed = MinSamples(criterion.min_samples)
            return finding(undecided(Label.TOO_FEW, FindingReason.TOO_FEW_TO_SPLIT), needed)
        split = SplitFacts(canary)
        if not context.bake_over:
            return finding(undecided(Label.NOT_JUDGED, FindingReason.SPLIT_SO_FAR), split)
        low, high = allowed_range(trials, weight, criterion)
        expected = SplitRange(low, high, criterion.tolerance, criterion.confidence)
        if low <= canary <= high:
            return finding(passed(FindingReason.SPLIT_FITS), split, expected)
        return finding(undecided(Label.BAD_DATA, FindingReason.SPLIT_OFF), split, expected)

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        criterion = self.criterion
        return (
            f"the share {criterion.metric} / ({criterion.metric} + {criterion.control}) equals the "
            f"weight (tolerance {format_percent(criterion.tolerance)}, confidence "
            f"{format_percent(criterion.confidence)}); judged at the end of the bake, from "
            f"{count_text(criterion.min_samples, 'sample')} on; out of range it keeps the rollout "
            "on hold, and never rolls back"
        )

    def target_text(self) -> str:
        return f"weight ± {format_percent(self.criterion.tolerance)}"

    def bound_text(self, bound: float) -> str:
        return f"{percent_beside(bound, bound, 0)} ± {format_percent(self.criterion.tolerance)}"

    def value_text(self, value: float, bound: float) -> str:
        return percent_beside(value, bound)


def allowed_range(trials: int, weight: float, criterion: Share) -> tuple[int, int]:
    """Return the fewest and the most of `trials` that are within tolerance of `weight`, or chance.

    weight: as a fraction.
    """
    lowest, highest = max(0.0, weight - criterion.tolerance), min(1.0, weight + criterion.tolerance)
    return (
        acceptance_region(trials, lowest, criterion.confidence)[0],
        acceptance_region(trials, highest, criterion.confidence)[1],
    )
