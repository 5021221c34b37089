"""Frozen baselines: read once before a start, of the stable path alone, with enough samples."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from controller.core.judge.evidence import HOURS_OF_A_WEEK, BaselineMeasurement, hour_of_week
from controller.core.judge.latency_tail import percentiles_of
from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span, TargetReading
from controller.core.policy import ConcurrentBaseline, FrozenBaseline, Policy
from controller.core.policy.comparison import Comparison, Increase
from controller.core.stats.dispersion import (
    BLOCK_MINUTES,
    MIN_BLOCKS,
    dispersion,
    hourly_dispersion,
    local_dispersion,
)
from controller.core.stats.hangs import HANG_FACTOR
from controller.core.stats.two_sample import (
    LatencyCurve,
    Percentiles,
    latency_curve,
    share_above,
)
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
from controller.immutable import Immutable, replace
from controller.operations.live_checks.target import exposures_of

# Blocks long enough to hold a few slow requests, and short enough that a day has many.
_BLOCK_S = BLOCK_MINUTES * MINUTE_S

# How far back a concurrent control is read, to learn its share of slow requests.
_CONCURRENT_LOOKBACK = timedelta(hours=24)

_WEEK_S = 7 * 24 * 3_600

# CloudWatch keeps one-minute datapoints 15 days and five-minute ones 63 days.
_RETENTION_PERIODS = ((timedelta(days=15), 300), (timedelta(days=63), 3_600))

_ALTERNATIVE = "or a known value: baseline: {fixed: ...}"


# --- Requests -------------------------------------------------------------------------------------


class BaselineRequest(Immutable):
    """One baseline to read: the criterion, its queries, and the window (unix seconds).

    percentiles: queries of percentiles and the share of values below each, to interpolate shares;
        empty: none are needed.
    text: names the baseline in messages.
    concurrent: the control runs at the same time as the canary, so that an earlier rollout in the
        window does not spoil it.
    same_hours: each hour is compared with the same hours of the window.
    """

    criterion: str
    value: MetricQuery
    samples: MetricQuery
    percentiles: Mapping[MetricQuery, float]
    span: Span
    min_samples: int
    text: str
    concurrent: bool
    same_hours: bool

    @property
    def min_datapoints(self) -> int:
        """The fewest datapoints that the window needs."""
        return MIN_BLOCKS if self.percentiles else 1

    @property
    def queries(self) -> tuple[MetricQuery, ...]:
        """All queries of this baseline, without duplicates."""
        return tuple(dict.fromkeys((self.value, self.samples, *self.percentiles)))


def baseline_requests(policy: Policy, now: datetime, step: int = 0) -> Iterator[BaselineRequest]:
    """Yield every baseline to read for a rollout of `policy` that starts at `now` in `step`.

    The window is moved back to whole periods, at least one; the period is as fine as CloudWatch
    still retains it.
    """
    for name, comparison in policy.comparisons():
        criterion = policy.criteria[name]
        stable = _stable_metric(comparison, sequential=criterion.sequential)
        concurrent = comparison.control is not None
        gates = any(name in policy.gate(one) for one in range(step, len(policy.steps)))
        if stable is None or (concurrent and not gates):
            continue
        name_of_metric, baseline = stable
        start, end = baseline.span(now, policy.evaluation_delay)
        period_s = _BLOCK_S if criterion.sequential else int(criterion.period.total_seconds())
        for age, coarser in _RETENTION_PERIODS:
            if now - start > age:
                period_s = ceil_to(period_s, coarser)
        begin = floor_to(start, period_s)
        last = max(floor_to(end, period_s), begin + period_s)
        if baseline.window is not None and last > end.timestamp():
            begin, last = begin - period_s, last - period_s  # the newest period is not over yet
        metric = policy.target.at_zero(policy.metrics[name_of_metric])
        percentiles = percentiles_of(metric).items() if criterion.sequential else ()
        yield BaselineRequest(
            criterion=name,
            value=query(metric, metric.statistic, period_s),
            samples=query(metric, SAMPLE_COUNT, period_s),
            percentiles={query(metric, name, period_s): share for name, share in percentiles},
            span=Span(begin, last),
            min_samples=comparison.min_samples,
            text=f"{name}: {name_of_metric} ({metric.statistic})",
            concurrent=concurrent,
            same_hours=bool(baseline.same_hours),
        )


def _stable_metric(one: Comparison, *, sequential: bool) -> tuple[str, FrozenBaseline] | None:
    """Return the metric to read and its window; None when no baseline is read before the start."""
    match one.measured:
        case Increase(over=FrozenBaseline() as baseline):
            return baseline.frozen, baseline
        case Increase(over=ConcurrentBaseline(concurrent=name)) if sequential:
            return name, FrozenBaseline(frozen=name, window=_CONCURRENT_LOOKBACK)
        case _:
            return None


def unusable_when_adopting(policy: Policy) -> dict[str, str]:
    """Return, by criterion, why its baseline cannot be used when the canary has traffic already."""
    return {
        name: f"{name}: a baseline window of {format_duration(window)} before the "
        "start would be measured while the canary has traffic; name a window before that with "
        f"`from` and `to`, {_ALTERNATIVE}"
        for name, window in _moving_windows(policy).items()
    }


# --- Values ---------------------------------------------------------------------------------------


def read_baseline(
    runner: Runner,
    policy: Policy,
    reading: TargetReading,
    request: BaselineRequest,
    settled_until: datetime,
) -> tuple[BaselineMeasurement | None, str | None]:
    """Return the value of a baseline, and why it cannot be used.

    Raises MetricsError when the metric source cannot be read at all.
    """
    if request.span.end > settled_until.timestamp():
        return None, (
            f"{request.text}: its window ends at {clock_text(from_unix(request.span.end))}, "
            f"and measurements are settled only until {clock_text(settled_until)}; "
            f"name an earlier `to`, {_ALTERNATIVE}"
        )
    series = runner.observer.metrics.read(request.queries, request.span)
    try:
        value = frozen_value(request, series)
    except MetricsError as error:
        return None, f"measurements cannot be read: {error}"
    problem = _problem_with(request, value)
    return value, problem if request.concurrent else problem or _exposure_overlap(
        runner, policy, reading, request
    )


class BaselinePeriod(NamedTuple):
    """One period of a baseline: its start, unix seconds, its value and its samples.

    percentiles, curve: of its latencies, where shares of slow requests are needed.
    """

    at: int
    value: float
    samples: float
    percentiles: Percentiles
    curve: LatencyCurve


def frozen_value(
    request: BaselineRequest, series: Mapping[MetricQuery, Series]
) -> BaselineMeasurement | None:
    """Return the value of `periods_of` the window; None with too few datapoints.

    Raises MetricsError when a series is incomplete: part of a baseline is not used.
    """
    return value_of(request, periods_of(request, series))


def periods_of(
    request: BaselineRequest, series: Mapping[MetricQuery, Series]
) -> list[BaselinePeriod]:
    """Return the periods of the window that have samples.

    Raises MetricsError when a series is incomplete.
    """
    for one in map(series.__getitem__, request.queries):
        if one.status is not QueryStatus.COMPLETE:
            raise MetricsError(
                f"{request.text}: {one.message or one.status}", answer=str(one.status)
            )
    values, counts = series[request.value].points, series[request.samples].points
    columns = {share: series[one].points for one, share in request.percentiles.items()}.items()
    periods: list[BaselinePeriod] = []
    for at, value in values.items():
        count = counts.get(at)
        if count and request.span.start <= at < request.span.end:
            percentiles = tuple([(share, points[at]) for share, points in columns if at in points])
            curve = latency_curve(percentiles)
            periods.append(BaselinePeriod(at, value, count, percentiles, curve))
    return periods


def value_of(
    request: BaselineRequest, periods: Sequence[BaselinePeriod]
) -> BaselineMeasurement | None:
    """Return the sample-weighted mean of `periods`, all of the window; None with too few of them.

    One period is enough, except for the sequential judge, which estimates their dispersion.

    For percentiles this is an approximation: those of several periods cannot be combined exactly.
    """
    samples = sum([one.samples for one in periods])
    if not samples or len(periods) < request.min_datapoints:
        return None
    mean = sum([one.value * one.samples for one in periods]) / samples
    value = BaselineMeasurement(mean, samples, request.span.start, request.span.end)
    if not request.percentiles:
        return value
    blocks = [(one.samples, one.samples * share_above(mean, one.curve)) for one in periods]
    # By definition 0.5% of requests are above a p99.5; the mean of many p99.5 may leave fewer.
    share = max(sum(slow for _, slow in blocks) / samples, 1 - request.percentiles[request.value])
    spread = local_dispersion(blocks) if request.concurrent else dispersion(blocks)
    limit = HANG_FACTOR * mean
    hung = sum(one.samples * _most_above(one.percentiles, limit) for one in periods) / samples
    measured = replace(value, share=share, dispersion=spread, hung_share=hung)
    if request.concurrent:
        return measured
    times = [one.at for one in periods]
    return with_hours(measured, times, blocks, same_hours=request.same_hours)


def with_hours(
    measured: BaselineMeasurement,
    times: Sequence[int],
    blocks: Sequence[tuple[float, float]],
    *,
    same_hours: bool,
) -> BaselineMeasurement:
    """Return `measured` with the share of slow requests in each hour of the day.

    same_hours: also with the requests in each hour of the week, where it has a whole one.
    """
    hours = hourly_shares(times, blocks)
    if not hours or not same_hours:
        return replace(measured, hours=hours)
    timed = [(at, *block) for at, block in zip(times, blocks, strict=True)]
    spread, week = hourly_dispersion(timed, hours), _requests_of_week(measured, timed)
    return replace(measured, hours=hours, hourly=True, dispersion=spread, week=week)


def _requests_of_week(
    measured: BaselineMeasurement, blocks: Sequence[tuple[int, float, float]]
) -> tuple[float, ...] | UnsetType:
    """Return the requests a minute in each hour of the week; UNSET of less than a week.

    Three digits: they are stored with the rollout, and no week is like the one before.
    """
    if measured.end - measured.start < _WEEK_S:
        return UNSET
    requests = [0.0] * HOURS_OF_A_WEEK
    minutes = Counter(map(hour_of_week, range(measured.start, measured.end, MINUTE_S)))
    for at, total, _ in blocks:
        requests[hour_of_week(at)] += total
    return tuple(float(f"{total / minutes[hour]:.3g}") for hour, total in enumerate(requests))


def hourly_shares(times: Iterable[int], blocks: Iterable[tuple[float, float]]) -> tuple[float, ...]:
    """Return the share of slow requests in each hour of the day; nothing where one has no data.

    Four digits: it is stored with the rollout, and no share of an hour is known better.
    """
    requests, hits = [0.0] * 24, [0.0] * 24
    for at, (total, slow) in zip(times, blocks, strict=True):
        hour = at // 3_600 % 24
        requests[hour], hits[hour] = requests[hour] + total, hits[hour] + slow
    if not all(requests):
        return ()
    shares = zip(hits, requests, strict=True)
    return tuple(round(min(max(slow / total, 1e-4), 0.9), 4) for slow, total in shares)


def _most_above(percentiles: Percentiles, limit: float) -> float:
    """Return the largest share above `limit` that the percentiles of a block leave.

    That is 1% where the p99 is below it. A value between two percentiles is no upper bound: in a
    latency with cold starts they may lie far apart.
    """
    return 1 - max([share for share, value in percentiles if value <= limit], default=0.0)


# --- Refusals -------------------------------------------------------------------------------------


def _problem_with(request: BaselineRequest, value: BaselineMeasurement | None) -> str | None:
    window = (
        f"{clock_text(from_unix(request.span.start))} to {clock_text(from_unix(request.span.end))}"
    )
    if value is None:
        pairs = ", ".join(f"{name}: {one}" for name, one in request.value.dimensions)
        minutes, least = request.value.period_s // 60, request.min_datapoints
        found = f"data of fewer than {least} stretches of {minutes} minutes"
        advice = "take more of the stable path"
        if least == 1:
            found, advice = "no data", "measure the stable path"
        return (
            f"{request.text} of {{{pairs}}} has {found} from {window}; {advice}, or give a known "
            "value: baseline: {fixed: ...}"
        )
    if value.samples < request.min_samples:
        samples, needed = number_text(value.samples), number_text(request.min_samples)
        return (
            f"{request.text} has {samples} samples from {window}, {needed} needed; "
            "take a longer window, or give a known value: baseline: {fixed: ...}"
        )
    return None


def _exposure_overlap(
    runner: Runner, policy: Policy, reading: TargetReading, request: BaselineRequest
) -> str | None:
    """Return why the window may contain canary traffic: a rollout had weight above 0 in it."""
    for rollout_id, begin, end in exposures_of(runner.store, policy, reading):
        over = end is None or end.timestamp() > request.span.start
        if not over or begin.timestamp() >= request.span.end:
            continue
        if end is None and reading.weight == 0:
            return (
                f"{request.text}: its window overlaps {rollout_id}, which had weight above 0 from "
                f"{clock_text(begin)} on, and when that ended is unknown; name a window before "
                f"that with `from` and `to`, {_ALTERNATIVE}"
            )
        until = clock_text(end) if end else "now"
        return (
            f"{request.text}: its window overlaps {rollout_id}, which had weight above 0 from "
            f"{clock_text(begin)} to {until}; {_way_around(runner, policy, request, begin, end)}, "
            f"{_ALTERNATIVE}"
        )
    return None


def _way_around(
    runner: Runner,
    policy: Policy,
    request: BaselineRequest,
    begin: datetime,
    end: datetime | None,
) -> str:
    """Return how to start although the canary had traffic from `begin` to `end`."""
    now = runner.clock.now()
    clear = None if end is None else clear_of_canary_at(policy, begin, end, now)
    wait = "" if clear is None else f"run the same command from {clock_text(clear)} on, or "
    window = _window_before(request, begin)
    return f"{wait}name a window before that rollout in the policy, {window}"


def _window_before(request: BaselineRequest, moment: datetime) -> str:
    """Return the newest window as long as that of `request` that ends at `moment`, for a policy."""
    last = floor_to(moment, request.value.period_s)
    first = last - (request.span.end - request.span.start)
    return " and ".join(
        f"`{name}` {from_unix(second):%Y-%m-%dT%H:%M:%SZ}"
        for name, second in (("from", first), ("to", last))
    )


def windows_before_canary(
    policy: Policy, begin: datetime, end: datetime, now: datetime
) -> list[str]:
    """Return for each baseline with the canary traffic from `begin` to `end` one without it.

    Each is a place in the policy and a window; none where a start `now` reads no such traffic.
    """
    return [
        f"`criteria.{one.criterion}.baseline` {_window_before(one, begin)}"
        for one in _with_canary(policy, begin, end, now)
    ]


def _with_canary(
    policy: Policy, begin: datetime, end: datetime, moment: datetime
) -> list[BaselineRequest]:
    """Return the baselines whose window moves with the start, and at `moment` has that traffic."""
    moving = _moving_windows(policy)
    return [
        request
        for request in baseline_requests(policy, moment)
        if request.criterion in moving
        and request.span.start < end.timestamp()
        and request.span.end > begin.timestamp()
    ]


def _moving_windows(policy: Policy) -> dict[str, timedelta]:
    """Return the length of each baseline window that ends at the start, by criterion."""
    windows = {name: baseline.window for name, baseline in policy.frozen_baselines.items()}
    return {name: window for name, window in windows.items() if window is not None}


def clear_of_canary_at(
    policy: Policy, begin: datetime, end: datetime, now: datetime
) -> datetime | None:
    """Return from when on no baseline window has the canary traffic from `begin` to `end`.

    None where none has it at a start `now`, or where none moves with the start.
    """
    if not _with_canary(policy, begin, end, now):
        return None
    clear = from_unix(ceil_to(ceil(end.timestamp()), MINUTE_S))
    clear += max(_moving_windows(policy).values()) + policy.evaluation_delay
    while _with_canary(policy, begin, end, clear):
        clear += timedelta(minutes=1)
    return clear
