"""The stretches of time in which a rollout stood at one weight: where its evidence comes from."""

from dataclasses import replace
from datetime import datetime

from controller.core.judge.evidence import Stretch
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, floor_to, next_minute


def unsealed_intervals(rollout: Rollout) -> tuple[Stretch, ...]:
    """Return the stretches of `rollout` that are not sealed to their end, the open one last.

    None where no evidence adds up: then nothing outlives its step.
    """
    if not rollout.policy.sequential_criteria():
        return ()
    known = (*_closed_intervals(rollout), _open_interval(rollout))
    return tuple(one for one in known if one is not None and not _is_sealed(one, rollout))


def close_interval(rollout: Rollout) -> tuple[Stretch, ...]:
    """Return the stretches to remember as `rollout` leaves its weight now, in `updated`.

    The minute of that moment is nobody's: it saw both weights.
    """
    current = _open_interval(rollout)
    if current is None or not rollout.policy.sequential_criteria():
        return _closed_intervals(rollout)
    closed = replace(current, end=floor_to(rollout.updated, MINUTE_S))
    return (*(one for one in _closed_intervals(rollout) if not _is_sealed(one, rollout)), closed)


def reopen(rollout: Rollout, since: datetime) -> tuple[Stretch, ...]:
    """Return the stretches of `rollout` with the one of the weight before, which was not left.

    The raise from it waits to be written, and that weight is in force since long before `since`: it
    has warmed up. None of 0 %, for there nobody meets the canary.
    """
    if rollout.previous_live is not None or rollout.intent.previous == 0:
        return rollout.stretches
    begin = next_minute(since)
    return (*rollout.stretches, Stretch(rollout.step - 1, begin, begin))


def _closed_intervals(rollout: Rollout) -> tuple[Stretch, ...]:
    return rollout.stretches if rollout.previous_live is None else rollout.stretches[:-1]


def _open_interval(rollout: Rollout) -> Stretch | None:
    if rollout.previous_live is not None:
        return rollout.previous_live
    begin, judged_from = rollout.applied_from, rollout.judged_from
    if begin is None or judged_from is None:
        return None
    return Stretch(rollout.step, begin, judged_from)


def _is_sealed(stretch: Stretch, rollout: Rollout) -> bool:
    return 0 < stretch.end <= rollout.fold.through
