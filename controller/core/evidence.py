"""The evidence of one rollout at one moment: what its gate is judged from, and what gets sealed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from controller.core.judge import Evidence, seal
from controller.core.judge.queries import JUDGED, keys_of
from controller.core.measured import Tally
from controller.core.observation import Answer, Observation, Reading, Series
from controller.core.rollout import Rollout
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
    return seal(evidence, now)


def kept(before: Rollout, after: Rollout, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return what the history keeps of `series` with the step from `before` to `after`.

    Hourly evidence keeps what it sealed, so that no minute is kept twice; a transition keeps
    everything since the last seal, for that is what its decision was made from.
    """
    begin = _sealed_until(before)
    end = _sealed_until(after) if _seals(before, after) else {}
    return {key: _cut(one, begin.get(key, 0), end.get(key, inf)) for key, one in series.items()}


def whole(
    before: Rollout, series: Mapping[str, Series], sealed_points: Mapping[str, Mapping[int, float]]
) -> dict[str, Series]:
    """Return `series`, as `kept` left them, with the points that earlier entries have sealed.

    One criterion may have sealed what another still reads. An answer that was not complete stays as
    it is: nobody knows which of those points it had.
    """
    if before.phase not in JUDGED:
        return dict(series)
    return {
        key: replace(one, points={**sealed_points.get(key, {}), **one.points})
        if one.answer is Answer.COMPLETE
        else one
        for key, one in series.items()
    }


def _seals(before: Rollout, after: Rollout) -> bool:
    return after.sealed_at is not None and after.sealed_at != before.sealed_at


def _sealed_until(rollout: Rollout) -> dict[str, int]:
    """Return until when each series is sealed, by the criterion that is furthest with it."""
    ends: dict[str, int] = {}
    metrics, start = rollout.policy.metrics, rollout.judged_from or 0
    for name, criterion in rollout.policy.gate(rollout.step).items():
        through = rollout.tallies[name].through if name in rollout.tallies else 0
        for _, _, key in keys_of(criterion, metrics):
            ends[key] = max(ends.get(key, start), through)
    return ends


def _cut(series: Series, begin: int, end: float) -> Series:
    points = {second: value for second, value in series.points.items() if begin <= second < end}
    return replace(series, points=points)
