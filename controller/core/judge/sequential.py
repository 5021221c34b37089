"""The sequential judge: fails on the evidence of the whole rollout, passes on that of the step.

Fail: the evidence of one of its tests has reached 1 / its part of `false_rollback`. Pass, at the
end of the bake: there were enough samples, and they keep the bound. Where a later step judges the
criterion too, it is enough that they rule out what the circuit breaker is for, and that the newest
bake-length keeps the bound or is above it by no more than chance explains. A pass is `proven` where
the opposite of the bound was ruled out, and `no regression detected` otherwise.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property, partial
from math import ceil, exp
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    failed,
    judges_of,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import (
    BaselineMeasurement,
    IntervalTotals,
    SequentialResult,
    Tally,
)
from controller.core.judge.facts import (
    BetterThanStable,
    Contradiction,
    Facts,
    LackOfData,
    NewestBake,
    Odds,
    RuledOut,
    Totals,
    odds_limit,
)
from controller.core.judge.findings import Finding, FindingReason, Label, Verdict
from controller.core.judge.progress import (
    Distance,
    Progress,
    failed_odds,
    towards_odds,
    towards_samples,
)
from controller.core.judge.series import WindowCounts, silent_periods
from controller.core.observation import Series
from controller.core.policy import Criterion, LatencyIncrease, Policy, SuccessRate, Threshold
from controller.core.stats.binomial import is_above, rules_out
from controller.core.stats.combined_tests import (
    ControlState,
    MinuteRatios,
    Rejection,
    SequentialState,
)
from controller.core.stats.success_rate import breaker_threshold
from controller.core.stats.two_sample import PairedCounts
from controller.core.units import MINUTE_S, count_text, number_text
from controller.immutable import replace

# A silence counts when it is this unlikely, given the requests that were due (Poisson, P(0)).
SILENCE_SIGNIFICANCE = 0.001
# The worst value before a start as a fix is that of so many minutes.
_WORST_MINUTES = 5

S = TypeVar("S", bound=SuccessRate | LatencyIncrease | Threshold)


class TestPart(NamedTuple):
    """One sequential test of a criterion.

    share: of the budget, before the shares of all tests are made to add up to it. minutes: the
    fewest bad minutes in a row that can roll back, at the evidence of each. saved: of how many of
    them the evidence may come from a single minute after quiet ones. when: in which case it fails,
    where that is not the rule of the criterion itself. block: how many minutes it takes together.
    """

    name: str
    share: float
    minutes: int
    saved: int = 1
    when: str = ""
    block: int = 1


class SequentialJudge(CriterionJudge[S], Generic[S]):
    """A criterion whose evidence adds up over the minutes of a rollout.

    A kind says what it reads, and by the methods of the first three parts what a minute proves,
    what the step measured, and which counts are behind it. The judgement follows from these.
    """

    samples_field: ClassVar[str] = "min_samples"

    @property
    def look_back(self) -> timedelta | None:
        """No further than any criterion: evidence of a few minutes is enough to fail."""
        return timedelta()

    def worst_value(self, series: Mapping[str, Series], starts: range) -> float | None:
        """Return the worst value of a few minutes: one alone may have hardly a request."""
        measure, bound = self.measure(series, has_traffic=False), self.value_bound
        parts = [starts[at : at + _WORST_MINUTES] for at in range(0, len(starts), _WORST_MINUTES)]
        values = [self.step_share(self.fold(Tally(), measure, part))[0] for part in parts]
        return (
            None if bound is None else bound.worst(value for value in values if value is not None)
        )

    # --- what a minute proves ---------------------------------------------------------------------

    def tests(self) -> Iterator[TestPart]:
        """Yield the sequential tests of the criterion."""
        raise NotImplementedError

    @cached_property
    def first_test(self) -> str:
        """The name of the first test, which has a ratio of each datapoint that is judged."""
        return next(iter(self.tests())).name

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        """Return the ratios of one datapoint, and what is known of the control after it.

        window: consistent data of at least one request. control: what was known before.
        judged: False in the warm-up. minutes: those from one datapoint to the next; 0 before the
        second one.
        """
        raise NotImplementedError

    def after_gap(self, control: ControlState, minutes: int) -> ControlState:
        """Return what is known of the control after so many minutes without a datapoint."""
        return control

    def limit_ratios(
        self, ratios: list[MinuteRatios], window: WindowCounts, control: ControlState, age_s: int
    ) -> list[MinuteRatios]:
        """Return what `ratios` are worth in a minute that begins `age_s` after the raise.

        No ratio may be larger than before, so that the evidence stays fair.
        """
        return ratios

    @property
    def mean_count(self) -> float | None:
        """The largest mean count in a window that holds; None for a share of requests."""
        return None

    @property
    def watches_stable_path(self) -> bool:
        """True when the stable path is watched at every step, also where no step is judged."""
        return False

    @property
    def lacks_baseline(self) -> bool:
        """True when there is nothing to compare with: the baseline was not read."""
        return False

    # --- what the step measured -------------------------------------------------------------------

    @property
    def provable_share(self) -> float | None:
        """The failure rate that enough requests rule out; None where nothing is proven."""
        return None

    @property
    def requires_proof(self) -> bool:
        """True when nothing passes without a proof."""
        return False

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the measured value of the step and its bound: a share, or a count in a window."""
        raise NotImplementedError

    def keeps_bound(self, measured: float, bound: float) -> bool:
        """Tell whether `measured` is on the right side of `bound`."""
        return measured <= bound

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain how far `tally` is above `bound`: 95%, one look."""
        return is_above(bound, round(tally.counts.amount), round(tally.counts.samples))

    def in_outage(self, control: ControlState) -> bool:
        """Tell whether the control fails too, so that no higher weight is applied now."""
        return False

    def beside_outage(
        self, tally: Tally, newest: Tally, context: Context
    ) -> BetterThanStable | None:
        """Return how the canary does beside an outage of the control that lasts since the start.

        None where the outage did not begin before the start, is another one, or has become worse.
        """
        return None

    def control_is_over(self, tally: Tally) -> bool:
        """Tell whether the control was in an outage for the whole time of `tally`."""
        return False

    def large_share(self, bound: float) -> float | None:
        """Return the share to rule out where a later step judges too; None: the bound is kept.

        bound: of the step.
        """
        return None if self.requires_proof else breaker_threshold(bound)

    def fewest_samples(self, tally: Tally) -> float:
        """Return the requests of the step, on the path that has fewer where two are compared."""
        return tally.counts.samples

    # --- the counts behind it ---------------------------------------------------------------------

    def totals(self, minutes: IntervalTotals) -> Totals:
        """Return the counts of some minutes beside what is allowed, for a sentence."""
        raise NotImplementedError

    def contradiction(self, context: Context) -> Contradiction | None:
        """Return which data of a minute contradict each other; None where that is unknown."""
        return None

    def rejection_facts(self, minutes: IntervalTotals, test: str) -> list[Facts]:
        """Return the counts that `test` fails for, beside what is allowed."""
        return [self.totals(minutes)]

    def step_totals(self, tally: Tally, start: int) -> Totals:
        """Return the counts since `start`, unix seconds, beside what is allowed, for a sentence."""
        counts = replace(tally.counts, fail_amount=tally.counts.amount)
        return self.totals(IntervalTotals(start, tally.through, counts))

    # --- what follows -----------------------------------------------------------------------------

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the evidence of the rollout, and on the tally of the step."""
        result = context.result
        measured, bound = self.step_share(tally)
        end = min(tally.through, context.open_end)
        finding = partial(
            self.finding,
            context,
            measured=measured,
            bound=bound,
            samples=tally.counts.samples,
            end=end,
        )
        if result.rejection is not None:
            facts = self._rejection_facts(tally, context, result, result.rejection)
            fails = finding(failed(FindingReason.REJECTED), *facts)
            return fails if tally.counts.samples else self._with_counts_of(result.regression, fails)
        unready = not_ready(tally, context, self.period_s)
        if unready is not None:
            return finding(*unready)
        lack = self._missing_data(tally)
        if lack is not None:
            return finding(lack, *self._lack_facts(lack, tally, context))
        outcome, facts = self._outcome(tally, context)
        return finding(outcome, *facts)

    def _outcome(self, tally: Tally, context: Context) -> tuple[Outcome, list[Facts]]:
        """Return the outcome of a step with enough data, for which no test rolls back.

        In an outage, and while the newest bake-length is above its bound, no higher weight is
        applied, whatever the step as a whole shows. The exception is a canary that keeps its bound,
        and is better than a control that failed before the start.
        """
        step, newest = self.step_totals(tally, context.start), context.newest
        if newest is None:
            if self._is_over(tally):
                return undecided(Label.NOT_JUDGED, FindingReason.UNDECIDED), [step]
            return self.conclude_kept_bound(tally, context)
        if not self.in_outage(context.result.control):
            return self._outcome_with_newest(tally, newest, context)
        better = self.beside_outage(tally, newest, context)
        if better is None:
            return undecided(Label.NOT_JUDGED, FindingReason.SHARED_OUTAGE), [step]
        # The newest bake-length has to keep the bound, in enough samples for a pass.
        enough = self.fewest_samples(newest) >= self.criterion.min_samples
        kept = enough and not self._is_over(newest)
        if better.better_odds < better.better_limit or not kept:
            return undecided(Label.NOT_JUDGED, FindingReason.SHARED_OUTAGE), [step, better]
        outcome, facts = self._outcome_with_newest(tally, newest, context)
        return outcome, [*facts, better]

    def _outcome_with_newest(
        self, tally: Tally, newest: Tally, context: Context
    ) -> tuple[Outcome, list[Facts]]:
        """Return the outcome of a step whose criterion a later step judges too."""
        step = self.step_totals(tally, context.start)
        newest_facts: list[Facts] = [
            self.step_totals(newest, context.newest_start),
            NewestBake(context.closed_end - context.newest_start),
        ]
        newest_is_over = self._is_over(newest)
        if newest_is_over and self.exceeds(newest, self.step_share(newest)[1]):
            return undecided(Label.NOT_JUDGED, FindingReason.NEWEST_ABOVE), newest_facts
        # Few canary requests may fail like the control's, and not exceed the bound by themselves.
        if newest_is_over and self.control_is_over(newest):
            return undecided(Label.NOT_JUDGED, FindingReason.SHARED_OUTAGE), newest_facts
        if not self._is_over(tally):
            return self.conclude_kept_bound(tally, context)
        large = self.large_share(self.step_share(tally)[1])
        amount, samples = ceil(tally.counts.amount), int(tally.counts.samples)
        if large is not None and rules_out(large, amount, samples):
            ruled_out = RuledOut(large, int(newest_is_over))
            return passed(FindingReason.RULED_OUT_LARGE), [*newest_facts, ruled_out]
        return undecided(Label.NOT_JUDGED, FindingReason.UNDECIDED), [step]

    def conclude_kept_bound(self, tally: Tally, context: Context) -> tuple[Outcome, list[Facts]]:
        """Return the outcome of a step that kept the bound."""
        return passed(FindingReason.NO_REGRESSION), [self.step_totals(tally, context.start)]

    def _is_over(self, tally: Tally) -> bool:
        """Tell whether `tally` measured something that is on the wrong side of its bound."""
        measured, bound = self.step_share(tally)
        return measured is not None and not self.keeps_bound(measured, bound)

    def _with_counts_of(self, regression: IntervalTotals | None, finding: Finding) -> Finding:
        """Return `finding` of a step without data yet, with the counts of the regression."""
        if regression is None:
            return finding
        minutes = (regression.end - regression.start) // MINUTE_S
        tally = Tally(windows=minutes, counts=regression.counts)
        measured, bound = self.step_share(tally)
        start, end, samples = regression.start, regression.end, int(regression.counts.samples)
        return replace(
            finding, measured=measured, bound=bound, samples=samples, start=start, end=end
        )

    def _rejection_facts(
        self,
        tally: Tally,
        context: Context,
        result: SequentialResult,
        rejection: Rejection,
    ) -> list[Facts]:
        """Return the evidence, and the counts of the minutes or of the step that it is from."""
        odds, regression = Odds(rejection.e_value, rejection.at, rejection.limit), result.regression
        if regression is not None:
            odds = replace(odds, regression_start=regression.start, regression_end=regression.end)
            return [odds, *self.rejection_facts(regression, result.test)]
        return [odds, self.step_totals(tally, context.start)] if tally.counts.samples else [odds]

    def _lack_facts(self, lack: Outcome, tally: Tally, context: Context) -> list[Facts]:
        """Return what a sentence about missing or contradictory data needs."""
        fewest = self.fewest_samples(tally)
        facts: list[Facts] = [LackOfData(tally.last_end, self.criterion.min_samples, fewest)]
        contradiction = self.contradiction(context) if lack[1] is Label.BAD_DATA else None
        return facts if contradiction is None else [contradiction, *facts]

    def _missing_data(self, tally: Tally) -> Outcome | None:
        """Return what is missing for a verdict; None when nothing is."""
        if tally.newest_inconsistent or tally.inconsistent > tally.windows:
            return undecided(Label.BAD_DATA, FindingReason.BAD_COUNTS)
        if self.lacks_baseline:
            return undecided(Label.NO_DATA, FindingReason.BASELINE_UNREAD)
        if tally.windows == 0:
            return undecided(Label.NO_DATA, FindingReason.NO_REQUESTS_YET)
        if self.fewest_samples(tally) < self.criterion.min_samples:
            return undecided(Label.TOO_FEW, FindingReason.TOO_FEW_REQUESTS)
        if _is_silent(tally):
            return undecided(Label.NO_RECENT_DATA, FindingReason.NO_REQUESTS_ANY_MORE)
        return None

    # --- how far it is ----------------------------------------------------------------------------

    def progress(self, finding: Finding, stored: SequentialState) -> Progress:
        """Return the highest likelihood ratio of its tests, and the samples beside those needed."""
        measured, bound = finding.measured, finding.bound
        is_open = finding.verdict is Verdict.INCONCLUSIVE and measured is not None
        return Progress(
            failed_odds(finding) or self._stored_odds(stored.current_version),
            towards_samples(finding, self.min_samples),
            keeps_limit=not is_open or measured is None or self.keeps_bound(measured, bound),
        )

    def _stored_odds(self, stored: SequentialState) -> Distance | None:
        """Return the evidence of the test nearest to failing; None before the first checkpoint."""
        tests = [test for test in self.tests() if test.name in stored.capitals]
        parts = {one.name: part for one, part in budget_shares(self.policy)} if tests else {}
        known = (
            towards_odds(stored.capitals[test.name].e_value, 1 / parts[test.name]) for test in tests
        )
        return max(known, key=lambda one: one.share, default=None)

    # --- in words ---------------------------------------------------------------------------------

    @property
    def evidence_text(self) -> str:
        """What a pass needs."""
        return f"a pass needs {count_text(self.criterion.min_samples, 'sample')}"

    @property
    def limits_text(self) -> str:
        """At which likelihood ratio each test of the criterion fails."""
        parts = {one.name: part for one, part in budget_shares(self.policy)}
        limits = [
            (test.when, number_text(odds_limit(1 / parts[test.name]))) for test in self.tests()
        ]
        rule = next(limit for when, limit in limits if not when)
        others = "".join(f", or of {limit} {when}" for when, limit in dict.fromkeys(limits) if when)
        return f"fails at a likelihood ratio of {rule}{others}"


