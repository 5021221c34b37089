"""The evidence of one rollout at one moment: what its gate is judged from, and what gets sealed."""

from datetime import datetime, timedelta

from controller.core.judge import SEAL_AGE, Evidence, seal
from controller.core.judge.queries import JUDGED
from controller.core.observation import Observation, Reading
from controller.core.rollout import Rollout, Tally
from controller.core.units import MINUTE_S, at, floor_to

# Evidence is sealed and written to the history at most this often, and at each transition.
SEAL_EVERY = timedelta(hours=1)


def evidence_of(rollout: Rollout, seen: Observation, now: datetime) -> Evidence | None:
    """Return the evidence of the step of `rollout`; None before its first judged minute."""
    start, end = rollout.judged_from, rollout.bake_end
    if rollout.phase not in JUDGED or start is None or end is None or start >= now.timestamp():
        return None
    closed = floor_to(now - rollout.policy.settle, MINUTE_S)
    return Evidence(
        policy=rollout.policy,
        gate=rollout.policy.gate(rollout.step),
        series=seen.series,
        tallies=rollout.tallies,
        start=start,
        closed=closed,
        open_end=floor_to(now, MINUTE_S) + MINUTE_S,
        bake_over=closed >= end.timestamp(),
        weight=_weight(rollout, seen),
        baselines=rollout.baselines,
    )


def _weight(rollout: Rollout, seen: Observation) -> int:
    """Return the weight that the canary's silence is held against.

    That is the live one where another hand moved it; the lower of both, for the evidence of the
    step is older than that hand.
    """
    if not isinstance(seen.target, Reading):
        return rollout.weight
    return min(rollout.weight, seen.target.weight or 0)


def sealed(rollout: Rollout, seen: Observation, now: datetime) -> dict[str, Tally] | None:
    """Return the tallies with all unchangeable minutes folded in; None while it is too early."""
    evidence = evidence_of(rollout, seen, now)
    if evidence is None:
        return None
    last = rollout.sealed_at or at(evidence.start)
    if now - last < SEAL_EVERY:
        return None
    return seal(evidence, floor_to(now - SEAL_AGE, MINUTE_S))
