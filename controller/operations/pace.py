"""The pace of a rehearsal: it leaves out ticks that can change nothing but evidence."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from controller.core.judge.judgement import SEAL_EVERY
from controller.core.judge.silence import silence_read_from, was_heard
from controller.core.next_action import next_action
from controller.core.observation import QueryStatus, TargetReading
from controller.core.rollout import Live, Reason, Rollout
from controller.core.units import MINUTE_S, floor_to, from_unix
from controller.engine.execute import Visit
from controller.operations.foresight import minutes_without_failure

_MINUTE: Final = timedelta(seconds=MINUTE_S)


def ticks_to_next_change(
    visit: Visit,
    now: datetime,
    every: timedelta,
    final_after: timedelta,
    next_event: Callable[[], datetime | None],
) -> int:
    """Return after how many ticks of the interval `every` something can change; at least 1.

    Only a bake without any condition is quiet. What ends the quiet: its end, the next seal or
    summary, an event of the scenario, and the first minute that could fail the gate.

    final_after: the age at which a minute no longer changes. next_event: returns when the scenario
    next changes something; None: never again.
    """
    rollout, observation = visit.rollout, visit.observation
    if observation is None or visit.problem or visit.alerts or visit.busy or not visit.saved:
        return 1
    live, target = _quiet_live(rollout), observation.target
    evidence = None if visit.judgement is None else visit.judgement.evidence
    if live is None or evidence is None:
        return 1
    if not isinstance(target, TargetReading) or not target.has_applied(live.weight):
        return 1
    if any(one.status is not QueryStatus.COMPLETE for one in observation.series.values()):
        return 1
    if silence_read_from(rollout, now) is not None and not was_heard(rollout, observation):
        return 1
    if final_after > rollout.policy.evaluation_delay:
        return 1
    final_until = floor_to(rollout.updated - final_after, MINUTE_S)
    quiet = minutes_without_failure(evidence, rollout.evidence.findings, final_until)
    moments = [now + (quiet + 1) * _MINUTE, *_deadlines(rollout, live)]
    event = next_event()
    first = min(moments if event is None else [*moments, event])
    return max(1, ceil((first - now) / every))


def _quiet_live(rollout: Rollout) -> Live | None:
    """Return the live step of a bake that needs no notice; else None."""
    quiet = rollout.reason is Reason.BAKING and rollout.pending is None
    return rollout.live if quiet and not rollout.conditions and not rollout.outbox else None


def _deadlines(rollout: Rollout, live: Live) -> Iterator[datetime]:
    """Yield when time alone changes the rollout: the end of a bake, a seal, a summary."""
    action = next_action(rollout).at
    if action is not None:
        yield action
    intervals = rollout.unsealed_intervals
    begin = intervals[0].begin if intervals else rollout.judged_from or 0
    yield (rollout.evidence.sealed_at or from_unix(begin)) + SEAL_EVERY
    every = rollout.policy.summary_period
    if every is not None and live.weight == 100:
        yield live.since + ((rollout.updated - live.since) // every + 1) * every
