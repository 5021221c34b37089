"""The evidence of a rollout at one tick: what its gate is judged from, and what gets sealed.

To seal is to fold what can no longer change into the stored evidence, so that no later tick has to
read it again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import inf

from controller.core.conditions import ConditionKind
from controller.core.judge.criterion_judge import Context, judge_of, judges_of
from controller.core.judge.evidence import NonMetricEvidence, StepInterval, Tally
from controller.core.judge.findings import Finding
from controller.core.judge.gate import (
    Evidence,
    awaits_log_backlog,
    judge_gate,
    reads_log_backlog,
    seal_fold,
    seal_tallies,
)
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.sequential_evidence import step_tests
from controller.core.observation import (
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Criterion
from controller.core.rollout import Rollout
from controller.core.stats.combined_tests import Fold
from controller.core.units import MINUTE_S, floor_to, from_unix
from controller.immutable import Immutable, replace

# Evidence is sealed and written to the history at most this often, and with each tick while a log
# has a backlog. An entry of a transition has the series instead.
SEAL_EVERY = timedelta(hours=1)


def evidence_of(rollout: Rollout, observation: Observation, now: datetime) -> Evidence | None:
    """Return the evidence of the live step of `rollout`.

    None before the first minute that is read, and in phases that no gate judges."""
    start, end, first = rollout.judged_from, rollout.bake_end, rollout.read_from
    if start is None or end is None or first is None:
        return None
    if rollout.phase not in JUDGED_PHASES or first >= now.timestamp():
        return None
    closed_end = floor_to(now - rollout.policy.evaluation_delay, MINUTE_S)
    return Evidence(
        policy=rollout.policy,
        gate=_gate(rollout, observation),
        series=observation.series,
        tallies=rollout.evidence.tallies,
        start=start,
        closed_end=closed_end,
        open_end=floor_to(now, MINUTE_S) + MINUTE_S,
        bake_over=closed_end >= end.timestamp(),
        weight=_weight(rollout, observation),
        baselines=rollout.evidence.baselines,
        fold=rollout.evidence.fold.current_version,
        intervals=rollout.unsealed_intervals,
        non_metric=NonMetricEvidence(
            observation.alarms,
            rollout.evidence.sign_offs,
            int(rollout.created.timestamp()),
            rollout.id,
        ),
        judged_later=rollout.policy.judged_after(rollout.judged_step),
        newest_start=rollout.newest_bake_from(closed_end),
    )


def _gate(rollout: Rollout, observation: Observation) -> Mapping[str, Criterion]:
    """Return the criteria that judge the live step.

    Once the next weight is applied, its minutes are among those that were measured: only what
    both steps ask for can be judged then.
    """
    gate, pending = rollout.policy.gate(rollout.judged_step), rollout.pending
    target = observation.target
    if pending is None or isinstance(target, UnreadableTarget):
        return gate
    if not target.has_applied(pending.weight):
        return gate
    following = rollout.policy.gate(pending.step)
    return {name: criterion for name, criterion in gate.items() if name in following}


def findings_of(rollout: Rollout, evidence: Evidence | None) -> tuple[Finding, ...]:
    """Return the findings of the gate; before the first evidence, those of refused sign-offs."""
    return refusal_findings(rollout) if evidence is None else judge_gate(evidence)


def awaits_logs(rollout: Rollout, observation: Observation, now: datetime) -> bool:
    """Tell whether a log of the gate has a backlog that is left to further ticks."""
    evidence = evidence_of(rollout, observation, now)
    return evidence is not None and awaits_log_backlog(evidence)


def refusal_findings(rollout: Rollout) -> tuple[Finding, ...]:
    """Return the findings of gating attestations that an operator has refused."""
    now = int(rollout.updated.timestamp())
    refused = NonMetricEvidence(sign_offs=rollout.evidence.sign_offs).refusals()
    return tuple(
        attestation_finding(rollout, name, now, now)
        for name in refused
        if rollout.policy.criteria[name].gating
    )


def attestation_finding(rollout: Rollout, name: str, start: int, end: int) -> Finding:
    """Return the finding on the answer of an operator to criterion `name`.

    start, end: begin of the judged time of the step, and the time of the answer, unix seconds.
    """
    context = Context(
        start=start,
        closed_end=end,
        open_end=end + MINUTE_S,
        bake_over=False,
        weight=rollout.weight,
        non_metric=NonMetricEvidence(sign_offs=rollout.evidence.sign_offs),
    )
    return judge_of(name, rollout.policy.criteria[name], rollout.policy).conclude(Tally(), context)


def _weight(rollout: Rollout, observation: Observation) -> int:
    """Return the weight that the canary's traffic is judged at.

    After drift it is the lower of the planned and the live weight: the evidence of the step is
    older than the drift.
    """
    weight = rollout.weight if rollout.live is None else rollout.live.weight
    return (
        min(weight, observation.target.weight or 0)
        if isinstance(observation.target, TargetReading)
        else weight
    )


class Seal(Immutable):
    """The sealed evidence: the tallies of the step, and the fold of the whole rollout."""

    tallies: Mapping[str, Tally]
    fold: Fold


def seal_if_due(rollout: Rollout, observation: Observation, now: datetime) -> Seal | None:
    """Return the evidence that can no longer change; None while no seal is due."""
    evidence = evidence_of(rollout, observation, now)
    if evidence is None:
        return None
    first = evidence.intervals[0].begin if evidence.intervals else evidence.start
    last = rollout.evidence.sealed_at or from_unix(first)
    if now - last < SEAL_EVERY and not reads_log_backlog(evidence):
        return None
    return Seal(seal_tallies(evidence, now), seal_fold(evidence, now))


def trim_series(before: Rollout, after: Rollout, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return the part of `series` that the history entry from `before` to `after` stores.

    An hourly entry stores what it sealed, so that no minute is stored twice; a transition stores
    everything since the last seal, for that is what its decision was made from. An entry that finds
    a silence stores all that was read: it is found in minutes before the step.
    """
    if ConditionKind.SILENT in after.conditions.keys() - before.conditions.keys():
        return dict(series)
    begin = _sealed_until(before)
    end = _sealed_until(after) if _has_new_seal(before, after) else {}
    return {key: _cut(one, begin.get(key, 0), end.get(key, inf)) for key, one in series.items()}


