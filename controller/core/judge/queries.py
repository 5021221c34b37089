"""Query plans: which series, log events and alarms a tick reads, and over which time.

A gate has one, and so has the stable path after success: a team may remove that path once it has no
request. A tick reads it once a day of the watch, by the hour, from the metrics that count the
requests of the stable path alone. An answer that is not complete leaves a gap, which the next day
reads again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from math import lcm
from typing import Any, Final

from controller.core.judge.criterion_judge import CriterionJudge, judge_of, judges_of
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.sequential_evidence import step_judges
from controller.core.judge.series import NO_SERIES, query
from controller.core.judge.silence import silence_read_from
from controller.core.notice_rules import DAY
from controller.core.observation import LogQuery, MetricQuery, QueryStatus, Series, Span
from controller.core.rollout import Phase, Rollout, StableUse, Succeeded
from controller.core.units import MINUTE_S, ceil_to, floor_to, from_unix
from controller.immutable import Immutable, field

# The phases in which a gate is judged.
JUDGED_PHASES = frozenset({Phase.PROGRESSING, Phase.PAUSED})


class QueryPlan(Immutable):
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


def queries_for(judges: Iterable[CriterionJudge[Any]]) -> dict[str, MetricQuery]:
    """Return every metric query of `judges`, by series key; a shared series is read once."""
    queries: dict[str, MetricQuery] = {}
    for judge in judges:
        queries |= judge.queries
    return queries


def aligned_span(queries: Collection[MetricQuery], start: int, end: int) -> Span:
    """Return the smallest span around `start`..`end` that begins and ends on every period.

    What CloudWatch does with a start inside a period is not documented.
    """
    step = lcm(*(query.period_s for query in queries)) if queries else MINUTE_S
    return Span(start // step * step, ceil_to(end, step))


def gate_query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read for the gate of `rollout`; nothing where no gate is judged.

    The span starts at the end of the checkpoint and includes the period that is still open:
    an absolute count that is already over its limit fails without the rest of its period. It goes
    back over the newest bake-length where that is judged, or where a hold may lack its requests.
    """
    start = rollout.read_from
    if rollout.phase not in JUDGED_PHASES or start is None or start >= now.timestamp():
        return QueryPlan()
    policy, baselines, step = rollout.policy, rollout.evidence.baselines, rollout.judged_step
    judges = list(judges_of(policy, policy.gate(step), baselines))
    stored_ends = {name: tally.through for name, tally in rollout.evidence.tallies.items()}
    judged_from = rollout.judged_from or start
    judged_span = Span(judged_from, policy.settled_end(now))
    queries, logs = queries_for(judges), dict[str, LogQuery]()
    for judge in judges:
        logs |= judge.log_queries(stored_ends.get(judge.name, 0), judged_span)
    read = [stored_ends.get(judge.name, 0) for judge in judges if judge.series_keys]
    begin = max(judged_from, min(read, default=0))
    intervals, of_gate = rollout.intervals_after_checkpoint, {one.name: one for one in judges}
    for interval in intervals:
        # A criterion makes the same queries in each step, and the gate's judges have made theirs.
        others = step_judges(policy, interval.step, baselines)
        queries |= queries_for(of_gate.get(one.name, one) for one in others)
    if intervals:
        begin = min(begin, max(intervals[0].begin, rollout.evidence.fold.through))
    for name, worst in rollout.red_metrics.items():
        relaxed = policy.relaxed(name, worst)
        queries |= judge_of(name, relaxed.criteria[name], relaxed, baselines.get(name)).queries
    begin = min([begin, *_looks_back_to(rollout, judges, judged_span)])
    if (first := silence_read_from(rollout, now)) is not None:
        begin = min(begin, first)
    alarms = dict.fromkeys(alarm for judge in judges for alarm in judge.alarms())
    span = aligned_span(queries.values(), begin, floor_to(now, MINUTE_S) + MINUTE_S)
    return QueryPlan(queries, span, logs, tuple(alarms))


def _looks_back_to(
    rollout: Rollout, judges: Collection[CriterionJudge[Any]], judged: Span
) -> Iterator[int]:
    """Yield from when on minutes of the step are read again although they are stored."""
    newest = rollout.newest_bake_from(judged.end)
    bake_over = judged.end >= rollout.policy.bake_end_of(rollout.judged_step, judged.start)
    looks_back = bake_over and any(isinstance(one, SequentialJudge) for one in judges)
    if (looks_back or rollout.red_metrics) and newest > judged.start:
        yield newest
    if newest_s := max((one.reads_newest_s for one in judges), default=0):
        yield max(judged.start, judged.end - newest_s)


# --- The stable path after success ----------------------------------------------------------------

_HOUR_S: Final = 3_600
_KEY_PREFIX: Final = "stable path:"  # no criterion reads these series


def stable_use_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read of the stable path at `now`: nothing on most ticks of a day.

    Nothing while the weight is not 100%: then the stable path has its share of the requests.
    """
    state = rollout.state
    if not isinstance(state, Succeeded) or not rollout.is_watched(now):
        return QueryPlan()
    if state.stable_use is not None and now < state.stable_use.read + DAY:
        return QueryPlan()
    begin, end = _known_until(state), rollout.policy.settled_end(now, _HOUR_S)
    if begin >= end or rollout.seen_weight != 100:
        return QueryPlan()
    metrics = {name: rollout.policy.metrics[name] for name in rollout.policy.stable_requests}
    queries = {
        f"{_KEY_PREFIX}{name}": query(metric, metric.statistic, _HOUR_S)
        for name, metric in metrics.items()
    }
    return QueryPlan(queries, aligned_span(queries.values(), begin, end))


def stable_use_of(
    rollout: Rollout, series: Mapping[str, Series], now: datetime
) -> StableUse | None:
    """Return the use of the stable path with what this tick has read; None where it read none."""
    plan, state = stable_use_plan(rollout, now), rollout.state
    if not plan or not series or not isinstance(state, Succeeded):
        return None
    answers = [series.get(key, NO_SERIES) for key in plan.queries]
    known = state.stable_use
    used = None if known is None else known.used
    if any(answer.status is not QueryStatus.COMPLETE for answer in answers):
        return StableUse(now, from_unix(_known_until(state)), used)
    hours = [
        at + _HOUR_S
        for answer in answers
        for at, count in answer.points.items()
        if count and plan.span.start <= at < plan.span.end
    ]
    return StableUse(now, from_unix(plan.span.end), from_unix(max(hours)) if hours else used)


def _known_until(state: Succeeded) -> int:
    """Return up to when the use is known, in unix seconds: at first, to the hour of 100%."""
    if state.stable_use is not None:
        return int(state.stable_use.through.timestamp())
    return floor_to(state.position.since, _HOUR_S)
