"""The query plan of a gate: which series, log events and alarms a tick reads, over which time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm
from types import MappingProxyType

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import SAMPLE_COUNT, Limits, limits_of, tail_statistics
from controller.core.judge.log_queries import log_queries_of
from controller.core.judged_intervals import unsealed_intervals
from controller.core.observation import LogQuery, MetricQuery, Span
from controller.core.policy import (
    Alarm,
    Attestation,
    Criterion,
    FrozenBaseline,
    LatencyIncrease,
    LogEvents,
    Metric,
    Policy,
    Threshold,
)
from controller.core.rollout import Phase, Rollout
from controller.core.units import MINUTE_S, ceil_to, floor_to

# The phases in which a gate is judged.
JUDGED_PHASES = frozenset({Phase.PROGRESSING, Phase.PAUSED})


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What a tick has to read: metric queries by series key, all of them over one span.

    logs: log queries by series key; each over a span of its own. alarms: names and ARNs of alarms.
    """

    queries: Mapping[str, MetricQuery] = field(default_factory=dict)
    span: Span = Span(0, 0)
    logs: Mapping[str, LogQuery] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything has to be read."""
        return bool(self.queries or self.logs or self.alarms)


def series_key(metric: str, statistic: str, period_s: int) -> str:
    """Return the key of a series inside an observation: `latency:p95@300`."""
    return f"{metric}:{statistic}@{period_s}"


def period_of(criterion: Criterion) -> int:
    """Return the length of one window of `criterion` in seconds."""
    return int(criterion.window.total_seconds())


def slow_limits(
    criterion: Criterion, metrics: Mapping[str, Metric], baseline: BaselineMeasurement | None
) -> Limits | None:
    """Return the limits of slow requests where `criterion` counts them; None where it does not.

    It does for a latency of the sequential judge: one with a fixed limit, or one whose baseline
    was read.
    """
    if not isinstance(criterion, LatencyIncrease | Threshold) or not criterion.sequential:
        return None
    if isinstance(criterion, Threshold) and metrics[criterion.metric].percentile is None:
        return None
    return limits_of(criterion, baseline)


def series_keys_of(
    criterion: Criterion, metrics: Mapping[str, Metric], baseline: BaselineMeasurement | None = None
) -> list[tuple[str, str, str]]:
    """Return metric name, statistic and series key of every series that `criterion` reads.

    baseline: what was read of the stable path; without it there are no limits to count slow
    requests by, so the series of the latency itself stand for them.
    """
    limits = slow_limits(criterion, metrics, baseline)
    if limits is not None and isinstance(criterion, LatencyIncrease | Threshold):
        pairs = tail_statistics(criterion, limits, metrics[criterion.metric])
    else:
        pairs = _metric_statistics(criterion, metrics)
    period_s = period_of(criterion)
    return [(name, statistic, series_key(name, statistic, period_s)) for name, statistic in pairs]


def _metric_statistics(
    criterion: Criterion, metrics: Mapping[str, Metric]
) -> list[tuple[str, str]]:
    names = [name for _, name in criterion.references()]
    if isinstance(criterion, LatencyIncrease) and isinstance(criterion.baseline, FrozenBaseline):
        names.remove(criterion.baseline.frozen)  # read once, before the start
    pairs = [(name, metrics[name].statistic) for name in names]
    match criterion:
        case LatencyIncrease():  # every value is weighted by its samples
            pairs += [(name, SAMPLE_COUNT) for name in names]
        case Threshold():
            pairs.append((criterion.metric, SAMPLE_COUNT))
        case _:
            pass
    return pairs


def query(metric: Metric, statistic: str, period_s: int) -> MetricQuery:
    """Return the query for one statistic of `metric`."""
    dimensions = tuple(sorted(metric.dimensions.items()))
    return MetricQuery(metric.namespace, metric.name, statistic, period_s, dimensions)


def queries_for(
    policy: Policy,
    gate: Mapping[str, Criterion],
    baselines: Mapping[str, BaselineMeasurement] = MappingProxyType({}),
) -> dict[str, MetricQuery]:
    """Return every query of `gate`, by series key; a series that criteria share is read once."""
    return {
        series: query(policy.metrics[metric], statistic, period_of(criterion))
        for name, criterion in gate.items()
        for metric, statistic, series in series_keys_of(
            criterion, policy.metrics, baselines.get(name)
        )
    }


def aligned_span(queries: Mapping[str, MetricQuery], start: int, end: int) -> Span:
    """Return the smallest span around `start`..`end` that begins and ends on every period.

    What CloudWatch does with a start inside a period is not documented.
    """
    step = lcm(*(one.period_s for one in queries.values())) if queries else MINUTE_S
    return Span(start // step * step, ceil_to(end, step))


def gate_query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read for the gate of `rollout`; nothing where no gate is judged.

    The span starts at the end of the sealed evidence and includes the period that is still open:
    an absolute count that is already over its limit fails without the rest of its period.
    """
    start = rollout.read_from
    if rollout.phase not in JUDGED_PHASES or start is None or start >= now.timestamp():
        return QueryPlan()
    policy, gate = rollout.policy, rollout.policy.gate(rollout.judged_step)
    queries = queries_for(policy, gate, rollout.baselines)
    sealed = [
        rollout.tallies[name].through if name in rollout.tallies else 0
        for name, one in gate.items()
        if not isinstance(one, Alarm | Attestation | LogEvents)
    ]
    judged_from = rollout.judged_from or start
    begin = max(judged_from, min(sealed, default=0))
    intervals = unsealed_intervals(rollout)
    for one in intervals:
        sequential_criteria = {
            name: criterion
            for name, criterion in policy.gate(one.step).items()
            if criterion.sequential
        }
        queries |= queries_for(policy, sequential_criteria, rollout.baselines)
    if intervals:
        begin = min(begin, max(intervals[0].begin, rollout.fold.through))
    return QueryPlan(
        queries,
        aligned_span(queries, begin, floor_to(now, MINUTE_S) + MINUTE_S),
        _log_queries(rollout, Span(judged_from, floor_to(now - policy.settle, MINUTE_S))),
        tuple({one.alarm: None for one in gate.values() if isinstance(one, Alarm)}),
    )


def _log_queries(rollout: Rollout, judged_span: Span) -> dict[str, LogQuery]:
    """Return the log queries of the gate; judged_span: the judged and settled time of the step."""
    policy, queries = rollout.policy, dict[str, LogQuery]()
    for name, one in policy.gate(rollout.judged_step).items():
        if isinstance(one, LogEvents):
            sealed = rollout.tallies[name].through if name in rollout.tallies else 0
            begin = max(judged_span.start, sealed)
            queries |= log_queries_of(name, one, policy.log_group_of(one), begin, judged_span)
    return queries
