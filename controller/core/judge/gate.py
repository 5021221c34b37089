"""Judging a gate: fold the closed windows of a step, conclude one finding per criterion.

`judge: threshold` (kinds/threshold.py) is the literal reading, window by window. `judge:
sequential` (sequential.py) adds up the evidence of every minute of the rollout.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.judge.drain import drain_disturbed, drain_needs, drain_of
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.judge.fold import (
    Evidence,
    answers_of,
    behind,
    catching_up,
    folded_tally,
    read_of,
    unit_of,
    with_open_counts,
)
from controller.core.judge.kinds.alarm import of_alarm
from controller.core.judge.kinds.attestation import of_attestation
from controller.core.judge.kinds.burn_rate import conclude_burn, looked_back
from controller.core.judge.kinds.log_events import Logged
from controller.core.judge.kinds.threshold import Context, broken, conclude
from controller.core.judge.kinds.traffic_share import conclude_share
from controller.core.judge.queries import (
    Needs,
    gate_needs,
    period_of,
    queries_for,
    slow_limits,
)
from controller.core.judge.sequential import conclude_weighed
from controller.core.judge.sequential_fold import Case
from controller.core.judge.sequential_tests import criterion_of, usual_share
from controller.core.judge.tally import given_up, windows
from controller.core.judge.wording import lost
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    Alarm,
    Attestation,
    BoundedCriterion,
    BurnRate,
    Criterion,
    LatencyIncrease,
    LogEvents,
    Share,
    Threshold,
)
from controller.core.rollout import Phase, Rollout
from controller.core.stats.mixture import Fold
from controller.core.units import MINUTE_S, ceil_to, floor_to

__all__ = [
    "GIVE_UP_AGE",
    "SEAL_AGE",
    "Evidence",
    "Needs",
    "behind",
    "catching_up",
    "drain_disturbed",
    "drain_of",
    "judge",
    "needs",
    "period_of",
    "queries_for",
    "seal",
    "seal_fold",
    "unanswered",
]

# A minute this old can no longer change: CloudWatch's values converge within about ten minutes.
SEAL_AGE = timedelta(minutes=15)
# A query that stays unanswered is asked again for windows up to this age. Later they are lost, so
# that neither the read nor the history grows with an outage.
GIVE_UP_AGE = timedelta(hours=6)


def needs(rollout: Rollout, now: datetime) -> Needs:
    """Return what the next decision about `rollout` has to read from the metrics."""
    if rollout.phase is Phase.ROLLED_BACK:
        return drain_needs(rollout, now)
    return gate_needs(rollout, now)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Return one finding per criterion of the gate.

    Beside them one of a criterion of an earlier step, where it is what speaks for a rollback now.
    """
    fold = evidence.minutes.folded(evidence.closed)
    gate = dict(evidence.gate)
    earlier = criterion_of(fold.carried)
    if fold.rejects(evidence.policy.budget) and earlier in evidence.policy.criteria:
        gate.setdefault(earlier, evidence.policy.criteria[earlier])
    for refused in evidence.said.refusals():  # a person's no counts at once, in any step
        gate.setdefault(refused, evidence.policy.criteria[refused])
    return tuple(
        replace(_judge_one(name, criterion, evidence, fold), gates=criterion.gating)
        for name, criterion in gate.items()
    )


def seal(evidence: Evidence, now: datetime) -> dict[str, Tally]:
    """Return the tallies with every window folded in that is too old to change.

    A criterion whose series were not answered in full stays where it was and is read again, until
    its windows are so old that they are given up.
    """
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed)
    lost = floor_to(now - GIVE_UP_AGE, MINUTE_S)
    sealed: dict[str, Tally] = {}
    for name, criterion in evidence.gate.items():
        if isinstance(criterion, Alarm | Attestation):
            continue  # they stand as they stand: nothing of them adds up
        tally = evidence.tallies.get(name, Tally())
        if broken(answers_of(name, criterion, evidence)) is None:
            logged = isinstance(criterion, LogEvents)
            end = min(up_to, read_of(name, evidence).end) if logged else up_to
            sealed[name] = folded_tally(name, criterion, evidence, tally, end)
        else:
            starts = windows(criterion, tally, evidence.start, lost)
            kept = given_up(tally, starts, period_of(criterion))
            sealed[name] = looked_back(criterion, kept) if isinstance(criterion, BurnRate) else kept
    return sealed


