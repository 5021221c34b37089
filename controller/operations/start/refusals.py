"""Refusals of a start: by the live weight, and by what metrics show already."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil

from controller.core.judge.criterion_judge import CriterionJudge, judge_of, judges_of
from controller.core.judge.evidence import StepInterval
from controller.core.judge.gate import Evidence, judge_gate
from controller.core.judge.queries import aligned_span, queries_for
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.observation import Series, TargetReading
from controller.core.policy import Criterion, Policy
from controller.core.stats.combined_tests import Fold
from controller.core.units import ceil_to, floor_to
from controller.core.words.findings import sentence_of
from controller.engine.tick import Runner

# A criterion is evaluated at least this far back to see whether it fails already.
LOOK_BACK = timedelta(hours=1)


# --- Weight of the target ---------------------------------------------------------


def weight_refusals(runner: Runner, policy: Policy, reading: TargetReading) -> list[str]:
    """Return why a rollout cannot start from the live weight: it is not 0."""
    refusals: list[str] = []
    if reading.weight:
        locks = policy.target.locks(reading.identity)
        exposures = runner.store.exposures(reading.identity, locks)
        owner = next((one for one, _, end in exposures if end is None), None)
        owner_text = f" by {owner}" if owner else ""
        remedy = (
            f"let {owner} finish, or roll it back (rolloutctl rollback {owner})"
            if owner
            else f"roll back first ({policy.target.rollback_command})"
        )
        refusals.append(
            f"the canary has {reading.weight} % already{owner_text} ({reading.variables}); "
            f"a rollout starts from 0 %: {remedy}, or take the weight over with --adopt"
        )
    return refusals


def live_refusals(policy: Policy, reading: TargetReading) -> list[str]:
    """Return why the live weight cannot be adopted."""
    refusals: list[str] = []
    if reading.weight == 0:
        refusals.append(
            f"there is no weight to take over: the canary has 0 % ({reading.variables})"
        )
    elif reading.weight is not None and live_step(policy, reading) is None:
        refusals.append(
            f"the canary has {reading.weight} % ({reading.variables}), which is no step of the "
            f"policy: {policy.steps_text()}"
        )
    return refusals


def live_step(policy: Policy, reading: TargetReading) -> int | None:
    """Return the index of the step whose weight is live; None when there is none."""
    weights = [step.weight for step in policy.steps]
    return weights.index(reading.weight) if reading.weight in weights else None


# --- Measurements ---------------------------------------------------------------------------------


def failing_criteria(
    runner: Runner, policy: Policy, reading: TargetReading, now: datetime, *, adopt: bool
) -> list[str]:
    """Return a refusal for each criterion that fails now: the rollout could only roll back for it.

    Raises MetricsError when the metric source cannot be read at all.
    """
    weight = (reading.weight or 0) if adopt else 0
    when = "before the start"
    if adopt:
        when = f"so roll back the live {weight} % (rolloutctl rollback POLICY)"
    step = (live_step(policy, reading) or 0) if adopt else 0
    judges = list(judges_of(policy, policy.criteria, {}))
    queries = queries_for(judges)
    closed = floor_to(now - policy.evaluation_delay, 60)
    begins = {judge.name: closed - _look_back_s(judge) for judge in judges}
    span = aligned_span(queries.values(), min(begins.values()), closed)
    since = _last_exposure_end(runner, policy, reading)
    begins = {name: max(begin, since) for name, begin in begins.items() if since < closed}
    answers = runner.observer.metrics.read(queries.values(), span)
    series = {key: answers[query] for key, query in queries.items()}
    return [
        f"fails already, {when}: {sentence}"
        for name, begin in begins.items()
        for sentence in _failures(
            policy,
            name,
            series,
            StepInterval(_gating_step(policy, name, step), begin, begin, closed),
            weight,
        )
    ]


def _last_exposure_end(runner: Runner, policy: Policy, reading: TargetReading) -> int:
    """Return since when no earlier rollout of the target had traffic, unix seconds; 0: no rollout.

    An earlier canary was judged by its own rollout; it is no evidence about this one.
    """
    locks = policy.target.locks(reading.identity)
    exposures = runner.store.exposures(reading.identity, locks)
    ends = (end for _, _, end in exposures if end is not None)
    last = max(ends, default=None)
    return 0 if last is None else ceil_to(ceil((last + policy.warmup).timestamp()), 60)


def _look_back_s(judge: CriterionJudge[Criterion]) -> int:
    """Return how many seconds back a criterion is evaluated: long enough for it to fail."""
    return int(max(LOOK_BACK, judge.look_back or LOOK_BACK).total_seconds())


def _gating_step(policy: Policy, name: str, first: int) -> int:
    """Return the first step from `first` on that criterion `name` gates; without any, `first`."""
    steps = range(first, len(policy.steps))
    return next((step for step in steps if name in policy.gate(step)), first)


def _failures(
    policy: Policy,
    name: str,
    series: Mapping[str, Series],
    window: StepInterval,
    weight: int,
) -> list[str]:
    criterion = policy.criteria[name]
    if judge_of(name, criterion, policy).look_back is None:
        return []
    evidence = Evidence(
        policy=policy,
        gate={name: criterion},
        series=series,
        tallies={},
        start=window.begin,
        closed_end=window.end,
        open_end=window.end,
        bake_over=True,
        weight=weight,
        baselines={},
        sequential=SequentialEvidence(policy, Fold(), (window,), series, {}),
    )
    findings = [one for one in judge_gate(evidence) if one.criterion == name]
    return [sentence_of(one) for one in findings if one.fails]
