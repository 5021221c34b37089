"""Judging a gate: fold the closed windows of a step, conclude one finding per criterion.

`judge: threshold` (threshold.py) is the literal reading, window by window. `judge: sequential`
(sequential.py) adds up the evidence of every minute of the rollout (minutes.py, bets.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.core.findings import Finding
from controller.core.judge.bets import criterion_of, usual_share
from controller.core.judge.case import Case
from controller.core.judge.drain import drain_disturbed, drain_needs, drain_of
from controller.core.judge.minutes import Minutes
from controller.core.judge.queries import (
    Needs,
    gate_needs,
    keys_of,
    period_of,
    queries_for,
    slow_limits,
)
from controller.core.judge.reader import NO_SERIES
from controller.core.judge.sequential import conclude_weighed
from controller.core.judge.tally import fold, given_up, windows
from controller.core.judge.threshold import Context, broken, conclude
from controller.core.judge.window import Measure, measure_for
from controller.core.measured import FrozenValue, Run, Stretch, Tally
from controller.core.observation import Answer, Series
from controller.core.policy import Criterion, LatencyIncrease, Metric, Policy, Threshold
from controller.core.rollout import Phase, Rollout
from controller.core.sequential.trial import Fold
from controller.core.units import MINUTE_S, ceil_to, floor_to

__all__ = [
    "GIVE_UP_AGE",
    "SEAL_AGE",
    "Evidence",
    "Needs",
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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate is judged from.

    tallies: sealed evidence by criterion; series: everything since, by series key.
    start, closed, open_end: first judged second, end of the settled periods, end of what was read.
    bake_over: the bake is over and its data are settled to the end.
    fold, stretches: sealed evidence of the whole rollout, and from where the rest comes; without
    stretches none adds up.
    """

    policy: Policy
    gate: Mapping[str, Criterion]
    series: Mapping[str, Series]
    tallies: Mapping[str, Tally]
    start: int
    closed: int
    open_end: int
    bake_over: bool
    weight: int
    baselines: Mapping[str, FrozenValue]
    fold: Fold = field(default_factory=Fold)
    stretches: tuple[Stretch, ...] = ()

    @property
    def minutes(self) -> Minutes:
        """What the evidence of the whole rollout is folded from."""
        return Minutes(self.policy, self.fold, self.stretches, self.series, self.baselines)


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
    return tuple(_judge_one(name, criterion, evidence, fold) for name, criterion in gate.items())


def seal(evidence: Evidence, now: datetime) -> dict[str, Tally]:
    """Return the tallies with every window folded in that is too old to change.

    A criterion whose series were not answered in full stays where it was and is read again, until
    its windows are so old that they are given up.
    """
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed)
    lost = floor_to(now - GIVE_UP_AGE, MINUTE_S)
    sealed: dict[str, Tally] = {}
    for name, criterion in evidence.gate.items():
        tally = evidence.tallies.get(name, Tally())
        if broken(_answers(name, criterion, evidence)) is None:
            sealed[name] = _folded(name, criterion, evidence, tally, up_to)
        else:
            starts = windows(criterion, tally, evidence.start, lost)
            sealed[name] = given_up(tally, starts, period_of(criterion))
    return sealed


def seal_fold(evidence: Evidence, now: datetime) -> Fold:
    """Return the fold with every minute in it that is too old to change, or to be asked for."""
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed)
    return evidence.minutes.sealed(up_to, floor_to(now - GIVE_UP_AGE, MINUTE_S))


def _judge_one(name: str, criterion: Criterion, evidence: Evidence, fold: Fold) -> Finding:
    tally = evidence.tallies.get(name, Tally())
    failed = broken(_answers(name, criterion, evidence))
    if failed is None:  # with holes in it, a row of breaches may not be one
        tally = _folded(name, criterion, evidence, tally, evidence.closed)
    tally = _open_counts(name, criterion, evidence, tally)
    context = Context(
        start=ceil_to(evidence.start, period_of(criterion)),
        seen_until=evidence.open_end,
        bake_over=evidence.bake_over,
        weight=evidence.weight,
        unit=_unit(criterion, evidence.policy.metrics),
        baseline=evidence.baselines.get(name),
        broken=failed,
    )
    if not criterion.sequential:
        return conclude(name, criterion, tally, context)
    return conclude_weighed(name, criterion, tally, context, _case(name, criterion, evidence, fold))


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


def _folded(name: str, criterion: Criterion, evidence: Evidence, tally: Tally, end: int) -> Tally:
    starts = windows(criterion, tally, evidence.start, end)
    if not starts:
        return tally
    return fold(tally, _measure(name, criterion, evidence), starts, period_of(criterion))


def _measure(name: str, criterion: Criterion, evidence: Evidence) -> Measure:
    metrics, baseline = evidence.policy.metrics, evidence.baselines.get(name)
    reached = evidence.weight > 0
    return measure_for(criterion, metrics, evidence.series, reached=reached, baseline=baseline)


def _open_counts(name: str, criterion: Criterion, evidence: Evidence, tally: Tally) -> Tally:
    """Fold in windows that are not closed yet but whose count is over its limit already.

    A count only grows: over the limit now is over it for good, so bad news need neither settle nor
    come in a whole answer. A window in between that is not over yet, or was not answered, may still
    end a run of breaches, so it does.
    """
    if not isinstance(criterion, Threshold) or criterion.max is None or criterion.per is not None:
        return tally
    if criterion.sequential:
        return tally
    if evidence.policy.metrics[criterion.metric].statistic not in ("Sum", "SampleCount"):
        return tally
    period_s = period_of(criterion)
    measure = _measure(name, criterion, evidence)
    first = max(ceil_to(evidence.start, period_s), tally.through)
    certain = tally
    for start in range(first, evidence.open_end, period_s):
        seen = measure(start)
        if seen is None or not seen.breach:
            continue
        if start != certain.through:
            certain = replace(certain, run=Run())
        certain = fold(certain, measure, (start,), period_s)
    return replace(certain, tail_empty=tally.tail_empty, tail_unfit=tally.tail_unfit)


def _answers(name: str, criterion: Criterion, evidence: Evidence) -> dict[str, Series]:
    keys = keys_of(criterion, evidence.policy.metrics, evidence.baselines.get(name))
    return {
        f"{metric} ({statistic})": evidence.series.get(key, NO_SERIES)
        for metric, statistic, key in keys
    }


def _unit(criterion: Criterion, metrics: Mapping[str, Metric]) -> str:
    name = getattr(criterion, "metric", None)
    return metrics[name].unit if isinstance(name, str) else ""


def unanswered(message: str, keys: Mapping[str, object]) -> dict[str, Series]:
    """Return a failed series under every key: what an outage of the whole source looks like."""
    return {key: Series(answer=Answer.ERROR, message=message) for key in keys}
