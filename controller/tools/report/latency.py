"""The latency of both paths over a rollout, as the policy's own statistics: p95, or another one.

The sequential judge reads no percentiles of the stable path, so where it has one both are read
again.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.series import WindowCounts, query, series_key
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import Increase
from controller.core.rollout import Rollout
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, ceil_to, floor_to
from controller.immutable import Immutable
from controller.operations.recorded.series import WeightSpan, judge_for
from controller.operations.recorded.trace import Trace, TraceForm, TraceSource, latency_limit, trace

# Age up to which CloudWatch keeps values of a period; after 455 days it has none.
_KEPT: Final = ((60, timedelta(days=15)), (300, timedelta(days=63)), (3_600, timedelta(days=455)))
# The most datapoints of one series: a chart cannot show more, and an answer has few pages.
_MAX_POINTS: Final = 10_000


class LatencyPair(Immutable):
    """A latency of the canary, by the name in the policy, and that of the stable path.

    stable: empty where no criterion compares them. criteria: on this latency.
    """

    canary: str
    stable: str
    criteria: tuple[str, ...]


class LatencyReport(Immutable):
    """The latency of both paths. statistic: like p95. trace: None where nothing could be read.

    problem: why something is missing; empty where nothing is.
    """

    pair: LatencyPair
    statistic: str
    trace: Trace | None
    problem: str = ""


class LatencyQueries(Immutable):
    """What has to be read again: the queries by metric, over one span."""

    by_metric: Mapping[str, MetricQuery]
    span: Span
    period_s: int


def latency_pairs(policy: Policy) -> list[LatencyPair]:
    """Return the latencies that the criteria of `policy` judge, each once."""
    stable: dict[str, str] = {}
    criteria: dict[str, list[str]] = {}
    for name, comparison in policy.comparisons():
        metric = comparison.metric
        is_increase = isinstance(comparison.measured, Increase)
        if metric is None or not (is_increase or policy.metrics[metric].percentile):
            continue
        stable[metric] = stable.get(metric) or comparison.stable_metric
        criteria.setdefault(metric, []).append(name)
    return [LatencyPair(one, stable[one], tuple(names)) for one, names in criteria.items()]


def latency_queries(
    policy: Policy, times: Sequence[WeightSpan], now: datetime
) -> LatencyQueries | None:
    """Return the queries for the latencies of both paths; None where there is nothing to read.

    The period is the shortest that CloudWatch still has, with at most 10,000 datapoints.
    """
    names = dict.fromkeys(
        name for pair in latency_pairs(policy) for name in (pair.canary, pair.stable) if name
    )
    if not names or not times:
        return None
    begin, end = times[0].begin, times[-1].end
    period = next((size for size, age in _KEPT if now - begin < age), _KEPT[-1][0])
    while (end - begin).total_seconds() / period > _MAX_POINTS:
        period *= 5
    span = Span(floor_to(begin, period), ceil_to(int(end.timestamp()), period))
    found = {
        name: query(policy.metrics[name], policy.metrics[name].statistic, period) for name in names
    }
    return LatencyQueries(found, span, period)


def latency_reports(
    rollout: Rollout,
    queries: LatencyQueries | None,
    answers: Mapping[MetricQuery, Series],
    problem: str,
    times: Sequence[WeightSpan],
) -> Iterator[LatencyReport]:
    """Yield the latencies of both paths.

    answers: of `queries`. problem: why they were not read; empty where they were.
    """
    if queries is None:
        return
    for pair in latency_pairs(rollout.policy):
        metric = rollout.policy.metrics[pair.canary]
        series = {name: answers.get(one, Series()) for name, one in queries.by_metric.items()}
        found = _trace(rollout, pair, metric, series, queries.period_s, times)
        why = problem or _problem(pair, series)
        yield LatencyReport(pair, metric.statistic, found if found.bins else None, why)


def recorded_answers(
    policy: Policy, recorded: Mapping[str, Series], queries: LatencyQueries
) -> dict[MetricQuery, Series] | None:
    """Return the answers to `queries` from a history; None where it does not have all of them."""
    found = {
        query: recorded.get(series_key(name, policy.metrics[name].statistic, queries.period_s))
        for name, query in queries.by_metric.items()
    }
    known = {query: one for query, one in found.items() if one is not None}
    return known if len(known) == len(found) else None


def _problem(pair: LatencyPair, series: Mapping[str, Series]) -> str:
    """Return why values of a pair are missing; empty when both were answered in full."""
    for name in filter(None, (pair.canary, pair.stable)):
        one = series[name]
        if one.status is not QueryStatus.COMPLETE:
            return f"metric {name} was not read in full: {one.message or one.status}"
        if not one.points and name == pair.canary:
            return f"metric {name} has no datapoint in this time"
    return ""


def _trace(
    rollout: Rollout,
    pair: LatencyPair,
    metric: Metric,
    series: Mapping[str, Series],
    period_s: int,
    times: Sequence[WeightSpan],
) -> Trace:
    canary = series[pair.canary].points
    stable = series[pair.stable].points if pair.stable else {}

    def measure(start: int) -> WindowCounts | None:
        value, other = canary.get(start), stable.get(start)
        if value is None:
            return None
        samples = 0.0 if other is None else 1.0
        return WindowCounts(Counts(1.0, value, samples, other or 0.0), value)

    source = TraceSource(
        measure, max(period_s, MINUTE_S), TraceForm.LEVEL, metric.unit, pair.stable
    )
    return trace(source, times, _limits(rollout, pair, times))


def _limits(
    rollout: Rollout, pair: LatencyPair, times: Sequence[WeightSpan]
) -> dict[int, float | None]:
    """Return the lowest stored limit of each step, by its index; None where there is none."""
    found: dict[int, float | None] = {}
    for step in {one.step for one in times}:
        gate = rollout.policy.gate(step)
        limits = [latency_limit(judge_for(rollout, name)) for name in pair.criteria if name in gate]
        found[step] = min((limit for limit in limits if limit is not None), default=None)
    return found
