"""The judge of a gate: folds the closed windows of a step and makes one finding per criterion.

`judge: threshold` (kinds/threshold.py) compares window by window. `judge: sequential`
(sequential.py) adds up the evidence of every minute of the rollout.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate_evidence import (
    Evidence,
    fold_open_breaches,
    fold_tally,
    log_search_span,
    series_of,
    unit_of,
)
from controller.core.judge.kinds.alarm import conclude_alarm
from controller.core.judge.kinds.attestation import conclude_attestation
from controller.core.judge.kinds.burn_rate import conclude_burn_rate, trim_recent
from controller.core.judge.kinds.log_events import LogEvidence
from controller.core.judge.kinds.threshold import Context, conclude_threshold, incomplete_series
from controller.core.judge.kinds.traffic_share import conclude_traffic_share
from controller.core.judge.queries import (
    QueryPlan,
    gate_query_plan,
    period_of,
    slow_limits,
)
from controller.core.judge.rollback_drain import drain_query_plan
from controller.core.judge.sequential import conclude_sequential
from controller.core.judge.sequential_evidence import SequentialResult
from controller.core.judge.sequential_tests import allowed_slow_share, criterion_of
from controller.core.judge.tally import mark_lost, window_starts
from controller.core.judge.wording import unanswered_windows
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    Alarm,
    Attestation,
    BoundedCriterion,
    BurnRate,
    Criterion,
    LatencyIncrease,
    LogEvents,
    MissingCriterion,
    Share,
    Threshold,
)
from controller.core.rollout import Phase, Rollout
from controller.core.stats.combined_tests import Fold
from controller.core.units import MINUTE_S, ceil_to, floor_to

# A minute this old can no longer change: CloudWatch's values converge within about ten minutes.
SEAL_AGE = timedelta(minutes=15)
# A query that stays unanswered is tried again for windows up to this age. Later they are lost, so
# that neither the read nor the history grows with an outage.
GIVE_UP_AGE = timedelta(hours=6)


def query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read for the next decision about `rollout`."""
    if rollout.phase is Phase.ROLLED_BACK:
        return drain_query_plan(rollout, now)
    return gate_query_plan(rollout, now)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Return one finding per criterion of the gate.

    And one for a criterion of another step, where it has the largest part of the evidence for a
    rollback, or where an operator has refused its sign-off.
    """
    fold = evidence.sequential_evidence.fold_until(evidence.closed_end)
    gate = dict(evidence.gate)
    earlier = criterion_of(fold.carried)
    if fold.rejects(evidence.policy.budget) and earlier in evidence.policy.criteria:
        gate.setdefault(earlier, evidence.policy.criteria[earlier])
    for refused in evidence.non_metric.refusals():  # a refusal counts at once, in any step
        gate.setdefault(refused, evidence.policy.criteria[refused])
    return tuple(
        replace(_judge_criterion(name, criterion, evidence, fold), gates=criterion.gating)
        for name, criterion in gate.items()
    )


def seal_tallies(evidence: Evidence, now: datetime) -> dict[str, Tally]:
    """Return the tallies with every window folded in that is too old to change.

    A criterion whose series were not answered in full stays where it was and is read again, until
    its windows are so old that they are given up.
    """
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed_end)
    give_up_end = floor_to(now - GIVE_UP_AGE, MINUTE_S)
    sealed: dict[str, Tally] = {}
    for name, criterion in evidence.gate.items():
        if isinstance(criterion, Alarm | Attestation):
            continue  # they have no windows
        tally = evidence.tallies.get(name, Tally())
        if incomplete_series(series_of(name, criterion, evidence)) is None:
            is_log = isinstance(criterion, LogEvents)
            end = min(up_to, log_search_span(name, evidence).end) if is_log else up_to
            sealed[name] = fold_tally(name, criterion, evidence, tally, end)
        else:
            starts = window_starts(criterion, tally, evidence.start, give_up_end)
            tally = mark_lost(tally, starts, period_of(criterion))
            sealed[name] = (
                trim_recent(criterion, tally) if isinstance(criterion, BurnRate) else tally
            )
    return sealed


def seal_fold(evidence: Evidence, now: datetime) -> Fold:
    """Return the fold with every minute in it that is too old to change, or to be queried."""
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed_end)
    return evidence.sequential_evidence.fold_to_seal(up_to, floor_to(now - GIVE_UP_AGE, MINUTE_S))


def _judge_criterion(name: str, criterion: Criterion, evidence: Evidence, fold: Fold) -> Finding:
    non_metric, now = evidence.non_metric, evidence.open_end - MINUTE_S
    match criterion:
        case Alarm():
            return conclude_alarm(name, criterion, non_metric, evidence.start, now)
        case Attestation():
            return conclude_attestation(name, criterion, non_metric, evidence.start, now)
        case MissingCriterion():
            start, sentence = evidence.start, f"{name} is not judged: {criterion.problem}."
            return Finding(
                name,
                Verdict.INCONCLUSIVE,
                Label.NOT_JUDGED,
                None,
                0.0,
                0,
                start,
                max(start, evidence.closed_end),
                sentence,
            )
        case LogEvents():
            search_span = log_search_span(name, evidence)
            tally = evidence.tallies.get(name, Tally())
            tally = fold_tally(name, criterion, evidence, tally, search_span.end)
            group = evidence.policy.log_group_of(criterion)
            start, closed_end = evidence.start, evidence.closed_end
            log_evidence = LogEvidence(
                name, criterion, tally, evidence.series, group, start, closed_end, search_span
            )
            return _add_lost_windows(log_evidence.finding(), criterion, tally)
        case _:
            return _judge_metric(name, criterion, evidence, fold)  # type: ignore[arg-type]


def _judge_metric(
    name: str, criterion: BoundedCriterion | Share | BurnRate, evidence: Evidence, fold: Fold
) -> Finding:
    tally = evidence.tallies.get(name, Tally())
    incomplete = incomplete_series(series_of(name, criterion, evidence))
    if incomplete is None:  # with gaps in it, a run of breaches may not be one
        tally = fold_tally(name, criterion, evidence, tally, evidence.closed_end)
    tally = fold_open_breaches(name, criterion, evidence, tally)
    context = Context(
        start=ceil_to(evidence.start, period_of(criterion)),
        open_end=evidence.open_end,
        bake_over=evidence.bake_over,
        weight=evidence.weight,
        unit=unit_of(criterion, evidence.policy.metrics),
        baseline=evidence.baselines.get(name),
        incomplete_series=incomplete,
    )
    if isinstance(criterion, Share):
        return _add_lost_windows(
            conclude_traffic_share(name, criterion, tally, context), criterion, tally
        )
    if isinstance(criterion, BurnRate):
        return _add_lost_windows(
            conclude_burn_rate(name, criterion, tally, context), criterion, tally
        )
    if not criterion.sequential:
        return _add_lost_windows(
            conclude_threshold(name, criterion, tally, context), criterion, tally
        )
    return conclude_sequential(
        name, criterion, tally, context, _sequential_result(name, criterion, evidence, fold)
    )


def _add_lost_windows(finding: Finding, criterion: Criterion, tally: Tally) -> Finding:
    """Return `finding` with the number of windows that were given up, in its sentence."""
    if not tally.lost:
        return finding
    return replace(finding, sentence=f"{finding.sentence} {unanswered_windows(criterion, tally)}")


def _sequential_result(
    name: str, criterion: Criterion, evidence: Evidence, fold: Fold
) -> SequentialResult:
    result = SequentialResult(fold, evidence.policy.budget)
    if result.rejects(name):
        result = replace(
            result, regression=evidence.sequential_evidence.find_regression(name, fold)
        )
    if isinstance(criterion, LatencyIncrease | Threshold):
        metrics, baseline = evidence.policy.metrics, evidence.baselines.get(name)
        limits = slow_limits(criterion, metrics, baseline)
        slow_share = allowed_slow_share(metrics[criterion.metric].percentile, criterion, baseline)
        statistic = metrics[criterion.metric].statistic
        result = replace(result, limits=limits, allowed_slow_share=slow_share, statistic=statistic)
    return result


def error_series(message: str, keys: Mapping[str, object]) -> dict[str, Series]:
    """Return a failed series for every key: the answer in an outage of the whole source."""
    return {key: Series(answer=QueryStatus.ERROR, message=message) for key in keys}
