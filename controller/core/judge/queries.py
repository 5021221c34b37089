"""What a tick has to read to judge a gate: which series, over which stretch of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm

from controller.core.observation import LogQuery, Query, Span
from controller.core.policy import (
    Criterion,
    FrozenBaseline,
    LatencyIncrease,
    Metric,
    Policy,
    SuccessRate,
    Threshold,
    Traffic,
    references,
)
from controller.core.rollout import Phase, Rollout
from controller.core.units import MINUTE_S, ceil_to, floor_to

SAMPLES = "SampleCount"

# The phases in which a gate is judged.
JUDGED = frozenset({Phase.PROGRESSING, Phase.PAUSED})


@dataclass(frozen=True, slots=True)
class Needs:
    """Queries by key, and one span that covers them all; no queries when nothing is needed.

    logs: what has to be counted in logs, by key; each over a span of its own.
    """

    queries: Mapping[str, Query] = field(default_factory=dict)
    span: Span = Span(0, 0)
    logs: Mapping[str, LogQuery] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Tell whether anything has to be read."""
        return bool(self.queries or self.logs)


def key(metric: str, statistic: str, period_s: int) -> str:
    """Return the name of a series inside an observation: `latency:p95@300`."""
    return f"{metric}:{statistic}@{period_s}"


def period_of(criterion: Criterion) -> int:
    """Return the length of one window of `criterion` in seconds."""
    return int(criterion.window.total_seconds())


def keys_of(criterion: Criterion, metrics: Mapping[str, Metric]) -> list[tuple[str, str, str]]:
    """Return metric name, statistic and series key of everything `criterion` looks at."""
    names = [name for _, name in references(criterion)]
    if isinstance(criterion, LatencyIncrease) and isinstance(criterion.baseline, FrozenBaseline):
        names.remove(criterion.baseline.frozen)  # read once, before the start
    wanted = [(name, metrics[name].statistic) for name in names]
    match criterion:
        case LatencyIncrease():  # every value is weighted by its samples
            wanted += [(name, SAMPLES) for name in names]
        case Threshold():
            wanted.append((criterion.metric, SAMPLES))
        case SuccessRate() | Traffic():
            pass
    period_s = period_of(criterion)
    return [(name, statistic, key(name, statistic, period_s)) for name, statistic in wanted]


def query(metric: Metric, statistic: str, period_s: int) -> Query:
    """Return the query for one statistic of `metric`."""
    dimensions = tuple(sorted(metric.dimensions.items()))
    return Query(metric.namespace, metric.name, statistic, period_s, dimensions)


def queries_for(policy: Policy, gate: Mapping[str, Criterion]) -> dict[str, Query]:
    """Return every query of `gate`, by series key; a series shared by criteria is asked once."""
    return {
        series: query(policy.metrics[metric], statistic, period_of(criterion))
        for criterion in gate.values()
        for metric, statistic, series in keys_of(criterion, policy.metrics)
    }


def aligned(queries: Mapping[str, Query], start: int, end: int) -> Span:
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
    start = rollout.judged_from
    if rollout.phase not in JUDGED or start is None or start >= now.timestamp():
        return Needs()
    gate = rollout.policy.gate(rollout.step)
    queries = queries_for(rollout.policy, gate)
    sealed = [rollout.tallies[name].through if name in rollout.tallies else 0 for name in gate]
    begin = max(start, min(sealed))
    return Needs(queries, aligned(queries, begin, floor_to(now, MINUTE_S) + MINUTE_S))
