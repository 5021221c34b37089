"""Criteria of kind `latency_increase` for the sequential judge: slow requests, and those that hang.

They are counted beyond a limit that follows from the baseline, minute by minute.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property

from msgspec import UNSET, UnsetType

from controller.core.judge import baseline_drift
from controller.core.judge.criteria.latency_increase import LatencyJudge
from controller.core.judge.criterion_judge import Context, undecided
from controller.core.judge.evidence import BaselineMeasurement, IntervalTotals, Tally
from controller.core.judge.facts import (
    AnotherDay,
    ControlTotals,
    Facts,
    FixedTotals,
    FrozenTotals,
    HungTotals,
    IncreaseTotals,
    MissingRequests,
    NoBaseline,
    Totals,
    flat,
    totals_of,
)
from controller.core.judge.findings import Finding, FindingReason, Label, Verdict
from controller.core.judge.latency_tail import MAX_SLOW_SHARE, LatencyLimits, TailJudge
from controller.core.judge.sequential import SequentialJudge, TestPart, paired_counts, ratio
from controller.core.judge.series import Measure, WindowCounts
from controller.core.judge.silence import READ_BESIDE_WEEK_S, missing_beside_week
from controller.core.observation import Series, Span
from controller.core.policy import (
    ConcurrentBaseline,
    FixedBaseline,
    FrozenBaseline,
    LatencyIncrease,
    Policy,
)
from controller.core.stats import binomial, dispersion, hangs, slow_start, two_sample
from controller.core.stats.combined_tests import ControlState, MinuteRatios
from controller.core.stats.counts import Counts
from controller.immutable import fields_of, replace

# Parts of the budget of false rollbacks.
_PART, _HANG_PART = 2.5, 0.5
# A minute counts as no more requests than this: a deviation of 1% is no proof.
MAX_EFFECTIVE_REQUESTS: float = 300
# Part of a control's counts that is left after a minute: half of them in 23 minutes.
_CONTROL_DECAY = 0.97
# Weight of the prior share of slow requests of a control, in requests.
_PRIOR_REQUESTS = 50.0
# So long after a raise new execution environments may be slower than they will be.
_WARMING_S = 5 * 60
# The same on a target whose raises start all of them anew.
_COLD_S = 30 * 60
# The fewest slow minutes in a row that roll back; more of them so long after a raise.
_MINUTES, _SETTLED_S, _SETTLED_MINUTES = 3, 10 * 60, 5
# Odds of a slow request, as a multiple of the usual ones, of a latency that is far too high.
_LARGE_ODDS = 3.0
# Dispersion of a latency for which it was not measured.
_DEFAULT_DISPERSION = 3.0


def tail_judge(
    name: str, criterion: LatencyIncrease, policy: Policy, baseline: BaselineMeasurement | None
) -> "LatencyTailJudge":
    """Return the judge of a criterion whose evidence adds up."""
    judge = ConcurrentTailJudge if criterion.compares_paths else StoredTailJudge
    return judge(name, criterion, policy, baseline)


class LatencyTailJudge(LatencyJudge, TailJudge[LatencyIncrease]):
    """Slow requests, and those that hang, against a baseline of any kind."""

    # --- what is read -----------------------------------------------------------------------------

    def statistics(self) -> list[tuple[str, str]]:
        """Return the series of slow requests; before the baseline was read, those of latencies."""
        return super().statistics() if self.limits is None else self.tail_statistics(self.limits)

    @cached_property
    def _hang_factor(self) -> float:
        """How many times the baseline a request takes that hangs; 0 where none is counted."""
        percentile = self.metric.percentile
        if percentile is None or percentile < hangs.MIN_PERCENTILE:
            return 0.0
        return max(hangs.HANG_FACTOR, round(2 * self.rollback_factor, 2))

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        if self.limits is None:
            return super().measure(series, has_traffic=has_traffic)
        return self.measure_tail(self.limits, self.reader(series))

    @property
    def look_back(self) -> timedelta | None:
        """None: the time before the start is what the baseline is read from."""
        return None

    @property
    def lacks_baseline(self) -> bool:
        """True when the baseline was not read, so that nothing says what slow means."""
        return self.limits is None

    @property
    def allowed_increase(self) -> float:
        return self.criterion.max_increase

    @property
    def rollback_factor(self) -> float:
        """The increase that is allowed, on top of what the baseline may have drifted."""
        return (1 + self.criterion.max_increase) * (1 + self.criterion.allowance)

    # --- evidence ---------------------------------------------------------------------------------

    @cached_property
    def allowed_hung_share(self) -> float:
        """The share of requests that may hang: what hung in a stored baseline, at most."""
        hung_share = 0.0 if self.baseline is None else self.baseline.hung_share
        return min(max(hung_share, hangs.MIN_ALLOWED_SHARE), MAX_SLOW_SHARE)

    @cached_property
    def _hang_test(self) -> str:
        return f"{self.name}/hangs"

    def tests(self) -> Iterator[TestPart]:
        """Yield the test of slow requests, and that of requests that hang."""
        yield TestPart(self.name, _PART, _MINUTES)
        if self._hang_factor:
            yield TestPart(self._hang_test, _HANG_PART, _MINUTES, when="when requests hang")

    def limit_ratios(
        self, ratios: list[MinuteRatios], window: WindowCounts, control: ControlState, age_s: int
    ) -> list[MinuteRatios]:
        """Return `ratios` with that of slow requests limited where it need not be the release.

        Cold starts explain a canary that is a little slower right after a raise, and of which
        hardly a request hangs. Long after it a few slow minutes are more likely to be a spell than
        a fault that begins then.
        """
        if not ratios:
            return ratios
        slow, *others = ratios
        log_ratios = slow.log_ratios
        cold = 1 - age_s / _COLD_S if self._starts_cold and age_s < _COLD_S else 0.0
        hung, samples = window.counts.hung, window.counts.samples
        hangs_too = hung > self.allowed_hung_share * samples * (1.0 if cold else 0.5) + bool(cold)
        if (cold or age_s < _WARMING_S) and not hangs_too:
            share, count = self._usual_and_slow(window, control)
            limit = slow_start.largest_log_ratio(window.counts.samples, count, share, cold)
            log_ratios = [min(one, limit) for one in log_ratios]
        minutes = _SETTLED_MINUTES if age_s >= _SETTLED_S else slow.minutes
        return [MinuteRatios(slow.test, log_ratios, slow.dispersion, minutes), *others]

    @cached_property
    def _starts_cold(self) -> bool:
        """True where a raise starts environments, and the policy does not say that none is cold."""
        return bool(self.policy.warmup) and self.policy.target.cold_starts is not None

    def _usual_and_slow(self, window: WindowCounts, control: ControlState) -> tuple[float, float]:
        """Return the usual share of slow requests, and how many were slow."""
        raise NotImplementedError

    def _weakened(self, ratios: tuple[float, ...], samples: float, minutes: int) -> MinuteRatios:
        """Return `ratios` of a datapoint that stands for so many minutes, with their dispersion."""
        return MinuteRatios(self.name, ratios, self._dispersion(samples / max(1, minutes)))

    def _dispersion(self, requests: float) -> float:
        """Return the dispersion of a minute with `requests`, as the blocks of the baseline had."""
        phi = 1.0
        if self.baseline is not None:
            phi = dispersion.minute_dispersion(self.baseline, requests)
        elif isinstance(self.criterion.baseline, FixedBaseline):
            phi = _DEFAULT_DISPERSION
        return dispersion.cap_effective_samples(phi, requests, MAX_EFFECTIVE_REQUESTS)

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the share of slow requests, and what is allowed; None before there is a limit."""
        measured, allowed = super().step_share(tally)
        return None if self.limits is None else measured, allowed

    def large_share(self, bound: float) -> float | None:
        """Return the share of slow requests that a step before the last one has to rule out.

        It is that of a latency that is about 40% higher (lognormal, sigma 0.5): three times the
        odds. bound: the share of the control, or the share that is allowed.
        """
        usual = max(bound, self.allowed_slow_share)
        return _LARGE_ODDS * usual / (1 - usual + _LARGE_ODDS * usual)

    # --- facts ------------------------------------------------------------------------------------

    def rejection_facts(self, minutes: IntervalTotals, test: str) -> list[Facts]:
        """Return the requests that hung, or those that were slow, beside what is allowed."""
        if self.limits is None or test != self._hang_test:
            return super().rejection_facts(minutes, test)
        counts = minutes.counts
        hung = HungTotals(
            hung=counts.hung,
            requests=counts.samples,
            limit=self.limits.hang_limit,
            factor=self._hang_factor,
            statistic=self.metric.statistic,
            unit=self.metric.unit,
            allowed_share=self.allowed_hung_share,
            control_share=self._control_hung_share(counts),
        )
        return [hung]

    def _control_hung_share(self, counts: Counts) -> float | UnsetType:
        """Return the share of requests of a control that hung; UNSET without a control."""
        return UNSET

    def totals(self, minutes: IntervalTotals) -> Totals:
        limits, counts = self.limits, minutes.counts
        if limits is None:
            return NoBaseline()
        canary = IncreaseTotals(
            slow=counts.amount,
            requests=counts.samples,
            allowed_share=self.allowed_slow_share,
            limit=limits.pass_limit,
            unit=self.metric.unit,
            factor=1 + self.criterion.max_increase,
            statistic=self.metric.statistic,
            read_between=UNSET if self.percentiles is None else "percentiles",
        )
        return self._totals_beside(canary, limits, counts)

    def _totals_beside(
        self, canary: IncreaseTotals, limits: LatencyLimits, counts: Counts
    ) -> Totals:
        """Return the slow requests of the canary with what they are compared with."""
        raise NotImplementedError

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        return f"{self.increase_text}; {self.evidence_text}"

    def bound_text(self, bound: float) -> str:
        return self.allowed_text if self.limits is None else super().bound_text(bound)


