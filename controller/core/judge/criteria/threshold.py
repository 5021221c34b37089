"""Criteria of kind `threshold`: a metric, or its ratio to another, stays within a bound.

The sequential judge tests a ratio, the mean of a count, or the slow requests behind a percentile.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from controller.core.judge.bound import FRACTION, Bound
from controller.core.judge.criterion_judge import CriterionJudge
from controller.core.judge.evidence import BaselineMeasurement, IntervalTotals, Tally
from controller.core.judge.facts import MeanTotals, RatioTotals, SlowTotals
from controller.core.judge.latency_tail import LatencyLimits, TailJudge
from controller.core.judge.sequential import SequentialJudge, TestPart, ratio
from controller.core.judge.series import INCONSISTENT, SAMPLE_COUNT, Measure, WindowCounts
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import Series
from controller.core.policy import Policy, Threshold
from controller.core.stats import binomial, poisson
from controller.core.stats.combined_tests import ControlState, MinuteRatios
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, format_duration

# Part of the budget of false rollbacks, and the fewest bad minutes in a row that roll back.
_PART, _MINUTES = 0.5, 5
# Statistics of a metric that only grow while a window is open.
COUNT_STATISTICS = ("Sum", SAMPLE_COUNT)

# --- What all judges share ------------------------------------------------------------------------


class _ThresholdJudge(CriterionJudge[Threshold]):
    """A value, a count or a ratio of two, and its bound.

    is_weighted: the amount of a window is its value times its samples.
    """

    is_weighted: ClassVar[bool] = False

    def statistics(self) -> list[tuple[str, str]]:
        return [*super().statistics(), (self.criterion.metric, SAMPLE_COUNT)]

    @cached_property
    def value_bound(self) -> Bound:
        """The bound in the unit of the metric; a ratio is shown as a percent."""
        criterion, unit = self.criterion, self.metrics[self.criterion.metric].unit
        subject = criterion.metric
        if criterion.per is not None:
            subject, unit = f"{criterion.metric} per {criterion.per}", FRACTION
        return Bound(criterion.bound, criterion.max is not None, subject, unit)

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        criterion, reader, is_weighted = self.criterion, self.reader(series), self.is_weighted
        denominators = reader.points(criterion.per) if criterion.per is not None else None
        whole_is_zero = criterion.per is not None and reader.absent_is_zero(criterion.per)
        values, counts = reader.values_and_counts(criterion.metric)
        absent_is_zero = has_traffic or criterion.min is None
        absent_is_zero &= reader.absent_is_zero(criterion.metric)

        def breaches(value: float) -> bool:
            over = criterion.max is not None and value > criterion.max
            return over or (criterion.min is not None and value < criterion.min)

        def measure(start: int) -> WindowCounts | None:
            value = values.get(start, 0.0 if absent_is_zero else None)
            if denominators is not None:
                denominator = denominators.get(start, 0.0)
                if denominator <= 0 and value and whole_is_zero:
                    denominator = value  # all were rejected: no call is among the invocations
                if denominator <= 0:
                    return None
                if value is None:
                    return INCONSISTENT
                share = value / denominator
                return WindowCounts(Counts(denominator, value), share, breaches(share))
            if value is None:
                return None
            count = counts.get(start, 0.0)
            amount = value * count if is_weighted else value
            return WindowCounts(Counts(count, amount), value, breaches(value))

        return measure


# --- judge: threshold -----------------------------------------------------------------------------


class ThresholdWindowJudge(_ThresholdJudge, WindowJudge[Threshold]):
    """A value or a ratio, against `max` or `min` in each window."""

    samples_field: ClassVar[str] = "min_samples"
    is_weighted: ClassVar[bool] = True

    @property
    def counts_open_windows(self) -> bool:
        """True for a count with a maximum: once over it, it stays over it."""
        criterion = self.criterion
        counted = self.metrics[criterion.metric].statistic in COUNT_STATISTICS
        return counted and criterion.per is None and criterion.max is not None

    @property
    def allowed_failures(self) -> float:
        """The largest ratio that passes; 0.0 for a value, or a smallest ratio."""
        per, maximum = self.criterion.per, self.criterion.max
        return 0.0 if per is None or maximum is None else maximum


# --- judge: sequential ----------------------------------------------------------------------------


def sequential_judge(
    name: str, criterion: Threshold, policy: Policy, baseline: BaselineMeasurement | None
) -> SequentialJudge[Threshold]:
    """Return the judge of a criterion whose evidence adds up."""
    if policy.metrics[criterion.metric].percentile is not None:
        return PercentileTailJudge(name, criterion, policy, baseline)
    judge = CountSequentialJudge if criterion.per is None else RatioSequentialJudge
    return judge(name, criterion, policy, baseline)


class _BoundJudge(_ThresholdJudge, SequentialJudge[Threshold]):
    """A criterion with one test, of its bound; the warm-up proves nothing."""

    def tests(self) -> Iterator[TestPart]:
        yield TestPart(self.name, _PART, _MINUTES)

    def minute_ratios(
        self, window: WindowCounts, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        if not judged:
            return [], control
        return [MinuteRatios(self.name, self.log_ratios(window, minutes))], control

    def log_ratios(self, window: WindowCounts, minutes: int) -> Sequence[float]:
        """Return the log e-value of each effect for one datapoint, as `minute_ratios` has it."""
        raise NotImplementedError

    def demand_text(self) -> str:
        return f"{self.value_bound.demand}; {self.evidence_text}"


class RatioSequentialJudge(_BoundJudge):
    """The ratio of two counts, such as requests that were throttled."""

    @property
    def allowed_failures(self) -> float:
        """The largest ratio that passes."""
        return self.criterion.bound

    def log_ratios(self, window: WindowCounts, minutes: int) -> Sequence[float]:
        samples, effects = window.counts.samples, binomial.effects(self.criterion.bound)
        return binomial.log_ratios(samples, min(window.counts.amount, samples), effects)

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        return ratio(tally.counts.amount, tally.counts.samples), self.criterion.bound

    def totals(self, minutes: IntervalTotals) -> RatioTotals:
        counts = minutes.counts
        return RatioTotals(
            subject=self.value_bound.subject,
            limit=self.bound,
            share=ratio(counts.amount, counts.samples) or 0.0,
            requests=counts.samples,
        )


class CountSequentialJudge(_BoundJudge):
    """A count, of which the mean in a window is at most `max`."""

    @property
    def mean_count(self) -> float:
        """The largest mean count in a window that passes."""
        return self.criterion.bound

    def log_ratios(self, window: WindowCounts, minutes: int) -> Sequence[float]:
        allowed = self.criterion.bound / self._window_minutes * max(1, minutes)
        return poisson.log_ratios(window.value, allowed)

    @cached_property
    def _window_minutes(self) -> float:
        return self.criterion.window.total_seconds() / MINUTE_S

    def _windows(self, tally: Tally) -> float:
        """Return how many windows the minutes of `tally` make."""
        return (tally.windows + tally.empty) / self._window_minutes

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the mean count in a window."""
        return ratio(tally.counts.amount, self._windows(tally)), self.criterion.bound

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain so high a count."""
        return poisson.is_above(round(tally.counts.amount), bound * self._windows(tally))

    def large_share(self, bound: float) -> float | None:
        """Return None: a count is no share."""
        return None

    def totals(self, minutes: IntervalTotals) -> MeanTotals:
        number = max(1, (minutes.end - minutes.start) // MINUTE_S)
        return MeanTotals(
            subject=self.value_bound.subject,
            limit=self.bound,
            mean=minutes.counts.amount / number * self._window_minutes,
            window_s=int(self.criterion.window.total_seconds()),
        )

    def demand_text(self) -> str:
        """Return the bound, and what a pass needs; the evidence is about the mean in a window."""
        mean = f"in {format_duration(self.criterion.window)} on average"
        return f"{self.value_bound.demand}; {mean}; {self.evidence_text}"


class PercentileTailJudge(_BoundJudge, TailJudge[Threshold]):
    """A percentile of a latency, of which as many requests as it leaves may be above `max`."""

    @cached_property
    def limits(self) -> LatencyLimits:
        """The bound: a request above it is slow."""
        return LatencyLimits(self.criterion.bound, self.criterion.bound)

    def statistics(self) -> list[tuple[str, str]]:
        return self.tail_statistics(self.limits)

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        return self.measure_tail(self.limits, self.reader(series))

    def worst_value(self, series: Mapping[str, Series], starts: range) -> float | None:
        """Return the worst percentile of a minute."""
        points = self.reader(series).points(self.criterion.metric)
        return self.value_bound.worst(points[at] for at in starts if at in points)

    def log_ratios(self, window: WindowCounts, minutes: int) -> Sequence[float]:
        effects = binomial.effects(self.allowed_slow_share)
        return binomial.log_ratios(window.counts.samples, window.counts.amount, effects)

    def totals(self, minutes: IntervalTotals) -> SlowTotals:
        return SlowTotals(
            slow=minutes.counts.amount,
            requests=minutes.counts.samples,
            allowed_share=self.allowed_slow_share,
            limit=self.bound,
            unit=self.metric.unit,
        )
