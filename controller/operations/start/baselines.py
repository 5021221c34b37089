"""Frozen baselines: read once, of the stable path alone, and with enough samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.latency_tail import SAMPLES, percentiles_of
from controller.core.judge.queries import query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span, TargetReading
from controller.core.policy import ConcurrentBaseline, FrozenBaseline, LatencyIncrease, Policy
from controller.core.stats.dispersion import (
    BLOCK_MINUTES,
    LEAST_BLOCKS,
    dispersion,
    local_dispersion,
)
from controller.core.stats.two_sample import above
from controller.core.units import (
    MINUTE_S,
    ceil_to,
    clock_text,
    floor_to,
    format_duration,
    from_unix,
    number_text,
)
from controller.engine.tick import Runner
from controller.errors import MetricsError

# Blocks long enough to hold a few slow requests, and short enough that a day has many.
_BLOCK_S = BLOCK_MINUTES * MINUTE_S
# How far back a control that runs beside the canary is looked at, to learn what is slow there.
_CONCURRENT_LOOKBACK = timedelta(hours=24)
# CloudWatch keeps one-minute datapoints 15 days and five-minute ones 63 days.
_RETENTION_PERIODS = ((timedelta(days=15), 300), (timedelta(days=63), 3_600))


@dataclass(frozen=True, slots=True)
class BaselineRequest:
    """One baseline to read: for which criterion, what, over which window (unix seconds).

    percentiles: percentiles by the share of values below them, to read shares between; empty: nobody
    needs any. beside: the control runs beside the canary, so that a rollout does no harm to it.
    """

    criterion: str
    value: MetricQuery
    samples: MetricQuery
    percentiles: Mapping[MetricQuery, float]
    span: Span
    min_samples: int
    text: str
    concurrent: bool

    @property
    def min_datapoints(self) -> int:
        """How many datapoints the window has to have at least."""
        return LEAST_BLOCKS if self.percentiles else 1

    @property
    def queries(self) -> tuple[MetricQuery, ...]:
        """Everything to read."""
        return tuple(dict.fromkeys((self.value, self.samples, *self.percentiles)))


def baseline_requests(policy: Policy, now: datetime, step: int = 0) -> Iterator[BaselineRequest]:
    """Yield every baseline of `policy` to read for a rollout that starts at `now` in `step`.

    The window is moved back to whole periods, at least one; the period is as coarse as CloudWatch
    still keeps it.
    """
    for name, criterion in policy.criteria.items():
        if not isinstance(criterion, LatencyIncrease):
            continue
        stable = _stable_metric(criterion)
        beside = isinstance(criterion.baseline, ConcurrentBaseline)
        if stable is None or (beside and not _gates(policy, name, step)):
            continue
        name_of_metric, baseline = stable
        start, end = baseline.window(now, policy.settle)
        period_s = _BLOCK_S if criterion.sequential else int(criterion.window.total_seconds())
        for age, coarser in _RETENTION_PERIODS:
            if now - start > age:
                period_s = ceil_to(period_s, coarser)
        begin = floor_to(start, period_s)
        last = max(floor_to(end, period_s), begin + period_s)
        if baseline.over is not None and last > end.timestamp():
            begin, last = begin - period_s, last - period_s  # the newest period is not over yet
        metric = policy.metrics[name_of_metric]
        wanted = percentiles_of(metric).items() if criterion.sequential else ()
        yield BaselineRequest(
            criterion=name,
            value=query(metric, metric.statistic, period_s),
            samples=query(metric, SAMPLES, period_s),
            percentiles={query(metric, name, period_s): share for name, share in wanted},
            span=Span(begin, last),
            min_samples=criterion.min_samples,
            text=f"{name}: {name_of_metric} ({metric.statistic})",
            concurrent=beside,
        )


def _gates(policy: Policy, name: str, first: int) -> bool:
    """Tell whether a criterion gates any step from number `first` on."""
    return any(name in policy.gate(step) for step in range(first, len(policy.steps)))


def _stable_metric(criterion: LatencyIncrease) -> tuple[str, FrozenBaseline] | None:
    """Return the metric to read and over which window; None where nothing is read beforehand."""
    match criterion.baseline:
        case FrozenBaseline() as frozen:
            return frozen.frozen, frozen
        case ConcurrentBaseline(concurrent=name) if criterion.sequential:
            return name, FrozenBaseline(frozen=name, over=_CONCURRENT_LOOKBACK)
        case _:
            return None


def frozen_value(
    request: BaselineRequest, series: Mapping[MetricQuery, Series]
) -> FrozenValue | None:
    """Return the sample-weighted mean of the window's values; None with too few datapoints.

    One will do, but for the sequential judge, which learns from them how much they vary.

    For percentiles this is an approximation: those of several periods cannot be combined exactly.
    Raises MetricsError when a series was not answered in full: half a baseline is none.
    """
    for one in map(series.__getitem__, request.queries):
        if one.answer is not QueryStatus.COMPLETE:
            raise MetricsError(
                f"{request.text}: {one.message or one.answer}", answer=str(one.answer)
            )
    values, counts = series[request.value].points, series[request.samples].points
    inside = [at for at in values if request.span.start <= at < request.span.end and counts.get(at)]
    samples = sum(counts[at] for at in inside)
    if not samples or len(inside) < request.min_datapoints:
        return None
    mean = sum(values[at] * counts[at] for at in inside) / samples
    value = FrozenValue(mean, samples, request.span.start, request.span.end)
    if not request.percentiles:
        return value
    blocks = [(counts[at], counts[at] * _slow_share(request, series, at, mean)) for at in inside]
    # A p99.5 that keeps its limit leaves 0.5 % above it, whatever the mean of many p99.5 does.
    share = max(sum(slow for _, slow in blocks) / samples, 1 - request.percentiles[request.value])
    varied = local_dispersion(blocks) if request.concurrent else dispersion(blocks)
    return replace(value, share=share, dispersion=varied)


def _slow_share(
    request: BaselineRequest, series: Mapping[MetricQuery, Series], at: int, limit: float
) -> float:
    """Return the share of requests slower than `limit` in the block that begins at `at`."""
    known = {
        share: series[one].points[at]
        for one, share in request.percentiles.items()
        if at in series[one].points
    }
    found = above(limit, known)
    if found is None:  # one value, or none: all of its requests are alike
        return float(max(known.values(), default=0.0) > limit)
    return found


# --- Reading them before a start ------------------------------------------------------------------

_ALTERNATIVE = "or a known value: baseline: {fixed: ...}"


def unusable_when_adopting(policy: Policy) -> dict[str, str]:
    """Return, by criterion, why its baseline is no good where the canary has traffic already."""
    return {
        name: f"{name}: a baseline `over` {format_duration(one.baseline.over)} before the start "
        "would be measured while the canary has traffic; name a window before that with `from` "
        f"and `to`, {_ALTERNATIVE}"
        for name, one in policy.criteria.items()
        if isinstance(one, LatencyIncrease)
        and isinstance(one.baseline, FrozenBaseline)
        and one.baseline.over is not None
    }


def read_baseline(
    runner: Runner,
    policy: Policy,
    reading: TargetReading,
    request: BaselineRequest,
    settled_until: datetime,
) -> tuple[FrozenValue | None, str | None]:
    """Return the value of a baseline, and why it cannot be used.

    Raises MetricsError when the source does not answer at all.
    """
    if request.span.end > settled_until.timestamp():
        return None, (
            f"{request.text}: its window ends at {clock_text(from_unix(request.span.end))}, and measurements "
            f"are settled only until {clock_text(settled_until)}; name an earlier `to`, {_ALTERNATIVE}"
        )
    series = runner.observer.metrics.read(request.queries, request.span)
    try:
        value = frozen_value(request, series)
    except MetricsError as error:
        return None, f"measurements cannot be read: {error}"
    unfit = _problem_with(request, value)
    return value, unfit if request.concurrent else unfit or _exposure_overlap(
        runner, policy, reading, request
    )


def _problem_with(request: BaselineRequest, value: FrozenValue | None) -> str | None:
    window = (
        f"{clock_text(from_unix(request.span.start))} to {clock_text(from_unix(request.span.end))}"
    )
    if value is None:
        return (
            f"{request.text} has {_no_data_text(request)} from {window}; {_more_data_text(request)}, or give a known value: "
            "baseline: {fixed: ...}"
        )
    if value.samples < request.min_samples:
        seen, needed = number_text(value.samples), number_text(request.min_samples)
        return (
            f"{request.text} has {seen} samples from {window}, {needed} needed; take a longer window, "
            "or give a known value: baseline: {fixed: ...}"
        )
    return None


def _no_data_text(request: BaselineRequest) -> str:
    if request.min_datapoints == 1:
        return "no data"
    return f"data of fewer than {request.min_datapoints} stretches of {request.value.period_s // 60} minutes"


def _more_data_text(request: BaselineRequest) -> str:
    return (
        "measure the stable path" if request.min_datapoints == 1 else "take more of the stable path"
    )


def _exposure_overlap(
    runner: Runner, policy: Policy, reading: TargetReading, request: BaselineRequest
) -> str | None:
    """A baseline must be of the stable path alone: refuse where a rollout had weight above 0."""
    locks = policy.target.locks(reading.identity)
    for rollout_id, begin, end in runner.store.exposures(reading.identity, locks):
        over = end is None or end.timestamp() > request.span.start
        if not over or begin.timestamp() >= request.span.end:
            continue
        if end is None and reading.weight == 0:
            return (
                f"{request.text}: its window overlaps {rollout_id}, which had weight above 0 from "
                f"{clock_text(begin)} on, and nobody saw when that ended; name a window before "
                f"that with `from` and `to`, {_ALTERNATIVE}"
            )
        until = clock_text(end) if end else "now"
        return (
            f"{request.text}: its window overlaps {rollout_id}, which had weight above 0 from "
            f"{clock_text(begin)} to {until}; name a window with `from` and `to`, {_ALTERNATIVE}"
        )
    return None
