"""Criteria of kind `latency_increase`: a latency is at most `max_increase` above its baseline.

SC-003 is one of them. Here the threshold judge compares means weighted by their samples, at the end
of the bake; `latency_increase_tail` has the sequential judge.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property, partial
from math import inf
from typing import ClassVar

from msgspec import UNSET

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    failed,
    not_ready,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import BaselineFacts, ComparedMetric, FewestCompared
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.series import SAMPLE_COUNT, Measure, WindowCounts
from controller.core.observation import Series
from controller.core.policy import (
    ConcurrentBaseline,
    FixedBaseline,
    FrozenBaseline,
    LatencyIncrease,
    Metric,
)
from controller.core.stats.counts import Counts
from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    measured_text,
    number_text,
    percent_beside,
    time_range_text,
)

# 420 ms over 400 ms is 5% and a few parts in 1e16: rounding is no increase.
_ROUNDING = 1e-9


# --- What both judges share -----------------------------------------------------------------------


class LatencyJudge(CriterionJudge[LatencyIncrease]):
    """The latency that a criterion allows, and how it is read before slow requests are counted."""

    samples_field: ClassVar[str] = "min_samples"

    @cached_property
    def metric(self) -> Metric:
        """The metric that is judged."""
        return self.metrics[self.criterion.metric]

    @property
    def baseline_value(self) -> float | None:
        """The value of the baseline that was known before the start."""
        if isinstance(self.criterion.baseline, FixedBaseline):
            return self.criterion.baseline.fixed
        return None if self.baseline is None else self.baseline.value

    def statistics(self) -> list[tuple[str, str]]:
        """Return the series of the latencies and their samples.

        A frozen baseline is read once, before the start.
        """
        names = [self.criterion.metric]
        if isinstance(self.criterion.baseline, ConcurrentBaseline):
            names.append(self.criterion.baseline.concurrent)
        values = [(name, self.metrics[name].statistic) for name in names]
        return values + [(name, SAMPLE_COUNT) for name in names]

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that reads the latency of one window, beside its control."""
        criterion, reader = self.criterion, self.reader(series)
        values, counts = reader.values_and_counts(criterion.metric)
        control: Mapping[int, float] = {}
        control_counts: Mapping[int, float] = {}
        if isinstance(criterion.baseline, ConcurrentBaseline):
            control, control_counts = reader.values_and_counts(criterion.baseline.concurrent)

        def measure(start: int) -> WindowCounts | None:
            value, count = values.get(start), counts.get(start, 0.0)
            if value is None or count <= 0:
                return None
            if not criterion.compares_paths:
                return WindowCounts(Counts(count, value * count), value)
            control_value, control_count = control.get(start), control_counts.get(start, 0.0)
            if control_value is None or control_count <= 0:
                return None  # a window without its control compares with nothing
            control_amount = control_value * control_count
            return WindowCounts(Counts(count, value * count, control_count, control_amount), value)

        return measure

    # --- in words ---------------------------------------------------------------------------------

    @property
    def increase_text(self) -> str:
        """The increase that is allowed, and the baseline."""
        limit = format_percent(self.criterion.max_increase)
        return f"{self.criterion.metric} at most {limit} above {self._baseline_name}"

    @property
    def _baseline_name(self) -> str:
        match self.criterion.baseline:
            case FixedBaseline(fixed=value):
                return f"{number_text(value)} {self.metric.unit}".rstrip()
            case ConcurrentBaseline(concurrent=name):
                return f"{name} of the same time"
            case FrozenBaseline(frozen=name, window=timedelta() as length):
                return f"{name} of the {format_duration(length)} before the start"
            case FrozenBaseline(frozen=name, from_=begin, to=end):
                window = " to ".join(clock_text(moment) for moment in (begin, end) if moment)
                return f"{name} from {window}"

    @property
    def allowed_text(self) -> str:
        """The latency that is allowed, once the baseline is known, and the increase."""
        maximum, value = self.criterion.max_increase, self.baseline_value
        increase = f"+{percent_beside(maximum, maximum)}"
        if value is None:
            return f"≤ {increase}"
        return f"≤ {self.with_unit(value * (1 + maximum))} ({increase})"

    def baseline_text(self) -> str:
        stored, statistic = self.baseline, self.metric.statistic
        if stored is None:
            return ""
        samples = count_text(stored.samples, "sample")
        return (
            f"{statistic} of {self.with_unit(stored.value)} from {samples} "
            f"({time_range_text(stored.start, stored.end)}), so {statistic} {self.allowed_text}"
        )

    def with_unit(self, value: float) -> str:
        """Return a latency in the unit of the metric."""
        return measured_text(value, self.metric.unit)