# --- Against the stable path of the same minute ---------------------------------------------------


class ConcurrentTailJudge(LatencyTailJudge):
    """Slow requests against those of a concurrent control."""

    @cached_property
    def limits(self) -> LatencyLimits | None:
        value, baseline = self.baseline_value, self.criterion.baseline
        if value is None or not isinstance(baseline, ConcurrentBaseline):
            return None
        limit = value * (1 + self.criterion.max_increase)
        return LatencyLimits(limit, limit, baseline.concurrent, value, value * self._hang_factor)

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        """Return the ratios against the control of the same minute.

        The usual shares of the control are from earlier minutes.
        """
        if not judged:
            return [], control
        counts, pair, beside = window.counts, paired_counts(window), hangs.NO_HANGS
        slow = two_sample.log_ratios(pair, self._usual_slow_share(control))
        ratios = [self._weakened(slow, min(pair.requests, pair.control_requests), minutes)]
        if self._hang_factor:
            hung = hangs.log_ratios(counts.samples, counts.hung, self.allowed_hung_share)
            beside = control.hangs.after(counts, hung)
            ratios.append(MinuteRatios(self._hang_test, hung, withheld=not beside.alone))
        # Older minutes of the control fade.
        after = ControlState(
            requests=_CONTROL_DECAY * (control.requests + counts.control_samples),
            slow=_CONTROL_DECAY * (control.slow + counts.control_amount),
            hangs=beside,
        )
        return ratios, after

    def _usual_and_slow(self, window: WindowCounts, control: ControlState) -> tuple[float, float]:
        return self._usual_slow_share(control), window.counts.amount

    def _usual_slow_share(self, control: ControlState) -> float:
        requests = control.requests + _PRIOR_REQUESTS
        return (control.slow + self.allowed_slow_share * _PRIOR_REQUESTS) / requests

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the share of slow requests, and that of the control."""
        measured, counts = super().step_share(tally)[0], tally.counts
        return measured, ratio(counts.control_amount, counts.control_samples) or 0.0

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain the canary's part of all slow requests."""
        counts = tally.counts
        phi = self._dispersion(counts.samples / max(1, tally.windows))
        slow = counts.amount + counts.control_amount
        part = counts.samples / (counts.samples + counts.control_samples)
        return binomial.is_above(part, round(counts.amount / phi), round(slow / phi))

    def fewest_samples(self, tally: Tally) -> float:
        """Return the requests of the step, on the path that has fewer."""
        return min(tally.counts.samples, tally.counts.control_samples)

    def _totals_beside(
        self, canary: IncreaseTotals, limits: LatencyLimits, counts: Counts
    ) -> Totals:
        return ControlTotals(
            **fields_of(canary),
            control_limit=limits.control_limit,
            control_slow=counts.control_amount,
            control_requests=counts.control_samples,
        )

    def _control_hung_share(self, counts: Counts) -> float:
        return ratio(counts.control_hung, counts.control_samples) or 0.0

    def baseline_text(self) -> str:
        text, stored = super().baseline_text(), self.baseline
        if stored is None:
            return text
        beside = f"the stable path's share above {self.with_unit(stored.value)}"
        return f"{text}; the canary's share above that is compared with {beside}"