def restore_series(
    before: Rollout, series: Mapping[str, Series], sealed_points: Mapping[str, Mapping[int, float]]
) -> dict[str, Series]:
    """Return `series`, as trimmed by `trim_series`, with the points that earlier entries sealed.

    One criterion may have sealed what another still reads. An answer that was not complete stays as
    it is: it is not known which of those points it had.
    """
    if before.phase not in JUDGED_PHASES:
        return dict(series)
    return {
        key: replace(one, points={**sealed_points.get(key, {}), **one.points})
        if one.status is QueryStatus.COMPLETE
        else one
        for key, one in series.items()
    }


def _has_new_seal(before: Rollout, after: Rollout) -> bool:
    sealed_at = after.evidence.sealed_at
    return sealed_at is not None and sealed_at != before.evidence.sealed_at


def _sealed_until(rollout: Rollout) -> dict[str, int]:
    """Return the end of the sealed time of each series, by the criterion that has sealed most.

    The fold of the whole rollout is sealed for all sequential criteria at once, across steps: up
    to that time, or further where a tally of the step has sealed more.
    """
    ends: dict[str, int] = {}
    tallied: dict[str, int] = {}
    policy, start = rollout.policy, rollout.judged_from or 0
    for judge in judges_of(policy, policy.gate(rollout.judged_step), rollout.evidence.baselines):
        through = (
            rollout.evidence.tallies[judge.name].through
            if judge.name in rollout.evidence.tallies
            else 0
        )
        for key in judge.sealed_keys():
            ends[key] = max(ends.get(key, start), through)
            tallied[key] = max(tallied.get(key, 0), through)
    intervals = rollout.unsealed_intervals
    for interval in intervals:
        through = max(intervals[0].begin, rollout.evidence.fold.through)
        ends |= {
            key: max(tallied.get(key, 0), through) for key in _sequential_keys(rollout, interval)
        }
    return ends


def _sequential_keys(rollout: Rollout, interval: StepInterval) -> Iterator[str]:
    tests = step_tests(rollout.policy, interval.step, rollout.evidence.baselines)
    for one in tests.values():
        yield from one.judge.sealed_keys()


def _cut(series: Series, begin: int, end: float) -> Series:
    points = {second: value for second, value in series.points.items() if begin <= second < end}
    return replace(series, points=points)
