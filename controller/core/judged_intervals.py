"""The intervals in which one weight of a rollout was applied: its evidence comes from them."""

from dataclasses import replace
from datetime import datetime

from controller.core.judge.evidence import StepInterval
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, floor_to


def unsealed_intervals(rollout: Rollout) -> tuple[StepInterval, ...]:
    """Return the intervals that are not sealed to their end, that of the live step last.

    Empty for a policy without sequential criteria: no other evidence outlives its step.
    """
    if not rollout.policy.sequential_criteria():
        return ()
    current = _live_interval(rollout)
    return (*_unsealed(rollout), *(() if current is None else (current,)))


def close_interval(rollout: Rollout, end: datetime) -> tuple[StepInterval, ...]:
    """Return the intervals of `rollout` once its live step is over, at `end`.

    The minute of that moment belongs to no interval: both weights were applied in it.
    """
    current = _live_interval(rollout)
    if current is None or not rollout.policy.sequential_criteria():
        return rollout.evidence.intervals
    return (*_unsealed(rollout), replace(current, end=floor_to(end, MINUTE_S)))


def _unsealed(rollout: Rollout) -> tuple[StepInterval, ...]:
    return tuple(
        one for one in rollout.evidence.intervals if one.end > rollout.evidence.fold.through
    )


def _live_interval(rollout: Rollout) -> StepInterval | None:
    begin, judged_from = rollout.applied_from, rollout.judged_from
    if begin is None or judged_from is None:
        return None
    return StepInterval(rollout.judged_step, begin, judged_from)
