"""Criteria of kind `threshold`: a metric, or its ratio to another, stays within a bound."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import ClassVar

from controller.core.judge.evidence import IntervalTotals, Tally
from controller.core.judge.facts import (
    FRACTION,
    Facts,
    LimitedValue,
    MeanTotals,
    RatioTotals,
    SlowTotals,
)
from controller.core.judge.latency_tail import Limits, TailJudge
from controller.core.judge.sequential import TestPart, ratio
from controller.core.judge.series import INCONSISTENT, SAMPLE_COUNT, Measure, Window
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.observation import Series
from controller.core.policy import Threshold
from controller.core.stats import binomial, poisson
from controller.core.stats.combined_tests import ControlState, MinuteRatios
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, format_duration

# Part of the budget of false rollbacks.
_PART = 0.5
# Statistics of a metric that only grow while a window is open.
COUNT_STATISTICS = ("Sum", SAMPLE_COUNT)


class ThresholdJudge(TailJudge[Threshold], WindowJudge[Threshold]):
    """A value, a ratio, or a percentile of a latency, against `max` or `min`."""

    samples_field: ClassVar[str] = "min_samples"

    # --- what is read -----------------------------------------------------------------------------

    def statistics(self) -> list[tuple[str, str]]:
        """Return the series of slow requests, or those of the metrics and their samples."""
        if self.limits is not None:
            return self.tail_statistics(self.limits)
        return [*super().statistics(), (self.criterion.metric, SAMPLE_COUNT)]

    @cached_property
    def limits(self) -> Limits | None:
        """The bound, where the sequential judge counts slow requests; else None."""
        if not self.criterion.sequential or self.metric.percentile is None:
            return None
        return Limits(self.criterion.bound, self.criterion.bound)

    # --- windows ----------------------------------------------------------------------------------

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that reads the value, or the slow requests, of one window."""
        criterion, reader = self.criterion, self.reader(series)
        if self.limits is not None:
            return self.measure_tail(self.limits, reader)
        denominators = reader.points(criterion.per) if criterion.per is not None else None
        whole_is_zero = criterion.per is not None and reader.absent_is_zero(criterion.per)
        values, counts = reader.values_and_counts(criterion.metric)
        absent_is_zero = has_traffic or criterion.min is None
        absent_is_zero &= reader.absent_is_zero(criterion.metric)

        def measure(start: int) -> Window | None:
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
                return Window(Counts(denominator, value), share, self._breaches(share))
            if value is None:
                return None
            count = counts.get(start, 0.0)
            amount = value if criterion.sequential else value * count
            return Window(Counts(count, amount), value, self._breaches(value))

        return measure

    def _breaches(self, value: float) -> bool:
        maximum, minimum = self.criterion.max, self.criterion.min
        over = maximum is not None and value > maximum
        return over or (minimum is not None and value < minimum)

    @property
    def counts_open_windows(self) -> bool:
        """True for a count with a maximum: once over it, it stays over it."""
        criterion = self.criterion
        counted = self.metric.statistic in COUNT_STATISTICS and criterion.per is None
        return counted and criterion.max is not None and not criterion.sequential

    # --- judge: threshold -------------------------------------------------------------------------

    @property
    def bound(self) -> float:
        """The bound that every window is compared with."""
        return self.criterion.bound

    @property
    def is_maximum(self) -> bool:
        """True for `max`, False for `min`."""
        return self.criterion.max is not None

    @property
    def subject(self) -> str:
        """The name of the metric, and of the one that it is divided by."""
        per = f" per {self.criterion.per}" if self.criterion.per else ""
        return f"{self.criterion.metric}{per}"

    @property
    def unit(self) -> str:
        """The unit of the metric; a ratio is shown as a percent."""
        return self.metric.unit if self.criterion.per is None else FRACTION

    @property
    def windows_text(self) -> str:
        """How values become a verdict; evidence of a count is about its mean in a window."""
        if not self.criterion.sequential:
            return super().windows_text
        if self.mean_count is None:
            return self.evidence_text
        return f"in {format_duration(self.criterion.window)} on average; {self.evidence_text}"

    # --- judge: sequential ------------------------------------------------------------------------

    @property
    def mean_count(self) -> float | None:
        """The bound of a count; None for a ratio or a percentile."""
        counted = self.criterion.per is None and self.limits is None
        return self.criterion.bound if counted else None

    @property
    def allowed_failures(self) -> float:
        """The largest ratio that holds; 0.0 for a count."""
        per, maximum = self.criterion.per, self.criterion.max
        return 0.0 if per is None or maximum is None else maximum

    def tests(self) -> Iterator[TestPart]:
        """Yield the test of the bound."""
        yield TestPart(self.name, _PART, 5)

    def minute_ratios(
        self, window: Window, control: ControlState, *, judged: bool, minutes: int
    ) -> tuple[list[MinuteRatios], ControlState]:
        """Return the ratios of a share, of slow requests, or of a count; none in the warm-up."""
        if not judged:
            return [], control
        return [MinuteRatios(self.name, self._log_ratios(window, minutes))], control

    def _log_ratios(self, window: Window, minutes: int) -> tuple[float, ...]:
        criterion, samples = self.criterion, window.counts.samples
        if criterion.per is not None:
            hits, allowed = min(window.counts.amount, samples), criterion.bound
            return binomial.log_ratios(samples, hits, allowed, binomial.effects(allowed))
        if self.limits is not None:
            allowed = self.allowed_slow_share
            return binomial.log_ratios(
                samples, window.counts.amount, allowed, binomial.effects(allowed)
            )
        allowed = criterion.bound / self._window_minutes * max(1, minutes)
        return poisson.log_ratios(window.value, allowed)

    @cached_property
    def _window_minutes(self) -> float:
        return self.criterion.window.total_seconds() / MINUTE_S

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the measured ratio, the mean count in a window, or the share of slow requests."""
        if self.criterion.per is not None:
            return ratio(tally.counts.amount, tally.counts.samples), self.criterion.bound
        if self.limits is not None:
            return super().step_share(tally)
        windows = (tally.windows + tally.empty) / self._window_minutes
        return ratio(tally.counts.amount, windows), self.criterion.bound

    def exceeds(self, tally: Tally, bound: float) -> bool:
        """Tell whether chance does not explain such a share, or so high a count."""
        if self.mean_count is None:
            return super().exceeds(tally, bound)
        windows = (tally.windows + tally.empty) / self._window_minutes
        return poisson.is_above(round(tally.counts.amount), bound * windows)

    def large_share(self, bound: float) -> float | None:
        """Return the share of the circuit breaker; None for a count."""
        return super().large_share(bound) if self.mean_count is None else None

    def totals_facts(self, totals: IntervalTotals) -> list[Facts]:
        """Return slow requests, a ratio, or the mean count in a window."""
        criterion = self.criterion
        if self.limits is not None:
            return [SlowTotals(), self.slow_requests(totals.counts.amount, totals, criterion.bound)]
        limit = LimitedValue(self.subject, criterion.bound)
        if criterion.per is not None:
            share = ratio(totals.counts.amount, totals.counts.samples) or 0.0
            return [limit, RatioTotals(share, totals.counts.samples)]
        minutes = max(1, (totals.end - totals.start) // MINUTE_S)
        mean = totals.counts.amount / minutes * self._window_minutes
        window_s = int(criterion.window.total_seconds())
        return [limit, MeanTotals(mean, window_s)]
