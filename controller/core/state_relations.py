"""What the values of a stored rollout must be to each other, so that `decide` can go by them.

Each row is true of every state that this program writes.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from controller.core.rollout import Phase, Rollout
from controller.core.units import MINUTE_S

_Rule: TypeAlias = tuple[str, Callable[[Rollout], bool]]

# Traffic is on the canary, or on its way there; on its way back, or back.
_UP: Final = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.SUCCEEDED})


def problem_of(rollout: Rollout) -> str:
    """Return the first place that contradicts another one, and how; empty when none does."""
    return next((text for text, holds in _RULES if not holds(rollout)), "")


def _has_step(rollout: Rollout, step: int | None) -> bool:
    return step is None or step < len(rollout.policy.steps)


def _moments(rollout: Rollout) -> Iterator[datetime | None]:
    yield rollout.created
    yield rollout.since
    yield rollout.intent.asked
    yield rollout.settled
    yield rollout.unfinished_since
    yield rollout.blind_since
    yield rollout.sealed_at
    yield rollout.reminded
    yield rollout.hold_from


def _is_past(rollout: Rollout) -> bool:
    now = rollout.updated
    return all(one is None or one <= now for one in _moments(rollout))


def _is_sealed_in_the_past(rollout: Rollout) -> bool:
    now = rollout.updated.timestamp()
    tallies = rollout.tallies.values()
    return rollout.fold.through <= now and all(one.through <= now for one in tallies)


def _stretches_end(rollout: Rollout) -> bool:
    """A stretch may be empty: it begins with the minute after the one in which it ended."""
    return all(not one.end or one.end >= one.begin - MINUTE_S for one in rollout.stretches)


def _last_alone_goes_on(rollout: Rollout) -> bool:
    """A stretch goes on while a raise from its weight is pending, and at no other time."""
    if any(not one.end for one in rollout.stretches[:-1]):
        return False
    last = rollout.stretches[-1] if rollout.stretches else None
    if last is None or last.end:
        return True
    return rollout.settled is None and last.step == rollout.step - 1


def _weight_fits(rollout: Rollout) -> bool:
    return (rollout.intent.weight > 0) is (rollout.phase in _UP)


_RULES: Final[Sequence[_Rule]] = (
    ("id: it is not the name and the attempt", lambda one: one.id == f"{one.name}#{one.attempt}"),
    ("step: the policy has no such step", lambda one: _has_step(one, one.step)),
    ("approved: the policy has no such step", lambda one: _has_step(one, one.approved)),
    (
        "stretches: the policy has no such step",
        lambda one: all(_has_step(one, each.step) for each in one.stretches),
    ),
    ("stretches: one ends before it begins", _stretches_end),
    ("stretches: one that has no end is not the last, or of another step", _last_alone_goes_on),
    ("since: it is before created", lambda one: one.created <= one.since),
    ("updated: it is before another moment of the rollout", _is_past),
    ("updated: evidence is sealed beyond it", _is_sealed_in_the_past),
    ("signed: the policy has no such criterion", lambda one: one.signed.keys() <= _criteria(one)),
    ("intent.weight: it does not fit the phase", _weight_fits),
    (
        "settled: the phase is paused, and no weight was seen applied",
        lambda one: one.phase is not Phase.PAUSED or one.settled is not None or bool(one.waits),
    ),
    (
        "step: the phase is succeeded, and this is not the last step",
        lambda one: one.phase is not Phase.SUCCEEDED or one.step == len(one.policy.steps) - 1,
    ),
)


def _criteria(rollout: Rollout) -> frozenset[str]:
    return frozenset(rollout.policy.criteria)