def seal_fold(evidence: Evidence, now: datetime) -> Fold:
    """Return the fold with every minute in it that is too old to change, or to be asked for."""
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed)
    return evidence.minutes.sealed(up_to, floor_to(now - GIVE_UP_AGE, MINUTE_S))


def _judge_one(name: str, criterion: Criterion, evidence: Evidence, fold: Fold) -> Finding:
    said, now = evidence.said, evidence.open_end - MINUTE_S
    match criterion:
        case Alarm():
            return of_alarm(name, criterion, said, evidence.start, now)
        case Attestation():
            return of_attestation(name, criterion, said, evidence.start, now)
        case LogEvents():
            tally, read = evidence.tallies.get(name, Tally()), read_of(name, evidence)
            tally = folded_tally(name, criterion, evidence, tally, read.end)
            function = evidence.policy.target.function
            start, closed = evidence.start, evidence.closed
            logged = Logged(name, criterion, tally, evidence.series, function, start, closed, read)
            return _with_lost(logged.finding(), criterion, tally)
        case _:
            return _measured(name, criterion, evidence, fold)


def _measured(
    name: str, criterion: BoundedCriterion | Share | BurnRate, evidence: Evidence, fold: Fold
) -> Finding:
    tally = evidence.tallies.get(name, Tally())
    failed = broken(answers_of(name, criterion, evidence))
    if failed is None:  # with holes in it, a row of breaches may not be one
        tally = folded_tally(name, criterion, evidence, tally, evidence.closed)
    tally = with_open_counts(name, criterion, evidence, tally)
    context = Context(
        start=ceil_to(evidence.start, period_of(criterion)),
        seen_until=evidence.open_end,
        bake_over=evidence.bake_over,
        weight=evidence.weight,
        unit=unit_of(criterion, evidence.policy.metrics),
        baseline=evidence.baselines.get(name),
        broken=failed,
    )
    if isinstance(criterion, Share):
        return _with_lost(conclude_share(name, criterion, tally, context), criterion, tally)
    if isinstance(criterion, BurnRate):
        return _with_lost(conclude_burn(name, criterion, tally, context), criterion, tally)
    if not criterion.sequential:
        return _with_lost(conclude(name, criterion, tally, context), criterion, tally)
    return conclude_weighed(name, criterion, tally, context, _case(name, criterion, evidence, fold))


def _with_lost(finding: Finding, criterion: Criterion, tally: Tally) -> Finding:
    """Return `finding` with what was never seen, so that it claims nothing of that."""
    if not tally.lost:
        return finding
    return replace(finding, sentence=f"{finding.sentence} {lost(criterion, tally)}")


def _case(name: str, criterion: Criterion, evidence: Evidence, fold: Fold) -> Case:
    case = Case(fold, evidence.policy.budget)
    if case.against(name):
        case = replace(case, blamed=evidence.minutes.blamed(name, fold))
    if isinstance(criterion, LatencyIncrease | Threshold):
        metrics, baseline = evidence.policy.metrics, evidence.baselines.get(name)
        limits = slow_limits(criterion, metrics, baseline)
        usual = usual_share(metrics[criterion.metric].percentile, criterion, baseline)
        statistic = metrics[criterion.metric].statistic
        case = replace(case, limits=limits, usual=usual, statistic=statistic)
    return case


def unanswered(message: str, keys: Mapping[str, object]) -> dict[str, Series]:
    """Return a failed series under every key: what an outage of the whole source looks like."""
    return {key: Series(answer=QueryStatus.ERROR, message=message) for key in keys}
