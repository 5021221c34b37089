"""The judge of a gate: folds the closed windows of a step and makes one finding per criterion.

What is particular to a kind of criterion is in `kinds/`. `judge: threshold` (windows.py) compares
window by window; `judge: sequential` (sequential.py) adds up the evidence of every minute of the
rollout.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.core.judge.evidence import SequentialResult, Tally, criterion_of
from controller.core.judge.findings import Finding
from controller.core.judge.gate_evidence import Evidence, fold_closed_windows, fold_open_breaches
from controller.core.judge.kind import Context, Kind
from controller.core.judge.queries import QueryPlan, gate_query_plan
from controller.core.judge.rollback_drain import drain_query_plan
from controller.core.judge.tally import mark_lost, window_starts
from controller.core.observation import QueryStatus, Series, Span
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
        _judge_criterion(evidence.kind_of(name, criterion), evidence, fold)
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
    for kind in evidence.kinds():
        if not kind.has_windows:
            continue
        if evidence.incomplete_series_of(kind) is None:
            sealed[kind.name] = fold_closed_windows(kind, evidence, up_to)
        else:
            tally = evidence.tally_of(kind)
            starts = window_starts(kind.period_s, tally, evidence.start, give_up_end)
            sealed[kind.name] = kind.after_loss(mark_lost(tally, starts, kind.period_s))
    return sealed


def seal_fold(evidence: Evidence, now: datetime) -> Fold:
    """Return the fold with every minute in it that is too old to change, or to be queried."""
    up_to = min(floor_to(now - SEAL_AGE, MINUTE_S), evidence.closed_end)
    return evidence.sequential_evidence.fold_to_seal(up_to, floor_to(now - GIVE_UP_AGE, MINUTE_S))


def _judge_criterion(kind: Kind[Any], evidence: Evidence, fold: Fold) -> Finding:
    incomplete = evidence.incomplete_series_of(kind)
    tally = evidence.tally_of(kind)
    if kind.has_windows and (incomplete is None or kind.folds_partial):
        # With gaps in it, a run of breaches may not be one.
        tally = fold_closed_windows(kind, evidence, evidence.closed_end)
    tally = fold_open_breaches(kind, evidence, tally)
    context = Context(
        start=ceil_to(evidence.start, kind.period_s),
        closed_end=evidence.closed_end,
        open_end=evidence.open_end,
        bake_over=evidence.bake_over,
        weight=evidence.weight,
        incomplete=incomplete,
        series=evidence.series,
        search_span=evidence.search_span_of(kind) or Span(0, 0),
        non_metric=evidence.non_metric,
        result=_sequential_result(kind, evidence, fold) if kind.criterion.sequential else None,
    )
    finding = kind.conclude(tally, context)
    if not tally.lost or kind.criterion.sequential:
        return finding
    lost = {"lost_windows": tally.lost, "window_s": kind.period_s}
    return replace(finding, facts={**finding.facts, **lost})


def _sequential_result(kind: Kind[Any], evidence: Evidence, fold: Fold) -> SequentialResult:
    result = SequentialResult(fold, evidence.policy.budget)
    if not result.rejects(kind.name):
        return result
    regression = evidence.sequential_evidence.find_regression(kind.name, fold)
    return replace(result, regression=regression)


def error_series(message: str, keys: Mapping[str, object]) -> dict[str, Series]:
    """Return a failed series for every key: the answer in an outage of the whole source."""
    return {key: Series(answer=QueryStatus.ERROR, message=message) for key in keys}
