"""Whether the metrics of a policy can be read, and whether a criterion fails already."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil

from controller.core.judge.evidence import Stretch
from controller.core.judge.gate import Evidence, judge, queries_for
from controller.core.judge.queries import aligned
from controller.core.observation import QueryStatus, Series, TargetReading, UpdateStatus
from controller.core.policy import BurnRate, Criterion, Policy, SuccessRate, Threshold
from controller.core.units import ceil_to, floor_to
from controller.engine.direct_write import rollback_command
from controller.engine.tick import Runner


def weight_refusals(runner: Runner, policy: Policy, reading: TargetReading) -> list[str]:
    refusals: list[str] = []
    if reading.weight is None:
        refusals.append(f"the variables contradict each other: {reading.shown}")
    elif reading.weight > 0:
        locks = policy.target.locks(reading.identity)
        exposures = runner.store.exposures(reading.identity, locks)
        owner = next((one for one, _, end in exposures if end is None), None)
        by = f" by {owner}" if owner else ""
        first = (
            f"let {owner} finish, or roll it back (rolloutctl rollback {owner})"
            if owner
            else f"roll back by hand ({rollback_command(policy.target)})"
        )
        refusals.append(
            f"the canary has {reading.weight} % already{by} ({reading.shown}); a rollout starts "
            f"from 0: {first}, or let a rollout begin there with --adopt"
        )
    return refusals


def live_step(policy: Policy, reading: TargetReading) -> int | None:
    """Return the index of the step whose weight is live; None when there is none."""
    weights = [step.weight for step in policy.steps]
    return weights.index(reading.weight) if reading.weight in weights else None


def live_refusals(policy: Policy, reading: TargetReading) -> list[str]:
    """Return why the live weight cannot be adopted."""
    refusals: list[str] = []
    if reading.weight is None:
        refusals.append(f"the variables contradict each other: {reading.shown}")
    elif reading.weight == 0:
        refusals.append(f"there is nothing to adopt: the canary has 0 % ({reading.shown})")
    elif live_step(policy, reading) is None:
        refusals.append(
            f"the canary has {reading.weight} % ({reading.shown}), and no step of the policy has: "
            f"{policy.steps_text()}"
        )
    return refusals


def update_refusals(reading: TargetReading) -> list[str]:
    refusals: list[str] = []
    if reading.update is not UpdateStatus.SUCCESSFUL:
        detail = f": {reading.detail}" if reading.detail else ""
        refusals.append(f"the last update of the target is {reading.update}{detail}")
    return refusals


# --- Measurements ---------------------------------------------------------------------------------

# How far back a criterion is looked at to see whether it fails already, at least.
LOOK_BACK = timedelta(hours=1)


def measurement_refusals(
    runner: Runner, policy: Policy, reading: TargetReading, now: datetime, *, adopt: bool
) -> list[str]:
    """Return a line for each series that cannot be read, and each criterion that fails now.

    Nothing would ever be known of the first, and a start could only roll back for the second.
    Raises MetricsError when the source does not answer at all.
    """
    weight = (reading.weight or 0) if adopt else 0
    when = "before any traffic moved"
    if adopt:
        when = f"so roll back the {weight} % that are live (rolloutctl rollback POLICY)"
    step = (live_step(policy, reading) or 0) if adopt else 0
    queries = queries_for(policy, policy.criteria)
    closed = floor_to(now - policy.settle, 60)
    begins = {name: closed - _look_back_s(one) for name, one in policy.criteria.items()}
    span = aligned(queries, min(begins.values()), closed)
    since = _last_exposure_end(runner, policy, reading)
    begins = {name: max(begin, since) for name, begin in begins.items() if since < closed}
    answers = runner.observer.metrics.read(queries.values(), span)
    series = {key: answers[query] for key, query in queries.items()}
    return [
        *(
            f"{key} cannot be read: {one.message or one.answer}"
            for key, one in series.items()
            if one.answer in (QueryStatus.FORBIDDEN, QueryStatus.ERROR)
        ),
        *(
            f"fails already, {when}: {sentence}"
            for name, begin in begins.items()
            for sentence in _failures(
                policy,
                name,
                series,
                Stretch(_gating_step(policy, name, step), begin, begin, closed),
                weight,
            )
        ),
    ]


def _last_exposure_end(runner: Runner, policy: Policy, reading: TargetReading) -> int:
    """Return from when on no earlier rollout of the target had traffic, unix seconds; else 0.

    What its canary did was judged then, and says nothing of what is started now.
    """
    locks = policy.target.locks(reading.identity)
    known = runner.store.exposures(reading.identity, locks)
    ends = (end for _, _, end in known if end is not None)
    last = max(ends, default=None)
    return 0 if last is None else ceil_to(ceil((last + policy.warmup).timestamp()), 60)


def _look_back_s(criterion: Criterion) -> int:
    """Return how many seconds back a criterion is looked at: long enough for it to fail."""
    length = LOOK_BACK
    if isinstance(criterion, BurnRate):
        length = max(length, criterion.longest_window)
    if isinstance(criterion, SuccessRate | Threshold) and not criterion.sequential:
        # One window more, because the first may have begun before the look.
        length = max(length, (criterion.failure_limit + 1) * criterion.over)
    return int(length.total_seconds())


def _gating_step(policy: Policy, name: str, first: int) -> int:
    """Return the first step from `first` on that criterion `name` gates; without any, `first`."""
    steps = range(first, len(policy.steps))
    return next((step for step in steps if name in policy.gate(step)), first)


def _failures(
    policy: Policy,
    name: str,
    series: Mapping[str, Series],
    window: Stretch,
    weight: int,
) -> list[str]:
    criterion = policy.criteria[name]
    if not isinstance(criterion, SuccessRate | Threshold | BurnRate):
        return []
    evidence = Evidence(
        policy=policy,
        gate={name: criterion},
        series=series,
        tallies={},
        start=window.begin,
        closed=window.end,
        open_end=window.end,
        bake_over=True,
        weight=weight,
        baselines={},
        stretches=(window,),
    )
    findings = [one for one in judge(evidence) if one.criterion == name]
    return [one.sentence for one in findings if one.fails]