# --- judge: threshold -----------------------------------------------------------------------------


class LatencyMeanJudge(LatencyJudge):
    """A mean latency against a fixed, a frozen or a concurrent baseline."""

    def may_fail_early(self, tally: Tally) -> bool:
        """Tell that it fails only at the end of the bake."""
        return False

    def conclude(self, tally: Tally, context: Context) -> Finding:
        criterion, end = self.criterion, min(tally.through, context.open_end)
        baseline, control_samples = self._compared_with(tally)
        mean = tally.counts.amount / tally.counts.samples if tally.counts.samples else None
        increase = _increase(mean, baseline)
        finding = partial(
            self.finding,
            context,
            measured=None if increase == inf else increase,
            bound=criterion.max_increase,
            samples=tally.counts.samples,
            end=end,
        )
        unready = not_ready(tally, context, self.period_s)
        if unready is not None:
            return finding(*unready)
        metric = ComparedMetric(criterion.metric, self.metric.unit)
        if increase is None or baseline is None:
            return finding(undecided(Label.NO_DATA, FindingReason.NOTHING_TO_COMPARE), metric)
        if min(tally.counts.samples, control_samples) < criterion.min_samples:
            fewest = FewestCompared(
                fewest_samples=min(tally.counts.samples, control_samples),
                fewest_on="canary" if tally.counts.samples <= control_samples else "baseline",
                min_samples=criterion.min_samples,
            )
            outcome = undecided(Label.TOO_FEW, FindingReason.TOO_FEW_TO_COMPARE)
            return finding(outcome, metric, fewest)
        of_nothing = UNSET if baseline or mean is None else mean
        compared = BaselineFacts(baseline, tally.counts.samples, of_nothing)
        if not context.bake_over:
            outcome = undecided(Label.NOT_JUDGED, FindingReason.INCREASE_SO_FAR)
        elif increase > criterion.max_increase + _ROUNDING:
            outcome = failed(FindingReason.INCREASE_BEYOND)
        else:
            outcome = passed(FindingReason.INCREASE_WITHIN)
        return finding(outcome, metric, compared)

    def _compared_with(self, tally: Tally) -> tuple[float | None, float]:
        """Return the value to compare with and its samples; inf samples for a fixed value."""
        if isinstance(self.criterion.baseline, FixedBaseline):
            return self.criterion.baseline.fixed, inf
        if self.baseline is not None:
            return self.baseline.value, self.baseline.samples
        counts = tally.counts
        if counts.control_samples:
            return counts.control_amount / counts.control_samples, counts.control_samples
        return None, 0.0

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        length, samples = self.criterion.window, self.criterion.min_samples
        return (
            f"{self.increase_text}; judged at the end of the bake over windows of "
            f"{format_duration(length)}, from {count_text(samples, 'sample')} on"
        )

    def target_text(self) -> str:
        return self.allowed_text

    def bound_text(self, bound: float) -> str:
        return self.allowed_text

    def measured_text(self, finding: Finding) -> str:
        increase, compared = super().measured_text(finding), BaselineFacts.find(finding)
        value = self.baseline_value if compared is None else compared.baseline
        if not increase or value is None or finding.measured is None:
            return increase
        return f"{self.with_unit(value * (1 + finding.measured))} ({increase})"

    def value_text(self, value: float, bound: float) -> str:
        return f"{'+' if value >= 0 else '-'}{percent_beside(abs(value), bound)}"


def _increase(mean: float | None, baseline: float | None) -> float | None:
    """Return how far `mean` is above `baseline`, as a fraction; None without one of them.

    A baseline of 0 is a value: nothing is no increase over it, and anything is an infinite one.
    """
    if mean is None or baseline is None:
        return None
    if not baseline:
        return inf if mean > 0 else 0.0
    return mean / baseline - 1
