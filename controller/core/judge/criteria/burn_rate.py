"""Criteria of kind `burn_rate`: how fast an error budget burns, in two windows at once.

A burn rate is the share of failures over the share that the objective allows: at 1 the budget lasts
exactly as long as it is meant to. The long window shows that enough of it is gone, the short one
that it still burns (The Site Reliability Workbook, chapter 5: "Alerting on SLOs").
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from math import isnan
from typing import ClassVar, TypeAlias

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    failed,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import BreachRun, Tally
from controller.core.judge.facts import (
    Budget,
    BudgetWindow,
    BurnFacts,
    BurnRates,
    Facts,
    Failures,
    UndecidedPair,
)
from controller.core.judge.findings import Finding, FindingReason, Label, Verdict
from controller.core.judge.progress import (
    Distance,
    Progress,
    ProgressUnit,
    share_of,
    towards_samples,
)
from controller.core.judge.series import INCONSISTENT, Measure, WindowCounts, silent_periods
from controller.core.observation import Series
from controller.core.policy import BurnRate, BurnWindow
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.counts import Counts
from controller.core.units import (
    count_text,
    format_duration,
    format_percent,
    number_beside,
    number_text,
)
from controller.immutable import Immutable, replace

Recent: TypeAlias = tuple[tuple[float, float], ...]
"""Requests and failures of the newest windows, oldest first."""


class Burn(Immutable):
    """One pair of windows at one moment: long, short: burn rates; requests: in the long window."""

    pair: BurnWindow
    long: float
    short: float
    requests: float

    @property
    def limit_ratio(self) -> float:
        """How near the pair is to failing: above 1 it fails."""
        return min(self.long, self.short) / self.pair.factor

    @property
    def text(self) -> str:
        """How fast the budget burns in both windows, and how fast it may."""
        long, short = format_duration(self.pair.long), self.pair.short_text
        rates = (
            f"{number_text(round(self.long, 1))}x over {long} and "
            f"{number_text(round(self.short, 1))}x over {short}"
        )
        return f"{rates} (fails above {self.pair.factor:g}x in both)"


class BurnRateJudge(CriterionJudge[BurnRate]):
    """The error budget of an objective, in pairs of windows."""

    samples_field: ClassVar[str] = "min_samples"

    # --- windows ----------------------------------------------------------------------------------

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        criterion = self.criterion
        canary = self.reader(series).failure_counter(
            criterion.total, criterion.failures, capped=False
        )

        def measure(start: int) -> WindowCounts | None:
            counts = canary(start)
            if counts is None:
                return None
            total, failures = counts
            if isnan(failures):
                return INCONSISTENT
            return WindowCounts(Counts(total, failures), failures / total)

        return measure

    def fold(self, tally: Tally, measure: Measure, starts: Sequence[int]) -> Tally:
        """Return `tally` with the windows at `starts` folded in, in order.

        All pairs are computed at the end of each window. The first pair that burnt too fast stays
        in the tally, so the criterion fails however rarely a tick runs.
        """
        recent, worst = tally.recent, tally.longest_run
        for start in starts:
            window, counted = measure(start), (0.0, 0.0)
            if window is not None and window.consistent:
                counted = window.counts.samples, window.counts.amount
            recent = (*recent, counted)[-self._longest :]
            if not worst.length:
                worst = self._breach(recent, start + self.period_s)
        return replace(super().fold(tally, measure, starts), recent=recent, longest_run=worst)

    def after_loss(self, tally: Tally) -> Tally:
        """Return `tally` with no more recent windows than the longest pair needs."""
        return replace(tally, recent=tally.recent[-self._longest :])

    @property
    def look_back(self) -> timedelta:
        """The longest window."""
        return self.criterion.longest_window

    def worst_value(self, series: Mapping[str, Series], starts: range) -> float | None:
        """Return how many times its factor the fastest pair has burnt at most."""
        measure, tally, worst = self.measure(series, has_traffic=False), Tally(), 0.0
        for start in starts:
            tally = self.fold(tally, measure, (start,))
            fastest = self._fastest_burn(tally.recent)
            if fastest.requests >= self.criterion.min_samples:
                worst = max(worst, fastest.limit_ratio)
        return worst or None

    @property
    def _longest(self) -> int:
        """How many windows the longest pair looks back over."""
        return self.criterion.longest_window // self.criterion.window

    def _breach(self, recent: Recent, end: int) -> BreachRun:
        """Return the long window that burns too fast at `end`; of length 0 where none does."""
        fastest = self._fastest_burn(recent)
        if fastest.limit_ratio <= 1 or fastest.requests < self.criterion.min_samples:
            return BreachRun()
        return BreachRun(1, end - int(fastest.pair.long.total_seconds()), end, fastest.long)

    # --- burn rates -------------------------------------------------------------------------------

    def burns(self, recent: Recent) -> list[Burn]:
        """Return the burn rates of every pair of windows at the end of `recent`.

        Where a window reaches back beyond the begin of the step, the time before counts as requests
        like those since, without a failure: so nothing fails sooner than it would with a longer
        past, and a short past is never taken for a long one.
        """
        burns = []
        for pair in self.criterion.windows:
            long, requests = self._rate_and_requests(recent, pair.long)
            short, _ = self._rate_and_requests(recent, pair.short)
            burns.append(Burn(pair, long, short, requests))
        return burns

    def _fastest_burn(self, recent: Recent) -> Burn:
        """Return the pair that is nearest to failing, of those that have enough requests."""
        burns = self.burns(recent)
        judgeable = [burn for burn in burns if burn.requests >= self.criterion.min_samples]
        return max(judgeable or burns, key=lambda one: one.limit_ratio)

    def _rate_and_requests(self, recent: Recent, length: timedelta) -> tuple[float, float]:
        """Return the burn rate over the newest `length`, 0.0 without requests, and its requests."""
        newest = recent[-(length // self.criterion.window) :]
        requests, failures = map(sum, zip(*newest, strict=True)) if newest else (0, 0)
        if not requests:
            return 0.0, requests
        covered_share = len(newest) * self.criterion.window / length
        return failures / requests / self.allowed_failures * covered_share, requests

    @property
    def allowed_failures(self) -> float:
        """The budget: the share of requests that may fail."""
        return 1 - self.criterion.slo

    # --- finding ----------------------------------------------------------------------------------

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding of `tally` on the error budget."""
        fastest, worst = self._fastest_burn(tally.recent), tally.longest_run
        end = min(tally.through, context.open_end)
        finding = partial(self.finding, context, samples=tally.counts.samples, end=end)
        facts: list[Facts] = [Budget(self.allowed_failures), Failures(tally.counts.amount)]
        if worst.length:
            facts.append(BurnFacts(max(worst.start, context.start), worst.end))
            measured = worst.value if tally.windows else None
            bound = self._burnt_factor(worst)
            outcome = failed(FindingReason.BUDGET_BURNT)
            return finding(outcome, *facts, measured=measured, bound=bound)
        finding = partial(
            finding,
            measured=fastest.long if tally.windows else None,
            bound=fastest.pair.factor,
        )
        unready = not_ready(tally, context, self.period_s)
        if unready is not None:
            return finding(*unready)
        facts.append(BudgetWindow(self.criterion.min_samples, tally.last_end))
        lack = self._missing_data(tally)
        if lack is not None:
            return finding(lack, *facts)
        short = self._undecided_pair(tally)
        if short is not None:
            long = format_duration(short.pair.long)
            facts.append(UndecidedPair(short.pair.factor, long, short.requests))
            return finding(undecided(Label.TOO_FEW, FindingReason.BUDGET_UNDECIDED), *facts)
        facts.append(BurnRates(", ".join(burn.text for burn in self.burns(tally.recent))))
        return finding(passed(FindingReason.BUDGET_KEPT), *facts)

    def _missing_data(self, tally: Tally) -> Outcome | None:
        """Return what is missing for a pass; None when nothing is."""
        if tally.newest_inconsistent or (tally.inconsistent and tally.windows == 0):
            return undecided(Label.BAD_DATA, FindingReason.BUDGET_BAD_COUNTS)
        label = Label.NO_RECENT_DATA if tally.last_end else Label.NO_DATA
        silence = undecided(label, FindingReason.BUDGET_NO_REQUESTS)
        if tally.windows == 0:
            return silence
        if tally.counts.samples < self.criterion.min_samples:
            return undecided(Label.TOO_FEW, FindingReason.BUDGET_TOO_FEW)
        return silence if silent_periods(tally, self.period_s) else None

    def _undecided_pair(self, tally: Tally) -> Burn | None:
        """Return a pair that burns too fast and has too few requests to fail; None without one.

        It burns too fast now, or over the whole step: little traffic is no reason to pass then.
        """
        step_rate = tally.counts.amount / tally.counts.samples / self.allowed_failures
        undecided = [
            burn
            for burn in self.burns(tally.recent)
            if burn.requests < self.criterion.min_samples
            and (burn.limit_ratio > 1 or step_rate > burn.pair.factor)
        ]
        return max(undecided, key=lambda one: one.limit_ratio, default=None)

    def _burnt_factor(self, worst: BreachRun) -> float:
        """Return the factor of the pair whose long window burnt too fast."""
        length = timedelta(seconds=worst.end - worst.start)
        return next(pair.factor for pair in self.criterion.windows if pair.long == length)

    def progress(self, finding: Finding, stored: SequentialState) -> Progress:
        """Return the burn rate beside its factor, and the samples of a pass."""
        rate, factor, burnt = finding.measured, finding.bound, None
        if rate is not None and factor:
            share = 1.0 if finding.verdict is Verdict.FAIL else share_of(rate, factor)
            burnt = Distance(share, rate, factor, ProgressUnit.BURN_RATE)
        return Progress(burnt, towards_samples(finding, self.min_samples))

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        criterion = self.criterion
        pairs = ", or ".join(pair.text for pair in criterion.windows)
        return (
            f"{' + '.join(criterion.failures)} of {criterion.total}: fails when the error budget "
            f"of {format_percent(self.allowed_failures)} burns faster than {pairs}; a pass needs "
            f"{count_text(criterion.min_samples, 'sample')}"
        )

    def target_text(self) -> str:
        return f"burn {' and '.join(map(_pair_target_text, self.criterion.windows))}"

    def bound_text(self, bound: float) -> str:
        """Return how fast the budget may burn in the pair of windows that has this bound."""
        pairs = [pair for pair in self.criterion.windows if pair.factor == bound]
        return f"burn {' and '.join(map(_pair_target_text, pairs))}"

    def value_text(self, value: float, bound: float) -> str:
        return f"{number_beside(round(value, 2), bound)}x"


def _pair_target_text(pair: BurnWindow) -> str:
    return f"≤ {pair.factor:g}x in {format_duration(pair.long)}"
