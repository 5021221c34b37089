"""All that is checked once, before the first percent of traffic moves; it only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.core.baseline import Wanted, frozen_value, wanted
from controller.core.findings import Verdict
from controller.core.judge import Evidence, judge, queries_for
from controller.core.judge.queries import aligned
from controller.core.observation import Answer, Reading, Series, Update
from controller.core.policy import Criterion, Policy, SuccessRate, Threshold
from controller.core.rollout import FrozenValue
from controller.core.units import at, clock_text, floor_to, number_text
from controller.errors import MetricsError
from controller.ports import Obstacle
from controller.runner import Runner

# How far back a criterion is looked at to see whether it fails already, at least.
LOOK_BACK = timedelta(hours=1)
_INSTEAD = "or a known value: baseline: {fixed: ...}"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before a start; the start goes ahead only when `refusals` is empty."""

    reading: Reading
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    baselines: Mapping[str, FrozenValue]


def preflight(
    runner: Runner,
    policy: Policy,
    reading: Reading,
    obstacles: Sequence[Obstacle],
    now: datetime,
) -> Preflight:
    """Return what stands in the way of a start."""
    refusals = [*_weight_refusals(runner, reading), *(one.text for one in obstacles if one.fatal)]
    warnings = [one.text for one in obstacles if not one.fatal]
    baselines: dict[str, FrozenValue] = {}
    try:
        for want in wanted(policy, now):
            value, problem = _baseline(runner, reading, want, now - policy.settle)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[want.criterion] = value
        refusals += _measurement_refusals(runner, policy, now)
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, tuple(refusals), tuple(warnings), baselines)


# --- the target ---------------------------------------------------------------------------------


def _weight_refusals(runner: Runner, reading: Reading) -> list[str]:
    refusals: list[str] = []
    if reading.weight is None:
        refusals.append(f"the variables contradict each other: {reading.shown}")
    elif reading.weight > 0:
        exposures = runner.store.exposures(reading.identity)
        owner = next((one for one, _, end in exposures if end is None), None)
        by = f" by {owner}" if owner else ""
        first = (
            f"let {owner} finish, or roll it back (rolloutctl rollback {owner})"
            if owner
            else "roll back by hand (rolloutctl rollback --function ... --percentage ...)"
        )
        refusals.append(
            f"the canary has {reading.weight} % already{by} ({reading.shown}); a rollout starts "
            f"from 0: {first}"
        )
    if reading.update is not Update.SUCCESSFUL:
        detail = f": {reading.detail}" if reading.detail else ""
        refusals.append(f"the last update of the target is {reading.update}{detail}")
    return refusals


# --- frozen baselines ---------------------------------------------------------------------------


def _baseline(
    runner: Runner, reading: Reading, want: Wanted, settled: datetime
) -> tuple[FrozenValue | None, str | None]:
    """Return the value of a baseline, and why it cannot be used.

    Raises MetricsError when the source does not answer at all.
    """
    if want.span.end > settled.timestamp():
        return None, (
            f"{want.text}: its window ends at {clock_text(at(want.span.end))}, and measurements "
            f"are settled only until {clock_text(settled)}; name an earlier `to`, {_INSTEAD}"
        )
    series = runner.looking.metrics.read((want.value, want.samples), want.span)
    try:
        value = frozen_value(want, series)
    except MetricsError as error:
        return None, f"measurements cannot be read: {error}"
    return value, _unfit(want, value) or _overlap(runner, reading, want)


def _unfit(want: Wanted, value: FrozenValue | None) -> str | None:
    window = f"{clock_text(at(want.span.start))} to {clock_text(at(want.span.end))}"
    if value is None:
        return (
            f"{want.text} has no data from {window}; measure the stable path, or give a known "
            "value: baseline: {fixed: ...}"
        )
    if value.samples < want.min_samples:
        seen, needed = number_text(value.samples), number_text(want.min_samples)
        return (
            f"{want.text} has {seen} samples from {window}, {needed} needed; take a longer window, "
            "or give a known value: baseline: {fixed: ...}"
        )
    return None


def _overlap(runner: Runner, reading: Reading, want: Wanted) -> str | None:
    """A baseline must be of the stable path alone: refuse where a rollout had weight above 0."""
    for rollout_id, begin, end in runner.store.exposures(reading.identity):
        over = end is None or end.timestamp() > want.span.start
        if not over or begin.timestamp() >= want.span.end:
            continue
        if end is None and reading.weight == 0:
            return (
                f"{want.text}: its window overlaps {rollout_id}, which had weight above 0 from "
                f"{clock_text(begin)} on, and nobody saw when that ended; name a window before "
                f"that with `from` and `to`, {_INSTEAD}"
            )
        until = clock_text(end) if end else "now"
        return (
            f"{want.text}: its window overlaps {rollout_id}, which had weight above 0 from "
            f"{clock_text(begin)} to {until}; name a window with `from` and `to`, {_INSTEAD}"
        )
    return None


# --- criteria -----------------------------------------------------------------------------------


def _measurement_refusals(runner: Runner, policy: Policy, now: datetime) -> list[str]:
    """Return a line for each series that cannot be read, and each criterion that fails now.

    Nothing would ever be known of the first, and a start could only roll back for the second.
    Raises MetricsError when the source does not answer at all.
    """
    queries = queries_for(policy, policy.criteria)
    closed = floor_to(now - policy.settle, 60)
    begins = {name: closed - _look_back_s(one) for name, one in policy.criteria.items()}
    span = aligned(queries, min(begins.values()), closed)
    answers = runner.looking.metrics.read(queries.values(), span)
    series = {key: answers[query] for key, query in queries.items()}
    return [
        *(
            f"{key} cannot be read: {one.message or one.answer}"
            for key, one in series.items()
            if one.answer in (Answer.FORBIDDEN, Answer.ERROR)
        ),
        *(
            f"fails already, before any traffic moved: {sentence}"
            for name, begin in begins.items()
            for sentence in _failing(policy, name, series, begin, closed)
        ),
    ]


def _look_back_s(criterion: Criterion) -> int:
    """Return how many seconds back a criterion is looked at: long enough for it to fail."""
    length = LOOK_BACK
    if isinstance(criterion, SuccessRate | Threshold):
        # One window more, because the first may have begun before the look.
        length = max(length, (criterion.failure_limit + 1) * criterion.over)
    return int(length.total_seconds())


def _failing(
    policy: Policy, name: str, series: Mapping[str, Series], begin: int, closed: int
) -> list[str]:
    criterion = policy.criteria[name]
    if not isinstance(criterion, SuccessRate | Threshold):
        return []
    evidence = Evidence(
        policy=policy,
        gate={name: criterion},
        series=series,
        tallies={},
        start=begin,
        closed=closed,
        open_end=closed,
        bake_over=True,
        weight=0,
        baselines={},
    )
    return [one.sentence for one in judge(evidence) if one.verdict is Verdict.FAIL]
