"""A measurement or a criterion over the time of a rollout, in bins for a chart and a table.

A bin is a few closed windows of one step. Counts are added up over its windows; of any other value
it has the median, the lowest and the highest window.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from math import sqrt
from statistics import median
from typing import Final

from controller.core.judge.latency_tail import TailJudge
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.series import Measure, WindowCounts
from controller.core.observation import Series
from controller.core.policy.comparison import Comparison, Computed, Ratio
from controller.core.stats.counts import Counts
from controller.core.units import ceil_to, floor_to
from controller.immutable import Immutable, picked, replace
from controller.operations.recorded.series import Judge, WeightSpan

# As many bins as a chart of a page's width can show apart; each panel has its part of them.
MAX_BINS: Final = 140
# How many windows a bin has: numbers that divide hours and days.
_BIN_WINDOWS: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 720, 1_440)
# The narrowest panel, as a share of an equal division: its weight still has to be readable on it.
_NARROWEST: Final = 0.6
# Two-sided 95% of the normal distribution.
_Z: Final = 1.959964


class TraceForm(StrEnum):
    """What the values of a trace are.

    failures: a share of requests that is small where all is well. share: any other share.
    level: a value in the unit of its metric, like a latency, or a count in a window.
    """

    FAILURES = "failures"
    SHARE = "share"
    LEVEL = "level"


class Bin(Immutable):
    """The windows from `begin` to below `end`, unix seconds, that have data.

    samples: requests of the canary, or datapoints. value: the share, or the median window.
    low, high: the 95% confidence interval of a share, or the lowest and the highest window.
    control: the same value of the stable path; None where it has no data.
    """

    begin: int
    end: int
    samples: float
    value: float
    low: float
    high: float
    control: float | None = None


class TracePanel(Immutable):
    """One span of a trace.

    width: its share of the chart. bound: None where there is none. judged: whether the gate of its
    step judges this; else it has no bins.
    """

    span: WeightSpan
    width: float
    bins: tuple[Bin, ...]
    bound: float | None
    judged: bool


class Trace(Immutable):
    """One measurement over the time of a rollout, a panel for each span.

    unit: of a level. control: what the stable path is called; empty where it is not measured.
    inconsistent: windows that were left out, because their counts contradict each other.
    extremes: as in `TraceSource`.
    """

    form: TraceForm
    unit: str
    panels: tuple[TracePanel, ...]
    control: str = ""
    inconsistent: int = 0
    extremes: bool = False

    @property
    def bins(self) -> list[Bin]:
        """The bins of all panels, the earliest first."""
        return [one for panel in self.panels for one in panel.bins]

    @property
    def values(self) -> list[float]:
        """Every value that a chart has to show."""
        bounds = [panel.bound for panel in self.panels if panel.bound is not None]
        controls = [one.control for one in self.bins if one.control is not None]
        return [*bounds, *controls, *(edge for one in self.bins for edge in (one.low, one.high))]


class TraceSource(Immutable):
    """Where a trace has its windows from.

    measure: start of a window -> the window, None without data. period_s: length of a window.
    factor: what a level is multiplied with, and `mean` whether it is averaged over a bin: for a
    count in a window of several minutes.
    extremes: whether a bin of a share has its lowest and its highest window, too, and not the
    confidence interval: where a bin is hours long, and minutes of it matter.
    """

    measure: Callable[[int], WindowCounts | None]
    period_s: int
    form: TraceForm
    unit: str = ""
    control: str = ""
    factor: float = 1.0
    mean: bool = False
    extremes: bool = False


def trace(
    source: TraceSource, times: Sequence[WeightSpan], bounds: Mapping[int, float | None]
) -> Trace:
    """Return the trace of `source` over `times`.

    bounds: of each step whose gate judges it; None: there is none.
    """
    panels, inconsistent = [], 0
    for span, width in zip(times, panel_widths(times), strict=True):
        judged = span.step in bounds
        begin = ceil_to(int(span.begin.timestamp()), source.period_s)
        end = floor_to(span.end, source.period_s) if judged else begin
        starts = range(begin, end, source.period_s)
        room = max(1.0, MAX_BINS * width)
        fitting = (size for size in _BIN_WINDOWS if len(starts) / size <= room)
        size = next(fitting, _BIN_WINDOWS[-1]) * source.period_s
        bins, left_out = _bins(source, starts, size)
        inconsistent += left_out
        panels.append(TracePanel(span, width, tuple(bins), bounds.get(span.step), judged))
    return picked(Trace, source, panels=tuple(panels), inconsistent=inconsistent)


def panel_widths(times: Sequence[WeightSpan]) -> list[float]:
    """Return the share of a chart's width that each span has.

    It grows with the square root of the duration: an hour stays readable beside a day.
    """
    roots = [sqrt(max(60.0, (one.end - one.begin).total_seconds())) for one in times]
    total = sum(roots)
    floored = [max(root / total, _NARROWEST / len(roots)) for root in roots]
    return [one / sum(floored) for one in floored]


def _bins(source: TraceSource, starts: range, size: int) -> tuple[list[Bin], int]:
    """Return the bins of the windows at `starts`, and how many windows were left out.

    The windows of one bin are in memory at a time.
    """
    bins, left_out = list[Bin](), 0
    # Round times, like every ten minutes of the hour, whenever the span began.
    for first, members in groupby(starts, lambda start: max(starts[0], start // size * size)):
        windows = [(start, one) for start in members if (one := source.measure(start)) is not None]
        usable = [(start, one) for start, one in windows if one.consistent]
        left_out += len(windows) - len(usable)
        if usable:
            end = usable[-1][0] + source.period_s
            bins.append(_bin(source, first, end, [one for _, one in usable]))
    return bins, left_out


def _bin(source: TraceSource, begin: int, end: int, windows: Sequence[WindowCounts]) -> Bin:
    counts = sum((one.counts for one in windows), Counts())
    samples = counts.samples
    if source.form is not TraceForm.LEVEL:
        # An answer may be counted in a later window than its request: no share is below 0.
        amount, control_amount = max(0.0, counts.amount), max(0.0, counts.control_amount)
        control = control_amount / counts.control_samples if counts.control_samples else None
        low, high = confidence_interval(amount, samples)
        if source.extremes:
            known = [one.counts for one in windows if one.counts.samples]
            shares = [max(0.0, one.amount) / one.samples for one in known]
            low, high = min(shares, default=0.0), max(shares, default=1.0)
        value = amount / samples if samples else 0.0
        return Bin(begin, end, samples, value, low, high, control)
    values = [one.value * source.factor for one in windows]
    controls = [
        one.control_amount / one.control_samples * source.factor
        for one in (window.counts for window in windows)
        if one.control_samples
    ]
    value = sum(values) / len(values) if source.mean else median(values)
    control = median(controls) if controls else None
    return Bin(begin, end, samples, value, min(values), max(values), control)


def confidence_interval(amount: float, samples: float) -> tuple[float, float]:
    """Return the 95% confidence interval of a share: `amount` of `samples` requests.

    Wilson's score interval (Journal of the American Statistical Association 22, 1927): in closed
    form, and inside 0 to 1 for few failures. For one look at one bin; the judge does not use it.
    """
    if samples <= 0:
        return 0.0, 1.0
    share, z2 = min(1.0, amount / samples), _Z * _Z
    middle = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = _Z * sqrt(share * (1 - share) / samples + z2 / (4 * samples**2)) / (1 + z2 / samples)
    return max(0.0, middle - half), min(1.0, middle + half)


# --- The trace of a criterion ---------------------------------------------------------------------

# A ratio with a bound up to this is a share of failures, for which small differences matter.
_SMALL_SHARE = 0.05


def trace_of(judge: Judge, series: Mapping[str, Series], times: Sequence[WeightSpan]) -> Trace:
    """Return the trace of a criterion; it has values in the steps whose gate judges it."""
    judged = [one for one in times if judge.name in judge.policy.gate(one.step)]
    return trace(
        source_of(judge, series), times, {one.step: limit_of(judge, one) for one in judged}
    )


def source_of(judge: Judge, series: Mapping[str, Series]) -> TraceSource:
    """Return where the trace of a criterion has its windows from."""
    form, compared, factor = form_of(judge), judge.criterion.window_value, 1.0
    if isinstance(judge, SequentialJudge) and judge.mean_count is not None:
        factor = float(judge.criterion.window.total_seconds()) / judge.period_s
    measure = judge.measure(series, has_traffic=True)
    return TraceSource(
        measure=_counts(measure) if compared.window is None else measure,
        period_s=judge.period_s,
        form=form,
        unit=judge.criterion.value_unit(judge.metrics) if form is TraceForm.LEVEL else "",
        control="" if compared.follows_weight else "stable path",
        factor=factor,
        mean=factor != 1.0,
    )


def _counts(measure: Measure) -> Measure:
    """Return a measure whose control is the count of a window, and no mean over its requests."""

    def counted(start: int) -> WindowCounts | None:
        one = measure(start)
        if one is None:
            return None
        counts = replace(one.counts, control_samples=float(one.counts.control_samples > 0))
        return replace(one, counts=counts)

    return counted


def form_of(judge: Judge) -> TraceForm:
    """Return what the values of a criterion are."""
    measured = judge.criterion.window_value.measured
    if isinstance(measured, Ratio):
        is_small = not measured.counts and 0 < judge.bound <= _SMALL_SHARE
        return TraceForm.FAILURES if measured.judges_failures or is_small else TraceForm.SHARE
    counts_slow = isinstance(judge, TailJudge) and judge.limits is not None
    return TraceForm.SHARE if counts_slow else TraceForm.LEVEL


def limit_of(judge: Judge, span: WeightSpan) -> float | None:
    """Return the bound of a criterion at one step, in the form of its trace."""
    one = judge.criterion.window_value
    if isinstance(one.measured, Ratio) and one.measured.judges_failures:
        return judge.allowed_failures
    if one.follows_weight:
        return span.weight / 100
    if isinstance(one.measured, Computed):
        return judge.bound
    if one.window is None:
        return None  # for all requests of a step, and the trace is by window
    if isinstance(judge, TailJudge) and judge.limits is not None:
        return None if judge.limits.control_metric else float(judge.allowed_slow_share)
    return _stored_limit(judge, one)


def latency_limit(judge: Judge) -> float | None:
    """Return the latency that a stored or fixed baseline allows; None where there is none."""
    one = judge.criterion.window_value
    return _stored_limit(judge, one) if one.metric is not None and one.is_maximum else None


def _stored_limit(judge: Judge, one: Comparison) -> float | None:
    return one.limit(None if judge.baseline is None else judge.baseline.value)
