"""What a tick has to read to judge a gate: which series, over which stretch of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm
from types import MappingProxyType

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.latency_tail import SAMPLES, Limits, limits_of, statistics
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
JUDGED = frozenset({Phase.PROGRESSING, Phase.PAUSED})


@dataclass(frozen=True, slots=True)
class Needs:
    """Queries by key, and one span that covers them all; no queries when nothing is needed.

    logs: what has to be counted in logs, by key; each over a span of its own.
    alarms: names and ARNs of alarms.
    """

    queries: Mapping[str, MetricQuery] = field(default_factory=dict)
    span: Span = Span(0, 0)
    logs: Mapping[str, LogQuery] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything has to be read."""
        return bool(self.queries or self.logs or self.alarms)


def key(metric: str, statistic: str, period_s: int) -> str:
    """Return the name of a series inside an observation: `latency:p95@300`."""
    return f"{metric}:{statistic}@{period_s}"


def period_of(criterion: Criterion) -> int:
    """Return the length of one window of `criterion` in seconds."""
    return int(criterion.window.total_seconds())


def slow_limits(
    criterion: Criterion, metrics: Mapping[str, Metric], baseline: FrozenValue | None
) -> Limits | None:
    """Return what slow means where `criterion` counts slow requests; None where it does not.

    That is the sequential judge with a latency: one of a fixed limit, or one whose baseline was
    read.
    """
    if not isinstance(criterion, LatencyIncrease | Threshold) or not criterion.sequential:
        return None
    if isinstance(criterion, Threshold) and metrics[criterion.metric].percentile is None:
        return None
    return limits_of(criterion, baseline)


def keys_of(
    criterion: Criterion, metrics: Mapping[str, Metric], baseline: FrozenValue | None = None
) -> list[tuple[str, str, str]]:
    """Return metric name, statistic and series key of everything `criterion` looks at.

    baseline: what was read of the stable path; without it, a latency stands for its slow requests.
    """
    limits = slow_limits(criterion, metrics, baseline)
    if limits is not None and isinstance(criterion, LatencyIncrease | Threshold):
        wanted = statistics(criterion, limits, metrics[criterion.metric])
    else:
        wanted = _plain(criterion, metrics)
    period_s = period_of(criterion)
    return [(name, statistic, key(name, statistic, period_s)) for name, statistic in wanted]


def _plain(criterion: Criterion, metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    names = [name for _, name in criterion.references()]
    if isinstance(criterion, LatencyIncrease) and isinstance(criterion.baseline, FrozenBaseline):
        names.remove(criterion.baseline.frozen)  # read once, before the start
    wanted = [(name, metrics[name].statistic) for name in names]
    match criterion:
        case LatencyIncrease():  # every value is weighted by its samples
            wanted += [(name, SAMPLES) for name in names]
        case Threshold():
            wanted.append((criterion.metric, SAMPLES))
        case _:
            pass
    return wanted


def query(metric: Metric, statistic: str, period_s: int) -> MetricQuery:
    """Return the query for one statistic of `metric`."""
    dimensions = tuple(sorted(metric.dimensions.items()))
    return MetricQuery(metric.namespace, metric.name, statistic, period_s, dimensions)


def queries_for(
    policy: Policy,
    gate: Mapping[str, Criterion],
    baselines: Mapping[str, FrozenValue] = MappingProxyType({}),
) -> dict[str, MetricQuery]:
    """Return every query of `gate`, by series key; a series shared by criteria is asked once."""
    return {
        series: query(policy.metrics[metric], statistic, period_of(criterion))
        for name, criterion in gate.items()
        for metric, statistic, series in keys_of(criterion, policy.metrics, baselines.get(name))
    }


def aligned(queries: Mapping[str, MetricQuery], start: int, end: int) -> Span:
    """Return the smallest span around `start`..`end` that begins and ends on every period.

    CloudWatch asks for that: what it does with a start inside a period is not documented.
    """
    step = lcm(*(one.period_s for one in queries.values())) if queries else MINUTE_S
    return Span(start // step * step, ceil_to(end, step))


def gate_needs(rollout: Rollout, now: datetime) -> Needs:
    """Return what the gate of `rollout` has to read; nothing where no gate is judged.

    The span starts where evidence is sealed and includes the period that is still open, because an
    absolute count that is over its limit already is over it.
    """
    start = rollout.read_from
    if rollout.phase not in JUDGED or start is None or start >= now.timestamp():
        return Needs()
    policy, gate = rollout.policy, rollout.policy.gate(rollout.judged_step)
    queries = queries_for(policy, gate, rollout.baselines)
    sealed = [
        rollout.tallies[name].through if name in rollout.tallies else 0
        for name, one in gate.items()
        if not isinstance(one, Alarm | Attestation | LogEvents)
    ]
    judged_from = rollout.judged_from or start
    begin = max(judged_from, min(sealed, default=0))
    stretches = unsealed_intervals(rollout)
    for one in stretches:
        weighed = {name: kept for name, kept in policy.gate(one.step).items() if kept.sequential}
        queries |= queries_for(policy, weighed, rollout.baselines)
    if stretches:
        begin = min(begin, max(stretches[0].begin, rollout.fold.through))
    return Needs(
        queries,
        aligned(queries, begin, floor_to(now, MINUTE_S) + MINUTE_S),
        _logs(rollout, Span(judged_from, floor_to(now - policy.settle, MINUTE_S))),
        tuple({one.alarm: None for one in gate.values() if isinstance(one, Alarm)}),
    )


def _logs(rollout: Rollout, seen: Span) -> dict[str, LogQuery]:
    """Return what has to be counted in the log of the function; seen: judged and settled time."""
    policy, queries = rollout.policy, dict[str, LogQuery]()
    for name, one in policy.gate(rollout.judged_step).items():
        if isinstance(one, LogEvents):
            sealed = rollout.tallies[name].through if name in rollout.tallies else 0
            begin = max(seen.start, sealed)
            queries |= log_queries_of(name, one, policy.target.function, begin, seen)
    return queries
