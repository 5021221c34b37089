"""Criteria of kind `success_rate`: the share of requests that did not fail is at least `min`.

SC-004 is one of them. In an outage that both paths share, the canary is compared with the stable
path.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import ceil, exp, isnan, log
from typing import ClassVar

from msgspec import UNSET

from controller.core.judge.bound import FRACTION, Bound
from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    passed,
    undecided,
)
from controller.core.judge.evidence import IntervalTotals, Tally
from controller.core.judge.facts import (
    CERTAINLY_BETTER,
    BetterThanStable,
    CountedSuccesses,
    Facts,
    Failures,
    FailureTotals,
    PossibleRate,
)
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.sequential import (
    SequentialJudge,
    TestPart,
    paired_counts,
    ratio,
)
from controller.core.judge.series import (
    INCONSISTENT,
    FailureCounter,
    Measure,
    WindowCounts,
    no_window,
)
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import Series
from controller.core.policy import SuccessRate
from controller.core.policy.judge_settings import CountedRequests
from controller.core.stats import success_rate
from controller.core.stats.binomial import (
    CONFIDENCE,
    is_above,
    log_e_value_below,
    requests_to_prove,
    rules_out,
    upper_bound,
    zero_failure_sample_size,
)
from controller.core.stats.combined_tests import ControlState, MinuteRatios
from controller.core.stats.counts import Counts
from controller.core.stats.spells import NO_BLOCK, MinuteBlock, block_log_ratios
from controller.core.stats.two_sample import PairedCounts
from controller.core.units import format_percent, percent_beside
from controller.immutable import replace

# Parts of the budget of false rollbacks.
_BREAKER_PART, _OBJECTIVE_PART, _SPELLS_PART = 2.0, 4.0, 0.5
# Minutes of the blocks in which failures in spells add up.
_BLOCKS = (10, 60)
_IN_SPELLS = "in spells (blocks of 10 or 60 minutes)"
# A canary is better than its control at this likelihood ratio: 1 in 100, however often one looks.
_BETTER_LIMIT = 100
_LARGEST_EXPONENT = 700.0  # of a float
# An outage that has grown by this much is not the one before the start.
_GROWN = 3
# An e-value of 20: 95% confidence, however often one looks.
_PROOF_THRESHOLD = log(20)


# --- What both judges share -----------------------------------------------------------------------


def _without_surplus(tally: Tally) -> Tally:
    """Return `tally` without the answers that it has more of than requests."""
    counts = tally.counts
    amount, control_amount = max(0.0, counts.amount), max(0.0, counts.control_amount)
    return replace(tally, counts=replace(counts, amount=amount, control_amount=control_amount))


class _RateJudge(CriterionJudge[SuccessRate]):
    """The share that is asked for, and the requests and failures of a window.

    caps_failures: more failures than requests count as all requests, else as bad data.
    """

    samples_field: ClassVar[str] = "min_samples"
    caps_failures: ClassVar[bool] = False

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        lowest, canary = self.criterion.min, self.counter(series, self.criterion)
        control = self.counter(series, self.criterion.control)

        def measure(start: int) -> WindowCounts | None:
            counts = canary(start)
            if counts is None:
                return None
            total, failures = counts
            if isnan(failures):
                return INCONSISTENT
            # One rounding: exactly `min` is never a breach.
            rate = min(1.0, (total - failures) / total) if total else 1.0
            control_counts = control(start)
            if control_counts is None or isnan(control_counts[1]):  # bad data excuse nothing
                control_counts = 0.0, 0.0
            return WindowCounts(Counts(total, failures, *control_counts), rate, rate < lowest)

        return measure

    def counter(
        self, series: Mapping[str, Series], counted: CountedRequests | None
    ) -> FailureCounter:
        """Return the function that counts requests and failures of a window; None: of nothing."""
        if counted is None:
            return no_window
        if counted.successes is not None:
            return self.reader(series).rest_counter(counted.total, counted.successes)
        total, failures = counted.total, counted.counted
        return self.reader(series).failure_counter(total, failures, capped=self.caps_failures)

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding; answers that are still to be counted are no failures below 0."""
        newest = None if context.newest is None else _without_surplus(context.newest)
        return super().conclude(_without_surplus(tally), replace(context, newest=newest))

    @property
    def value_bound(self) -> Bound:
        """The lowest share that passes."""
        return Bound(self.criterion.min, is_maximum=False, subject="success", unit=FRACTION)

    @cached_property
    def allowed_failures(self) -> float:
        return 1 - self.criterion.min

    def demand_of(self, how: str) -> str:
        """Return the share that is asked for, and `how` it is judged."""
        criterion, which = self.criterion, f"without {self.criterion.failures_text}"
        if criterion.successes is not None:
            which = f"in {' + '.join(criterion.successes)}"
        return f"at least {format_percent(criterion.min)} of {criterion.total} {which}; {how}"


