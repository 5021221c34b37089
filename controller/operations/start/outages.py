"""Outages of the stable path that began before a start: a canary may be the fix of one.

The judge raises no weight while both paths fail, because the canary may be the reason. It is not
the reason of an outage that was there before it had any traffic.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import isnan
from typing import Final

from controller.core.judge.criteria.success_rate import SuccessRateSequentialJudge
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.series import FailureCounter, WindowCounts, query
from controller.core.observation import MetricQuery, QueryStatus, Span, TargetReading
from controller.core.policy import Policy, SuccessRate
from controller.core.rollout import Phase, Rollout
from controller.core.stats.combined_tests import NO_CONTROL
from controller.core.stats.counts import Counts
from controller.core.stats.success_rate import OUTAGE_MINUTES
from controller.core.units import MINUTE_S
from controller.engine.tick import Runner
from controller.errors import StoreError
from controller.operations.live_checks.target import exposures_of

# A rollout that had traffic so shortly before a start may have broken the stable path.
_CLEAR_OF_ROLLOUTS: Final = timedelta(hours=2)
# The newest minutes before a start, in seconds: an outage that is over has left them.
_NEWEST_S: Final = 5 * MINUTE_S


def outages_before(
    runner: Runner, policy: Policy, reading: TargetReading, now: datetime
) -> dict[str, BaselineMeasurement]:
    """Return by criterion what the stable path failed where it was in an outage before a start.

    What is not known is no outage: without a complete answer, where the canary has a weight, and
    after a rollout that had one in the last two hours, or until an unknown time. Raises
    MetricsError and StoreError.
    """
    if reading.weight != 0:
        return {}
    end, found = policy.settled_end(now), dict[str, BaselineMeasurement]()
    span = Span(end - OUTAGE_MINUTES * MINUTE_S, end)
    for judge in _judges(policy):
        queries = _stable_queries(judge)
        answers = runner.observer.metrics.read(list(queries.values()), span)
        series = {key: answers[one] for key, one in queries.items()}
        if any(one.status is not QueryStatus.COMPLETE for one in series.values()):
            continue
        outage = _outage_in(judge, judge.control_counts(series), span)
        if outage is not None:
            found[judge.name] = outage
    return found if found and _is_clear(runner, policy, reading, now) else {}


def _is_clear(runner: Runner, policy: Policy, reading: TargetReading, now: datetime) -> bool:
    """Tell whether no canary had a weight in the last two hours, nor until an unknown time."""
    stable = policy.target.serving(0)
    for rollout_id, _, over in reversed(exposures_of(runner.store, policy, reading)):
        if over is None:
            other = _released(runner, rollout_id, stable)
            if other is None:
                return False
            over, stable = other.since, other.policy.target.serving(0)
        if over > now - _CLEAR_OF_ROLLOUTS:
            return False
    return True


def _released(runner: Runner, rollout_id: str, stable: str) -> Rollout | None:
    """Return the rollout that made `stable` the stable path; None: not known to be this one.

    On a Lambda alias or a load balancer its weight stays 100%, and ends as that of a canary.
    """
    try:
        other = runner.store.load(rollout_id)
    except StoreError:
        return None
    is_over = other.phase is Phase.SUCCEEDED and other.weight == 100
    return other if stable and is_over and other.policy.target.serving(100) == stable else None


def _judges(policy: Policy) -> Iterator[SuccessRateSequentialJudge]:
    """Yield the judge of each success rate that has a control, in all steps up to its last one.

    A step without the criterion would not see that an outage ends and another one begins.
    """
    for name, criterion in policy.criteria.items():
        if not isinstance(criterion, SuccessRate) or criterion.control is None:
            continue
        gates = [name in policy.gate(step) for step in range(len(policy.steps))]
        judge = judge_of(name, criterion, policy)
        if isinstance(judge, SuccessRateSequentialJudge) and gates == sorted(gates, reverse=True):
            yield judge


def _stable_queries(judge: SuccessRateSequentialJudge) -> Mapping[str, MetricQuery]:
    """Return the queries of the stable path as it is counted at weight 0, by series key."""
    control, at_zero = judge.criterion.control, judge.policy.target.at_zero
    names = () if control is None else (control.total, *control.counted)
    return {
        key: query(at_zero(judge.metrics[name]), statistic, judge.period_s)
        for name, statistic, key in judge.series_keys
        if name in names
    }


def _outage_in(
    judge: SuccessRateSequentialJudge, counts: FailureCounter, span: Span
) -> BaselineMeasurement | None:
    """Return what the stable path failed in `span`; None where it was in no outage.

    It was in one where the judge would have seen one after most of the minutes, and the newest
    minutes are above what is allowed, too: what the judge sees lasts longer than the outage.
    """
    control, in_outage, whole, newest = NO_CONTROL, list[bool](), Counts(), Counts()
    for minute in range(span.start, span.end, MINUTE_S):
        counted = counts(minute)
        if counted is None or isnan(counted[1]):
            continue
        one = Counts(0.0, 0.0, *counted)
        _, control = judge.minute_ratios(WindowCounts(one, 1.0), control, judged=False, minutes=1)
        in_outage.append(judge.in_outage(control))
        whole += one
        if minute >= span.end - _NEWEST_S:
            newest += one
    fails = newest.control_amount > judge.allowed_failures * newest.control_samples
    if not fails or 2 * sum(in_outage) <= len(in_outage):
        return None
    share = whole.control_amount / whole.control_samples
    return BaselineMeasurement(share, whole.control_samples, span.start, span.end)