# --- Against a baseline of before the start -------------------------------------------------------


class StoredTailJudge(LatencyTailJudge):
    """Slow requests against a baseline that was read before the start, or a fixed one."""

    @cached_property
    def limits(self) -> LatencyLimits | None:
        criterion, value = self.criterion, self.baseline_value
        if value is None:
            return None
        pass_limit = value * (1 + criterion.max_increase)
        fail_limit = pass_limit * (1 + criterion.allowance)
        limits = LatencyLimits(pass_limit, fail_limit, hang_limit=value * self._hang_factor)
        baseline, stored = criterion.baseline, self.baseline
        if isinstance(baseline, FrozenBaseline) and stored is not None and stored.hours:
            return replace(limits, stable_metric=baseline.frozen, control_limit=value)
        return limits

    def usual_share(self, start: int) -> float:
        """The share of slow requests that a stored baseline had at the time of day of `start`."""
        return 0.0 if self.baseline is None else self.baseline.share_at(start)

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding, with the stored baseline as it would be on a day like today."""
        today = self._corrected_for(context.result.control)
        finding = SequentialJudge.conclude(today, tally, context)
        if finding.verdict is Verdict.PASS and (missing := self._missing_requests(context)):
            verdict, label, reason = undecided(Label.TOO_FEW, FindingReason.REQUESTS_MISSING)
            facts = flat(finding.facts, missing)
            finding = replace(finding, verdict=verdict, label=label, reason=reason, facts=facts)
        totals = totals_of(finding)
        if today is self or not isinstance(totals, FrozenTotals):
            return finding
        metric = self.limits.stable_metric if self.limits else ""
        then = AnotherDay(self.allowed_slow_share, metric)
        return replace(finding, facts=flat(finding.facts, then))

    @property
    def reads_newest_s(self) -> int:
        """So much of the newest time is compared with a stored week."""
        has_week = self.baseline is not None and self.baseline.week is not UNSET
        return READ_BESIDE_WEEK_S if has_week else 0

    def _missing_requests(self, context: Context) -> MissingRequests | None:
        """Return which requests the newest time lacks at 100%; None where nothing is missing."""
        if self.baseline is None or self.baseline.week is UNSET or context.weight < 100:
            return None
        measure = self.measure(context.series, has_traffic=True)
        return missing_beside_week(self.baseline, measure, Span(context.start, context.closed_end))

    def _corrected_for(self, control: ControlState) -> "StoredTailJudge":
        """Return this judge with what a stored baseline would have been on a day like today."""
        stored = self.baseline
        if stored is None or stored.share is None or not stored.hours:
            return self
        share = baseline_drift.share_today(stored.share, control)
        today = replace(stored, share=share)
        return StoredTailJudge(self.name, self.criterion, self.policy, today)

    @property
    def watches_stable_path(self) -> bool:
        """True for a stored baseline whose day is compared with today."""
        return self.limits is not None and bool(self.limits.stable_metric)

    @property
    def _known_slow_share(self) -> float:
        """The share of requests that were slower then, and its uncertainty, where it was read."""
        stored, frozen = self.baseline, isinstance(self.criterion.baseline, FrozenBaseline)
        if not frozen or stored is None or stored.share is None:
            return super()._known_slow_share
        return two_sample.baseline_share_bound(stored.share, stored.samples, stored.dispersion)

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        """Return the ratios against the stored baseline, which allows for its own uncertainty."""
        ratios = list(self._ratios(window, control, minutes)) if judged else []
        return ratios, baseline_drift.observe(control, window)

    def _ratios(
        self, window: WindowCounts, control: ControlState, minutes: int
    ) -> Iterator[MinuteRatios]:
        allowed, samples = self._share_today(window, control), window.counts.samples
        effects = baseline_drift.effects_today(self.allowed_slow_share, allowed)
        ratios = binomial.log_ratios(samples, window.counts.fail_amount, effects)
        yield self._weakened(ratios, samples, minutes)
        if self._hang_factor:
            ratios = hangs.log_ratios(samples, window.counts.hung, self.allowed_hung_share)
            yield MinuteRatios(self._hang_test, ratios)

    def _usual_and_slow(self, window: WindowCounts, control: ControlState) -> tuple[float, float]:
        return self._share_today(window, control), window.counts.fail_amount

    def _share_today(self, window: WindowCounts, control: ControlState) -> float:
        """The share that a stored baseline allows, on a day like that of the stable path."""
        share, stored = self.allowed_slow_share, self.baseline
        if stored is not None and stored.hourly:
            share = two_sample.baseline_share_bound(
                window.usual, stored.samples / len(stored.hours), stored.dispersion
            )
        return baseline_drift.share_today(share, control)

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain so many slow requests, with their dispersion."""
        counts = tally.counts
        phi = self._dispersion(counts.samples / max(1, tally.windows))
        return binomial.is_above(bound, round(counts.amount / phi), round(counts.samples / phi))

    def _totals_beside(
        self, canary: IncreaseTotals, limits: LatencyLimits, counts: Counts
    ) -> Totals:
        if counts.fail_amount < counts.amount:
            slow, drift = counts.fail_amount, self.criterion.allowance
            canary = replace(canary, slow=slow, limit=limits.fail_limit, drift=drift)
        frozen = isinstance(self.criterion.baseline, FrozenBaseline)
        return (FrozenTotals if frozen else FixedTotals)(**fields_of(canary))

    def baseline_text(self) -> str:
        text = super().baseline_text()
        return f"{text}: {self.target_text()}" if text else ""
