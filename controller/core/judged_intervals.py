"""The intervals in which one weight of a rollout was applied: its evidence comes from them."""

from dataclasses import replace
from datetime import datetime

from controller.core.judge.evidence import StepInterval
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, floor_to, next_minute


def unsealed_intervals(rollout: Rollout) -> tuple[StepInterval, ...]:
    """Return the intervals of `rollout` that are not sealed to their end, the open one last.

    Empty for a policy without sequential criteria: no other evidence outlives its step.
    """
    if not rollout.policy.sequential_criteria():
        return ()
    intervals = (*_closed_intervals(rollout), _open_interval(rollout))
    return tuple(one for one in intervals if one is not None and not _is_sealed(one, rollout))


def close_interval(rollout: Rollout) -> tuple[StepInterval, ...]:
    """Return the intervals of `rollout` after it leaves its weight, at the moment of `updated`.

    The minute of that moment belongs to no interval: both weights were applied in it.
    """
    current = _open_interval(rollout)
    if current is None or not rollout.policy.sequential_criteria():
        return _closed_intervals(rollout)
    closed = replace(current, end=floor_to(rollout.updated, MINUTE_S))
    return (*(one for one in _closed_intervals(rollout) if not _is_sealed(one, rollout)), closed)


def reopen_interval(rollout: Rollout, since: datetime) -> tuple[StepInterval, ...]:
    """Return the intervals of `rollout` with an open one for the weight before a pending raise.

    While the raise waits to be written, that weight stays applied, and has been since long before
    `since`: it is warmed up. At 0 % there is no interval, for no request reaches the canary.
    """
    if rollout.previous_live is not None or rollout.intent.previous == 0:
        return rollout.stretches
    begin = next_minute(since)
    return (*rollout.stretches, StepInterval(rollout.step - 1, begin, begin))


def _closed_intervals(rollout: Rollout) -> tuple[StepInterval, ...]:
    return rollout.stretches if rollout.previous_live is None else rollout.stretches[:-1]


def _open_interval(rollout: Rollout) -> StepInterval | None:
    if rollout.previous_live is not None:
        return rollout.previous_live
    begin, judged_from = rollout.applied_from, rollout.judged_from
    if begin is None or judged_from is None:
        return None
    return StepInterval(rollout.step, begin, judged_from)


def _is_sealed(interval: StepInterval, rollout: Rollout) -> bool:
    return 0 < interval.end <= rollout.fold.through
