"""The threshold judge: each closed window against a bound; `failure_limit` breaches in a row fail.

A pass means: the newest window is within the bound, no run of breaches has reached `failure_limit`,
and there were enough samples. It confirms no objective, so its label is `no regression detected`.
"""

from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    failed,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import FRACTION, Breach, Breaching, Facts, Windows
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.tally import silent_periods
from controller.core.policy import MeasuredCriterion, SuccessRate, Threshold
from controller.core.units import (
    count_text,
    format_duration,
    format_percent,
    number_beside,
    number_text,
    percent_beside,
)

W = TypeVar("W", bound=SuccessRate | Threshold | MeasuredCriterion)


class WindowJudge(CriterionJudge[W], Generic[W]):
    """A criterion whose windows are compared with one bound, one by one."""

    @property
    def is_maximum(self) -> bool:
        """True when the bound is the largest value that holds, else the smallest."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What the value is called in a sentence."""
        raise NotImplementedError

    @property
    def unit(self) -> str:
        """The unit of the value; FRACTION for one that is shown as a percent."""
        raise NotImplementedError

    @property
    def look_back(self) -> timedelta:
        """The windows that fail, and one more, because the first may have begun before."""
        if self.criterion.sequential:
            return timedelta()
        return (self.criterion.failure_limit + 1) * self.criterion.window

    def count_facts(self, tally: Tally) -> list[Facts]:
        """Return the counts behind the value, for a kind that has more than samples."""
        return []

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the windows of the step."""
        return self.conclude_windows(tally, context)

    def conclude_windows(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the windows of the step, compared one by one."""
        end, worst = min(tally.through, context.open_end), tally.longest_run
        finding = partial(
            self.finding, context, bound=self.bound, samples=tally.counts.samples, end=end
        )
        if worst.length >= self.criterion.failure_limit:
            breach = Breach(
                breaches=worst.length,
                breach_start=worst.start,
                breach_end=min(worst.end, context.open_end),
                breach_windows=(worst.end - worst.start) // self.period_s,
            )
            facts = [*self._facts(tally), breach]
            return finding(failed(FindingReason.BREACHED), *facts, measured=worst.value)
        finding = partial(finding, measured=tally.last)
        unready = not_ready(tally, context, self.period_s)
        if unready is not None:
            return finding(*unready)
        facts = self._facts(tally)
        lack = _missing_data(self.criterion.min_samples, tally, self.period_s)
        if lack is not None:
            return finding(lack, *facts)
        if tally.last_breach:
            run = Breaching(tally.run.length, self.criterion.failure_limit)
            return finding(undecided(Label.NOT_JUDGED, FindingReason.BREACHING), *facts, run)
        return finding(passed(FindingReason.WITHIN_BOUND), *facts)

    def _facts(self, tally: Tally) -> list[Facts]:
        windows = Windows(
            subject=self.subject,
            side="at most" if self.is_maximum else "at least",
            unit=self.unit,
            window_s=self.period_s,
            min_samples=self.criterion.min_samples,
            last_end=tally.last_end,
            bad_windows=tally.inconsistent,
        )
        return [windows, *self.count_facts(tally)]

    # --- in words ---------------------------------------------------------------------------------

    @property
    def windows_text(self) -> str:
        """How windows become a verdict."""
        limit = self.criterion.failure_limit
        failure_text = "one breach fails" if limit == 1 else f"{limit} breaches in a row fail"
        return (
            f"windows of {format_duration(self.criterion.window)}, {failure_text}, a pass needs "
            f"{count_text(self.criterion.min_samples, 'sample')}"
        )

    def demand_text(self) -> str:
        """Return the bound, and how windows are judged."""
        side = "at most" if self.is_maximum else "at least"
        bound = (
            format_percent(self.bound)
            if self.unit == FRACTION
            else f"{number_text(self.bound)} {self.unit}".rstrip()
        )
        return f"{self.subject} {side} {bound}; {self.windows_text}"

    def bound_text(self, bound: float) -> str:
        """Return the bound, and on which side of it the criterion passes."""
        text = (
            percent_beside(bound, bound)
            if self.unit == FRACTION
            else f"{number_beside(bound, bound)} {self.unit}".rstrip()
        )
        return f"{'≤' if self.is_maximum else '≥'} {text}"

    def value_text(self, value: float, bound: float) -> str:
        """Return the value as a percent, or as a number with its unit."""
        if self.unit == FRACTION:
            return percent_beside(value, bound)
        return f"{number_beside(value, bound)} {self.unit}".rstrip()


def _missing_data(min_samples: int, tally: Tally, period_s: int) -> Outcome | None:
    """Return what is missing for a verdict; None when nothing is."""
    if tally.newest_inconsistent or (tally.inconsistent and tally.windows == 0):
        return undecided(Label.BAD_DATA, FindingReason.BAD_WINDOWS)
    if tally.windows == 0:
        return undecided(Label.NO_DATA, FindingReason.NO_WINDOW)
    if tally.counts.samples < min_samples:
        return undecided(Label.TOO_FEW, FindingReason.TOO_FEW_SAMPLES)
    silent = silent_periods(tally, period_s) > 0
    return undecided(Label.NO_RECENT_DATA, FindingReason.SILENT) if silent else None