def sequential_judges(
    policy: Policy,
    criteria: Mapping[str, Criterion],
    baselines: Mapping[str, BaselineMeasurement],
) -> Iterator[SequentialJudge[Any]]:
    """Yield the judge of each of `criteria` whose evidence adds up."""
    for judge in judges_of(policy, criteria, baselines):
        if isinstance(judge, SequentialJudge):
            yield judge


def budget_shares(policy: Policy) -> list[tuple[TestPart, float]]:
    """Return every test of `policy` with its part of the budget; the parts add up to it."""
    judges = sequential_judges(policy, policy.criteria, {})
    tests = [test for judge in judges for test in judge.tests()]
    unit = policy.budget / sum(one.share for one in tests) if tests else 0.0
    return [(one, one.share * unit) for one in tests]


def paired_counts(window: WindowCounts) -> PairedCounts:
    """Return the counts of both paths in one minute."""
    counts = window.counts
    return PairedCounts(
        counts.samples, counts.amount, counts.control_samples, counts.control_amount
    )


def ratio(part: float, whole: float) -> float | None:
    """Return the share of `part`; None of nothing."""
    return part / whole if whole else None


def _is_silent(tally: Tally) -> bool:
    """Tell whether the newest periods without data are unlikely at the request rate of the step.

    One minute without requests says nothing where a request comes every five minutes; an hour does.
    Periods are those of the metric: one that is published every five minutes has four empty minutes
    between two datapoints, whatever the request rate.
    """
    silent = silent_periods(tally, MINUTE_S)
    minutes = tally.windows + tally.empty + tally.inconsistent
    expected = tally.counts.samples / minutes * max(tally.spacing / MINUTE_S, 1) * silent
    return silent > 0 and exp(-expected) < SILENCE_SIGNIFICANCE
