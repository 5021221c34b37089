"""Criteria of kind `share`: the share of requests on the canary against the weight.

A share off the weight means that the target does not do what the controller expects. A rollback
would not mend that, so the criterion never fails: the rollout is on hold, and an operator decides.
"""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import MinSamples, Split, SplitRange
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.series import Measure, Window
from controller.core.observation import Series
from controller.core.policy import Share
from controller.core.stats.binomial import acceptance_region
from controller.core.stats.counts import Counts
from controller.core.units import count_text, format_percent, percent_beside


class ShareJudge(CriterionJudge[Share]):
    """The requests of both paths, as the weight divides them."""

    samples_field: ClassVar[str] = "min_samples"
    counts_both_paths: ClassVar[bool] = True

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that reads the requests of both paths in one window."""
        reader = self.reader(series)
        canary, control = (
            reader.points(self.criterion.metric),
            reader.points(self.criterion.control),
        )

        def measure(start: int) -> Window | None:
            canary_count, control_count = canary.get(start, 0.0), control.get(start, 0.0)
            total = canary_count + control_count
            return Window(Counts(total, canary_count), canary_count / total) if total > 0 else None

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
        split = Split(canary)
        if not context.bake_over:
            return finding(undecided(Label.NOT_JUDGED, FindingReason.SPLIT_SO_FAR), split)
        low, high = allowed_range(trials, weight, criterion)
        expected = SplitRange(low, high, criterion.tolerance, criterion.confidence)
        if low <= canary <= high:
            return finding(passed(FindingReason.SPLIT_FITS), split, expected)
        return finding(undecided(Label.BAD_DATA, FindingReason.SPLIT_OFF), split, expected)

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        """Return the share that is asked for, and when it is judged."""
        criterion = self.criterion
        return (
            f"the share {criterion.metric} / ({criterion.metric} + {criterion.control}) equals the "
            f"weight (tolerance {format_percent(criterion.tolerance)}, confidence "
            f"{format_percent(criterion.confidence)}); judged at the end of the bake, from "
            f"{count_text(criterion.min_samples, 'sample')} on; out of range it keeps the rollout "
            "on hold, and never rolls back"
        )

    def target_text(self) -> str:
        """Return the weight of any step, and how far off a share may be."""
        return f"weight ± {format_percent(self.criterion.tolerance)}"

    def bound_text(self, bound: float) -> str:
        """Return the weight, and how far off a share may be."""
        return f"{percent_beside(bound, bound, 0)} ± {format_percent(self.criterion.tolerance)}"

    def value_text(self, value: float, bound: float) -> str:
        """Return the share of requests on the canary."""
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
