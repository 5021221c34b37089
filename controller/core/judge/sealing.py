"""The evidence of one rollout at one moment: what its gate is judged from, and what gets sealed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from controller.core.judge.evidence import Stretch, Tally
from controller.core.judge.findings import Finding
from controller.core.judge.gate import Evidence, behind, catching_up, judge, seal, seal_fold
from controller.core.judge.kinds.alarm import Said
from controller.core.judge.kinds.attestation import of_attestation
from controller.core.judge.log_queries import log_keys
from controller.core.judge.queries import JUDGED, keys_of
from controller.core.judged_intervals import unsealed_intervals
from controller.core.observation import Observation, QueryStatus, Series, TargetReading
from controller.core.policy import Attestation, LogEvents
from controller.core.rollout import Rollout
from controller.core.stats.mixture import Fold
from controller.core.units import MINUTE_S, floor_to, from_unix

# Evidence is sealed and written to the history at most this often, and at each transition; and with
# each tick while a log that was not read for long is caught up with.
SEAL_EVERY = timedelta(hours=1)


def evidence_of(rollout: Rollout, seen: Observation, now: datetime) -> Evidence | None:
    """Return the evidence of `rollout` in its step; None before the first minute that is read."""
    start, end, first = rollout.judged_from, rollout.bake_end, rollout.read_from
    if start is None or end is None or first is None:
        return None
    if rollout.phase not in JUDGED or first >= now.timestamp():
        return None
    closed = floor_to(now - rollout.policy.settle, MINUTE_S)
    return Evidence(
        policy=rollout.policy,
        gate=rollout.policy.gate(rollout.judged_step),
        series=seen.series,
        tallies=rollout.tallies,
        start=start,
        closed=closed,
        open_end=floor_to(now, MINUTE_S) + MINUTE_S,
        bake_over=closed >= end.timestamp(),
        weight=_weight(rollout, seen),
        baselines=rollout.baselines,
        fold=rollout.fold.usable,
        stretches=unsealed_intervals(rollout),
        said=Said(seen.alarms, rollout.signed, int(rollout.created.timestamp()), rollout.id),
    )


def findings_of(rollout: Rollout, evidence: Evidence | None) -> tuple[Finding, ...]:
    """Return what the gate says; where nothing is judged yet, a person may have said no."""
    return refusals(rollout) if evidence is None else judge(evidence)


def reads_on(rollout: Rollout, seen: Observation, now: datetime) -> bool:
    """Tell whether a log of the gate is being caught up with: its rest is left to further ticks."""
    evidence = evidence_of(rollout, seen, now)
    return evidence is not None and behind(evidence)


def refusals(rollout: Rollout) -> tuple[Finding, ...]:
    """Return the attestations that gate and that a person has refused: no measurement is needed."""
    said, now = Said(signed=rollout.signed), int(rollout.updated.timestamp())
    return tuple(
        of_attestation(name, criterion, said, now, now)
        for name in said.refusals()
        if isinstance(criterion := rollout.policy.criteria[name], Attestation) and criterion.gating
    )


def _weight(rollout: Rollout, seen: Observation) -> int:
    """Return the weight that the canary's silence is held against.

    That is the live one where another hand moved it; the lower of both, for the evidence of the
    step is older than that hand.
    """
    weight = rollout.weight if rollout.previous_live is None else rollout.intent.previous
    return (
        min(weight, seen.target.weight or 0) if isinstance(seen.target, TargetReading) else weight
    )


@dataclass(frozen=True, slots=True)
class Seal:
    """Evidence with all unchangeable minutes folded in: of the step, and of the whole rollout."""

    tallies: Mapping[str, Tally]
    fold: Fold


def sealed(rollout: Rollout, seen: Observation, now: datetime) -> Seal | None:
    """Return the evidence that nothing can change any more; None while it is too early."""
    evidence = evidence_of(rollout, seen, now)
    if evidence is None:
        return None
    first = evidence.stretches[0].begin if evidence.stretches else evidence.start
    last = rollout.sealed_at or from_unix(first)
    if now - last < SEAL_EVERY and not catching_up(evidence):
        return None
    return Seal(seal(evidence, now), seal_fold(evidence, now))


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
        if one.answer is QueryStatus.COMPLETE
        else one
        for key, one in series.items()
    }


def _seals(before: Rollout, after: Rollout) -> bool:
    return after.sealed_at is not None and after.sealed_at != before.sealed_at


def _sealed_until(rollout: Rollout) -> dict[str, int]:
    """Return until when each series is sealed, by the criterion that is furthest with it.

    What adds up is sealed for all of them at once, across steps: from there on, or from where a
    tally of the step has sealed more.
    """
    ends: dict[str, int] = {}
    tallied: dict[str, int] = {}
    metrics, start = rollout.policy.metrics, rollout.judged_from or 0
    for name, criterion in rollout.policy.gate(rollout.judged_step).items():
        through = rollout.tallies[name].through if name in rollout.tallies else 0
        keys = [key for _, _, key in keys_of(criterion, metrics, rollout.baselines.get(name))]
        if isinstance(criterion, LogEvents):
            keys = [log_keys(name)[0]]  # of the control only the newest is read, and kept as it is
        for key in keys:
            ends[key] = max(ends.get(key, start), through)
            tallied[key] = max(tallied.get(key, 0), through)
    stretches = unsealed_intervals(rollout)
    for one in stretches:
        through = max(stretches[0].begin, rollout.fold.through)
        ends |= {key: max(tallied.get(key, 0), through) for key in _weighed(rollout, one)}
    return ends


def _weighed(rollout: Rollout, stretch: Stretch) -> Iterator[str]:
    for name, criterion in rollout.policy.gate(stretch.step).items():
        if criterion.sequential:
            for _, _, key in keys_of(
                criterion, rollout.policy.metrics, rollout.baselines.get(name)
            ):
                yield key


def _cut(series: Series, begin: int, end: float) -> Series:
    points = {second: value for second, value in series.points.items() if begin <= second < end}
    return replace(series, points=points)
