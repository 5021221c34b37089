"""The threshold judge: each closed window against a bound; `failure_limit` breaches in a row fail.

A pass means: the newest window is within the bound, no run of breaches has reached `failure_limit`,
and there were enough samples. It confirms no objective, so its label is `no regression detected`.
A criterion whose model computes the value, like those of other packages, is judged so as well.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from math import isfinite
from typing import Generic, TypeVar

from controller.core.judge.bound import Bound
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
from controller.core.judge.facts import Breach, Breaching, Facts, WindowFacts
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.progress import Progress, towards_breaches, towards_samples
from controller.core.judge.series import INCONSISTENT, Measure, WindowCounts, silent_periods
from controller.core.observation import Series
from controller.core.policy import MeasuredCriterion, SuccessRate, Threshold
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.counts import Counts
from controller.core.units import count_text, format_duration

W = TypeVar("W", bound=SuccessRate | Threshold | MeasuredCriterion)


class WindowJudge(CriterionJudge[W], Generic[W]):
    """A criterion whose windows are compared with one bound, one by one.

    A kind says what it reads, how a window is measured, and its bound. The judgement follows.
    """

    @property
    def value_bound(self) -> Bound:
        raise NotImplementedError

    @property
    def look_back(self) -> timedelta:
        """The windows that fail, and one more, because the first may have begun before."""
        return (self.criterion.failure_limit + 1) * self.criterion.window

    def worst_value(self, series: Mapping[str, Series], starts: range) -> float | None:
        windows = map(self.measure(series, has_traffic=False), starts)
        return self.value_bound.worst(
            window.value for window in windows if window and window.consistent
        )

    def count_facts(self, tally: Tally) -> list[Facts]:
        """Return the counts behind the value, for a kind that has more than samples."""
        return []

    def may_fail_early(self, tally: Tally) -> bool:
        """Tell whether enough windows in a row breach the bound."""
        limit: int = self.criterion.failure_limit
        return tally.longest_run.length >= limit

    def conclude(self, tally: Tally, context: Context) -> Finding:
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
        bound = self.value_bound
        windows = WindowFacts(
            subject=bound.subject,
            side=bound.side,
            unit=bound.unit,
            window_s=self.period_s,
            min_samples=self.criterion.min_samples,
            last_end=tally.last_end,
            bad_windows=tally.inconsistent,
        )
        return [windows, *self.count_facts(tally)]

    def progress(self, finding: Finding, stored: SequentialState) -> Progress:
        """Return the breaches in a row beside those that fail, and the samples of a pass."""
        return Progress(
            towards_breaches(finding, self.criterion.failure_limit),
            towards_samples(finding, self.min_samples),
            keeps_limit=finding.reason != FindingReason.BREACHING,
        )

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
        return f"{self.value_bound.demand}; {self.windows_text}"


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


class MeasuredJudge(WindowJudge[MeasuredCriterion]):
    """The value that the criterion computes from the datapoints of a window."""

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
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
