"""The pace of a rehearsal: it leaves out ticks that can change nothing but evidence.

The world of a rehearsal can be read ahead, as it will be if the weight stays: its gate is judged
minute by minute until it fails.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TypeAlias

from controller.core.due import deadlines, quiet_live
from controller.core.judge.foresight import minutes_without_failure
from controller.core.judge.queries import aligned_span, gate_query_plan
from controller.core.judge.silence import silence_read_from
from controller.core.observation import MetricQuery, QueryStatus, Series, Span, TargetReading
from controller.core.units import MINUTE_S, floor_to
from controller.engine.execute import TickOutcome
from controller.immutable import replace

_MINUTE: Final = timedelta(seconds=MINUTE_S)

ReadAhead: TypeAlias = Callable[[Collection[MetricQuery], Span], Mapping[MetricQuery, Series]]
"""Returns what the metrics will show of a time to come, if the weight stays."""


def ticks_to_next_change(
    visit: TickOutcome,
    now: datetime,
    every: timedelta,
    final_after: timedelta,
    next_event: Callable[[], datetime | None],
    read_ahead: ReadAhead,
) -> int:
    """Return after how many ticks of the interval `every` something can change; at least 1.

    Only a bake without any condition is quiet. What ends the quiet: its end, the next checkpoint or
    summary, an event of the scenario, and the first minute that fails the gate.

    final_after: the age at which a minute no longer changes. next_event: returns when the scenario
    next changes something; None: never again. The metrics are read ahead until then.
    """
    rollout, observation = visit.rollout, visit.observation
    if observation is None or visit.problem or visit.alerts or visit.busy or not visit.saved:
        return 1
    live, target = quiet_live(rollout), observation.target
    evidence = None if visit.judgement is None else visit.judgement.evidence
    if live is None or evidence is None:
        return 1
    if not isinstance(target, TargetReading) or not target.has_applied(live.weight):
        return 1
    if any(one.status is not QueryStatus.COMPLETE for one in observation.series.values()):
        return 1
    if silence_read_from(rollout, now) is not None:
        return 1
    if final_after > rollout.policy.evaluation_delay:
        return 1
    final_until = floor_to(rollout.updated - final_after, MINUTE_S)
    event, by_time = next_event(), list(deadlines(rollout, live))
    until = min(by_time if event is None else [*by_time, event])
    if until <= now + every:
        return 1
    queries = gate_query_plan(rollout, now).queries
    span = aligned_span(queries.values(), final_until, floor_to(until, MINUTE_S))
    to_come = read_ahead(queries.values(), span)
    # A series that an earlier step alone reads is not read on once the checkpoint covers it.
    series = dict(evidence.series) | {
        key: replace(one, points=_joined(one.points, to_come[queries[key]].points, span.start))
        for key, one in evidence.series.items()
        if key in queries
    }
    # What was folded stays: the minutes that are closed do not change.
    sequential = dataclasses.replace(evidence.sequential, series=series)
    ahead = replace(evidence, series=series, sequential=sequential)
    settled_end = rollout.policy.settled_end(until)
    quiet = minutes_without_failure(ahead, rollout.evidence.findings, settled_end, open_too=True)
    return max(1, ceil((min(until, now + (quiet + 1) * _MINUTE) - now) / every))


def _joined(seen: Mapping[int, float], to_come: Mapping[int, float], at: int) -> dict[int, float]:
    """Return the points that were seen before `at`, and those to come."""
    return {**{start: value for start, value in seen.items() if start < at}, **to_come}
