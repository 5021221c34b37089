"""The trace of a criterion: where its windows come from, what its values are, and its bound."""

from collections.abc import Mapping, Sequence

from controller.core.judge.latency_tail import LatencyLimits, TailJudge
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.series import Measure, WindowCounts
from controller.core.observation import Series
from controller.core.policy.comparison import Comparison, Computed, Ratio
from controller.immutable import replace
from controller.operations.recorded.series import Judge, WeightSpan
from controller.operations.trace import Trace, TraceForm, TraceSource, trace

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
    factor, form, compared = _window_factor(judge), form_of(judge), judge.criterion.window_value
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
    return TraceForm.LEVEL if _limits(judge) is None else TraceForm.SHARE


def _limits(judge: Judge) -> LatencyLimits | None:
    """Return what slow means to a criterion that counts slow requests; None for any other."""
    return judge.limits if isinstance(judge, TailJudge) else None


def _window_factor(judge: Judge) -> float:
    """Return how many periods that are read the bound of a count is for."""
    if isinstance(judge, SequentialJudge) and judge.mean_count is not None:
        return float(judge.criterion.window.total_seconds()) / judge.period_s
    return 1.0


def limit_of(judge: Judge, span: WeightSpan) -> float | None:
    """Return the bound of a criterion at one step, in the form of its trace."""
    one, limits = judge.criterion.window_value, _limits(judge)
    if isinstance(one.measured, Ratio) and one.measured.judges_failures:
        return judge.allowed_failures
    if one.follows_weight:
        return span.weight / 100
    if isinstance(one.measured, Computed):
        return judge.bound
    if one.window is None:
        return None  # for all requests of a step, and the trace is by window
    if limits is not None and isinstance(judge, TailJudge):
        return None if limits.control_metric else float(judge.allowed_slow_share)
    return _stored_limit(judge, one)


def latency_limit(judge: Judge) -> float | None:
    """Return the latency that a stored or fixed baseline allows; None where there is none."""
    one = judge.criterion.window_value
    return _stored_limit(judge, one) if one.metric is not None and one.is_maximum else None


def _stored_limit(judge: Judge, one: Comparison) -> float | None:
    return one.limit(None if judge.baseline is None else judge.baseline.value)
