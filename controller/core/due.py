"""When a tick has to visit a rollout again: at the first moment at which it may find something.

A rollout that nothing can change for a while is left alone until then: no read of its target, no
metric, no lease and no save. Wherever that is not certain, each tick visits it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from controller.core.judge.foresight import minutes_without_failure
from controller.core.judge.gate import Evidence
from controller.core.judge.judgement import CHECKPOINT_EVERY, Judgement
from controller.core.judge.silence import silence_read_from
from controller.core.judge.stable_use import stable_use_plan
from controller.core.observation import Observation, QueryStatus, TargetReading
from controller.core.policy import Attestation
from controller.core.rollout import Live, Phase, Reason, Rollout
from controller.core.units import MINUTE_S, from_unix
from controller.core.visit_order import FARTHEST

# No schedule comes to the second: of ticks that are five minutes apart, each one visits.
_LATENESS: Final = timedelta(seconds=30)


def next_due(
    rollout: Rollout, observation: Observation, judgement: Judgement | None
) -> datetime | None:
    """Return when a rollout is due that was just visited; None: at the next tick.

    rollout: after the decision, with its messages. judgement: of its gate; None: none was judged.
    """
    target, now = observation.target, rollout.updated
    if rollout.outbox or rollout.conditions or not isinstance(target, TargetReading):
        return None
    latest = _whole_second(now + FARTHEST - _LATENESS)
    if rollout.phase is Phase.SUCCEEDED:
        is_watched = observation.owns_target and rollout.is_watched(now)
        is_watched = is_watched and target.has_applied(rollout.weight)
        return latest if is_watched and not stable_use_plan(rollout, latest) else None
    live, evidence = quiet_live(rollout), None if judgement is None else judgement.evidence
    if live is None or evidence is None or not target.has_applied(live.weight):
        return None
    if rollout.evidence.fix is not None or silence_read_from(rollout, now) is not None:
        return None
    if rollout.policy.target.observed:  # others move its weight at any moment
        return None
    if not _is_foreseeable(observation, evidence):
        return None
    most = FARTHEST // timedelta(minutes=1)
    quiet = minutes_without_failure(evidence, rollout.evidence.findings, most=most)
    may_fail = from_unix(evidence.closed_end + (quiet + 1) * MINUTE_S)
    sooner = min(may_fail + rollout.policy.evaluation_delay, *deadlines(rollout, live))
    return min(latest, _whole_second(sooner))


def _whole_second(moment: datetime) -> datetime:
    """Return the first whole second from `moment` on: stores keep no other."""
    return from_unix(ceil(moment.timestamp()))


def quiet_live(rollout: Rollout) -> Live | None:
    """Return the live step of a bake that needs no notice; else None."""
    quiet = rollout.reason is Reason.BAKING and rollout.pending is None
    return rollout.live if quiet and not rollout.conditions and not rollout.outbox else None


def checkpoint_due(rollout: Rollout) -> datetime:
    """Return from when on a tick stores the evidence again, which it does once an hour."""
    intervals = rollout.intervals_after_checkpoint
    begin = intervals[0].begin if intervals else rollout.judged_from or 0
    return (rollout.evidence.checkpoint_at or from_unix(begin)) + CHECKPOINT_EVERY


def deadlines(rollout: Rollout, live: Live) -> Iterator[datetime]:
    """Yield when time alone changes the rollout: the end of a bake, a checkpoint, a summary."""
    if rollout.bake_end is not None:  # also where a freeze begins then, and is over later
        yield rollout.bake_end + rollout.policy.evaluation_delay
    yield checkpoint_due(rollout)
    every = rollout.policy.summary_period
    if every is not None and live.weight == 100:
        yield live.since + ((rollout.updated - live.since) // every + 1) * every


def _is_foreseeable(observation: Observation, evidence: Evidence) -> bool:
    """Tell whether only further datapoints can fail the gate, and all queries were answered.

    An alarm fails it at any moment. So may a criterion without windows, of another package; a
    sign-off is refused by a command, which decides at once.
    """
    answers = observation.series.values()
    if not answers or any(one.status is not QueryStatus.COMPLETE for one in answers):
        return False
    return all(
        judge.has_windows or isinstance(judge.criterion, Attestation)
        for judge in evidence.judges()
        if judge.criterion.gating
    )
