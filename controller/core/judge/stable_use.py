"""The use of the stable path after success: a team may remove that path once it has no request.

A tick reads it once a day of the watch, by the hour, from the metrics that count the requests of
the stable path alone. An answer that is not complete leaves a gap, which the next day reads again.
"""

from datetime import datetime
from typing import Final

from controller.core.judge.queries import QueryPlan, aligned_span
from controller.core.judge.series import NO_SERIES, query
from controller.core.notice_rules import DAY
from controller.core.observation import Observation, QueryStatus
from controller.core.rollout import Rollout, StableUse, Succeeded
from controller.core.units import floor_to, from_unix

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
    rollout: Rollout, state: Succeeded, observation: Observation, now: datetime
) -> StableUse | None:
    """Return the use of the stable path with what this tick has read; None where it read none."""
    plan = stable_use_plan(rollout, now)
    if not plan or not observation.series:
        return None
    answers = [observation.series.get(key, NO_SERIES) for key in plan.queries]
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