# --- judge: threshold -----------------------------------------------------------------------------


class SuccessRateWindowJudge(_RateJudge, WindowJudge[SuccessRate]):
    """A success rate, judged window by window."""

    def count_facts(self, tally: Tally) -> list[Facts]:
        """Return the failures, and the failure rate that they leave possible.

        The rate is left out where it meets the objective at 95% confidence.
        """
        failures, requests = ceil(tally.counts.amount), int(tally.counts.samples)
        counted = Failures(tally.counts.amount)
        if rules_out(self.allowed_failures, failures, requests):
            return [counted]
        allowed = self.allowed_failures
        needed = zero_failure_sample_size(allowed) if allowed > 0 else UNSET
        return [counted, PossibleRate(upper_bound(requests, failures), CONFIDENCE, needed)]

    def demand_text(self) -> str:
        return self.demand_of(self.windows_text)


# --- judge: sequential ----------------------------------------------------------------------------


class SuccessRateSequentialJudge(_RateJudge, SequentialJudge[SuccessRate]):
    """A success rate, judged by the evidence of every minute."""

    caps_failures: ClassVar[bool] = True

    def tests(self) -> Iterator[TestPart]:
        """Yield the breaker, which also judges the warm-up, and the test of the objective."""
        breaker, objective, *spells = self._test_names
        yield TestPart(breaker, _BREAKER_PART, 2, when="in an outage (circuit breaker)")
        yield TestPart(objective, _OBJECTIVE_PART, 6, saved=3)
        for name, minutes in zip(spells, _BLOCKS, strict=True):  # three blocks at least
            yield TestPart(name, _SPELLS_PART, 2 + minutes, when=_IN_SPELLS, block=minutes)

    @cached_property
    def _test_names(self) -> tuple[str, ...]:
        tests = ("breaker", "objective", *(f"{minutes} minutes" for minutes in _BLOCKS))
        return tuple(f"{self.name}/{test}" for test in tests)

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        """Return the ratios of both tests, and what is known of the control."""
        pair, surpluses = success_rate.carry_over(paired_counts(window), control.surpluses)
        allowed, (breaker_name, objective_name, *spells) = self.allowed_failures, self._test_names
        after = success_rate.update_control(control, pair.control_requests, pair.control_slow)
        breaker = success_rate.breaker_log_ratios(pair, allowed, after)
        ratios, blocks = [MinuteRatios(breaker_name, breaker)], control.blocks
        if judged:
            objective = success_rate.log_ratios(pair, allowed, after)
            ratios.append(MinuteRatios(objective_name, objective))
            if not self.in_outage(after):
                blocks, over = self._add_to_blocks(blocks, pair, max(1, minutes), spells)
                ratios += over
        if surpluses != control.surpluses or blocks is not control.blocks:
            after = replace(after, surpluses=surpluses, blocks=blocks)
        if self.baseline is not None:
            recovered = self._recovered(after, pair, max(1, minutes))
            after = replace(after, recovered=recovered)
        return ratios, after

    def after_gap(self, control: ControlState, minutes: int) -> ControlState:
        """Return `control`; the outage before the start may have ended in a gap as long."""
        if self.baseline is None or minutes < success_rate.OUTAGE_MINUTES:
            return control
        return replace(control, recovered=success_rate.OUTAGE_MINUTES)

    def _recovered(self, control: ControlState, pair: PairedCounts, minutes: int) -> int:
        """Return for how many minutes in a row the control keeps the bound, with those of `pair`.

        `OUTAGE_MINUTES` stay: the outage is over, and what fails later began after the start.
        """
        before = control.recovered or 0
        if before >= success_rate.OUTAGE_MINUTES:
            return before
        fails = pair.control_slow > self.allowed_failures * pair.control_requests
        return 0 if fails else min(before + minutes, success_rate.OUTAGE_MINUTES)

    def _add_to_blocks(
        self, blocks: Sequence[MinuteBlock], pair: PairedCounts, minutes: int, tests: Sequence[str]
    ) -> tuple[tuple[MinuteBlock, ...], list[MinuteRatios]]:
        """Return the blocks with one more datapoint of `minutes`, and the ratios of those over."""
        shorter, longer = blocks or (NO_BLOCK, NO_BLOCK)
        shorter = shorter.plus(MinuteBlock(pair.requests, min(pair.slow, pair.requests), minutes))
        if shorter.minutes < _BLOCKS[0]:
            return (shorter, longer), []
        longer = longer.plus(shorter)
        over = [shorter, longer] if longer.minutes >= _BLOCKS[1] else [shorter]
        ratios = [
            MinuteRatios(test, block_log_ratios(block, self.allowed_failures), block=block)
            for test, block in zip(tests, over, strict=False)
        ]
        return (NO_BLOCK, NO_BLOCK if len(over) > 1 else longer), ratios

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the share of requests of the step that did not fail, and the lowest that holds."""
        samples = tally.counts.samples
        return ratio(samples - tally.counts.amount, samples), self.criterion.min

    def keeps_bound(self, measured: float, bound: float) -> bool:
        """Tell whether the share is high enough."""
        return measured >= bound

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain so many failures."""
        return super().exceeds(tally, 1 - bound)

    def in_outage(self, control: ControlState) -> bool:
        """Tell whether the control fails more than three times what is allowed."""
        return success_rate.in_shared_outage(control, self.allowed_failures)

    def beside_outage(
        self, tally: Tally, newest: Tally, context: Context
    ) -> BetterThanStable | None:
        """Return how the canary does beside a stable path that failed before the start."""
        before, step, recent = self.baseline, tally.counts, newest.counts
        recovered = context.result.control.recovered or 0
        if before is None or recovered >= success_rate.OUTAGE_MINUTES:
            return None
        if recent.control_amount > _GROWN * before.value * recent.control_samples:
            return None
        pair = PairedCounts(step.samples, step.amount, step.control_samples, step.control_amount)
        better = success_rate.log_e_value_better(pair, self.allowed_failures)
        return BetterThanStable(
            outage_share=before.value,
            kept_s=context.closed_end - context.newest_start,
            kept_failures=recent.amount,
            kept_requests=recent.samples,
            better_odds=min(exp(min(better, _LARGEST_EXPONENT)), CERTAINLY_BETTER),
            better_limit=_BETTER_LIMIT,
        )

    def control_counts(self, series: Mapping[str, Series]) -> FailureCounter:
        """Return the function that counts requests and failures of the stable path alone."""
        return self.counter(series, self.criterion.control)

    def baseline_text(self) -> str:
        if self.baseline is None:
            return ""
        failed = percent_beside(self.baseline.value, self.allowed_failures)
        return f"the stable path failed {failed} before the start; a better canary may pass"

    def control_is_over(self, tally: Tally) -> bool:
        """Tell whether the control failed more than three times what is allowed, all in all."""
        counts, limit = tally.counts, success_rate.OUTAGE_MULTIPLE * self.allowed_failures
        return is_above(limit, round(counts.control_amount), round(counts.control_samples))

    def large_share(self, bound: float) -> float | None:
        """Return the share of failures of the circuit breaker."""
        return super().large_share(1 - bound)

    def rejection_facts(self, minutes: IntervalTotals, test: str) -> list[Facts]:
        """Return also what counts successes: no metric of errors need show what failed."""
        facts, successes = super().rejection_facts(minutes, test), self.criterion.successes
        return [*facts, CountedSuccesses(", ".join(successes))] if successes else facts

    def totals(self, minutes: IntervalTotals) -> FailureTotals:
        counts = minutes.counts
        return FailureTotals(
            failures=max(0.0, counts.amount),
            requests=counts.samples,
            allowed_share=self.allowed_failures,
            control_failures=max(0.0, counts.control_amount),
            control_requests=counts.control_samples,
        )

    def conclude_kept_bound(self, tally: Tally, context: Context) -> tuple[Outcome, list[Facts]]:
        """Return `proven` where a share below `min` is ruled out; else what that would take."""
        facts: list[Facts] = [self.step_totals(tally, context.start)]
        if (
            log_e_value_below(tally.counts.samples, tally.counts.amount, self.allowed_failures)
            >= _PROOF_THRESHOLD
        ):
            return passed(FindingReason.PROVEN, Label.PROVEN), facts
        failures, requests = round(tally.counts.amount), round(tally.counts.samples)
        possible = upper_bound(requests, failures)
        if not self.requires_proof:
            return passed(FindingReason.RATE_NO_REGRESSION), [*facts, PossibleRate(possible)]
        needed = requests_to_prove(self.allowed_failures, failures)
        unproven = PossibleRate(possible, proof_requests=needed)
        return undecided(Label.TOO_FEW, FindingReason.NOT_PROVEN_YET), [*facts, unproven]

    @property
    def provable_share(self) -> float:
        """The failure rate that enough requests without a failure rule out."""
        return self.allowed_failures

    @property
    def requires_proof(self) -> bool:
        """True for `assurance: proven`."""
        return self.criterion.assurance == "proven"

    def demand_text(self) -> str:
        return self.demand_of(self.evidence_text)
