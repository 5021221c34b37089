"""What `decide` does with a final rollout: it looks after its target for a while."""

from dataclasses import replace
from datetime import datetime

from controller.core import transitions as to
from controller.core.decision import Decision
from controller.core.judge.gate import drain_disturbed, drain_of
from controller.core.observation import Observation, Unreadable
from controller.core.rollout import Rollout


def rolled_back(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """Return what follows a rollback: is traffic back, and does 0 % stand."""
    target = seen.target
    guarding = now < rollout.since + to.GUARD_ZERO  # it may be visited longer, to tell people
    if not guarding or not _watching(rollout, seen, now):
        return Decision(rollout)
    if isinstance(target, Unreadable):  # what its weight is nobody knows, so counts tell nothing
        return to.drained(rollout, drain_of(rollout, {}, now), now)
    if target.weight == 0:
        return to.drained(rollout, drain_of(rollout, seen.series, now), now)
    rollout = replace(rollout, drain=drain_disturbed(rollout, target.shown))
    if target.weight == rollout.peak:
        return to.guarding_zero(rollout, now)
    return to.drift_in_final(rollout, target, now)


def succeeded(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """Return what follows a success: does its weight stand."""
    target = seen.target
    if isinstance(target, Unreadable) or not _watching(rollout, seen, now):
        return Decision(rollout)
    if target.weight != 0 and rollout.exposed_to is not None:
        return to.exposed_again(rollout, target, now)
    if target.weight != rollout.intent.weight:
        return to.drift_in_final(rollout, target, now)
    return Decision(rollout)


def _watching(rollout: Rollout, seen: Observation, now: datetime) -> bool:
    """A final rollout looks after its target for a while, unless a newer one owns it."""
    return seen.owns_target and rollout.watch_until is not None and now < rollout.watch_until
