"""Starting a rollout: all that is checked once, before the first percent of traffic moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import events
from controller.core import transitions
from controller.core.baseline import Wanted, frozen_value, wanted
from controller.core.findings import Verdict
from controller.core.judge import Evidence, judge, queries_for
from controller.core.judge.queries import aligned
from controller.core.observation import Reading, Update
from controller.core.policy import Policy, SuccessRate, Threshold
from controller.core.rollout import FrozenValue, Phase, Rollout
from controller.core.units import at, clock_text, floor_to, number_text
from controller.errors import MetricsError, RolledBackError, TargetError, UsageError
from controller.ports import Obstacle, OpenTarget
from controller.runner import Runner

log = events.logger()

# How far back a criterion is looked at to see whether it fails already.
LOOK_BACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for: a policy, a revision (default: the code's digest), and a retry."""

    policy: Policy
    revision: str | None = None
    retry_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before a start; the start goes ahead only when `refusals` is empty."""

    reading: Reading
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    baselines: Mapping[str, FrozenValue]


@dataclass(frozen=True, slots=True)
class Started:
    """The rollout that runs now; `created` is False when it ran already."""

    rollout: Rollout
    created: bool
    warnings: tuple[str, ...] = ()


def start(runner: Runner, request: Request) -> Started:
    """Create the rollout of `request` and decide its first weight; return at once.

    Idempotent: the same revision of the same policy is returned as it stands. Raises UsageError
    with every refusal, RolledBackError when this revision was rolled back before, and
    TargetTakenError when another rollout owns the target.
    """
    target = runner.looking.targets(request.policy.target)
    reading = _read(target, request.policy)
    revision = request.revision or reading.code
    if not revision:
        raise UsageError("the target names no revision; give one with --revision")
    known = _known(runner, request, revision, reading)
    if known is not None:
        return Started(known, created=False)
    now = runner.clock.now()
    checked = preflight(runner, request.policy, reading, target.obstacles(), now)
    if checked.refusals:
        lines = "\n".join(f"  {line}" for line in checked.refusals)
        raise UsageError(f"{request.policy.name} was not started; nothing was touched:\n{lines}")
    attempt = len(runner.store.of_name(request.policy.name)) + 1
    first = transitions.created(
        request.policy, revision, reading, attempt, checked.baselines, request.retry_reason, now
    )
    return Started(runner.begin(first, reading), created=True, warnings=checked.warnings)


def look(runner: Runner, policy: Policy) -> Preflight:
    """Return what a start of `policy` would find. Raises UsageError for an unreadable target."""
    target = runner.looking.targets(policy.target)
    reading = _read(target, policy)
    return preflight(runner, policy, reading, target.obstacles(), runner.clock.now())


def _read(target: OpenTarget, policy: Policy) -> Reading:
    try:
        return target.read()
    except TargetError as error:
        raise UsageError(f"{policy.name} was not started; nothing was touched: {error}") from error


def _known(runner: Runner, request: Request, revision: str, reading: Reading) -> Rollout | None:
    """Return the rollout that this request would start again; None when there is none.

    Raises UsageError and RolledBackError as `start` says.
    """
    for rollout_id in reversed(runner.store.of_name(request.policy.name)):
        known = runner.store.load(rollout_id)
        if not known.final:
            return _same(known, request, revision)
        if known.revision != revision:
            continue
        if known.phase is Phase.ROLLED_BACK and request.retry_reason is None:
            raise RolledBackError(
                f"revision {revision} was rolled back by {known.id}: {known.sentence}. It does not "
                "come back by itself; give --retry with --reason to try it again"
            )
        if known.phase is Phase.SUCCEEDED and reading.weight == known.weight:
            return _same(known, request, revision)
        return None
    return None


def _same(known: Rollout, request: Request, revision: str) -> Rollout:
    if known.revision != revision:
        raise UsageError(
            f"{known.id} is {known.phase} with revision {known.revision}; roll it back or let it "
            f"finish before {revision} is started"
        )
    if known.digest != request.policy.digest() and known.final:
        raise UsageError(
            f"{known.id} brought revision {revision} to {known.weight} % with another version of "
            "the policy, so there is nothing to start. Roll it back and start again with --retry"
        )
    if known.digest != request.policy.digest():
        raise UsageError(
            f"{known.id} runs revision {revision} with another version of the policy; a running "
            "rollout keeps the policy it started with. Roll it back and start again with --retry"
        )
    return known


def preflight(
    runner: Runner,
    policy: Policy,
    reading: Reading,
    obstacles: Sequence[Obstacle],
    now: datetime,
) -> Preflight:
    """Return what stands in the way of a start. Reads metrics; writes nothing."""
    refusals = [*_weight_refusals(runner, reading), *(one.text for one in obstacles if one.fatal)]
    warnings = [one.text for one in obstacles if not one.fatal]
    baselines: dict[str, FrozenValue] = {}
    try:
        for want in wanted(policy, now):
            value = frozen_value(
                want, runner.looking.metrics.read((want.value, want.samples), want.span)
            )
            problem = _baseline_problem(want, value) or _overlap(runner, reading, want)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[want.criterion] = value
        refusals.extend(_failing_already(runner, policy, now))
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, tuple(refusals), tuple(warnings), baselines)


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


def _baseline_problem(want: Wanted, value: FrozenValue | None) -> str | None:
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
        if over and begin.timestamp() < want.span.end:
            until = clock_text(end) if end else "now"
            return (
                f"{want.text}: its window overlaps {rollout_id}, which had weight above 0 from "
                f"{clock_text(begin)} to {until}; name a window with `from` and `to`, or a known "
                "value: baseline: {fixed: ...}"
            )
    return None


def _failing_already(runner: Runner, policy: Policy, now: datetime) -> list[str]:
    """Return a line for each criterion that fails now: a start could only roll back."""
    gate = {
        name: criterion
        for name, criterion in policy.criteria.items()
        if isinstance(criterion, SuccessRate | Threshold)
    }
    if not gate:
        return []
    queries = queries_for(policy, gate)
    closed = floor_to(now - policy.settle, 60)
    begin = closed - int(LOOK_BACK.total_seconds())
    series = runner.looking.metrics.read(queries.values(), aligned(queries, begin, closed))
    evidence = Evidence(
        policy=policy,
        gate=gate,
        series={key: series[query] for key, query in queries.items()},
        tallies={},
        start=begin,
        closed=closed,
        open_end=closed,
        bake_over=True,
        weight=0,
        baselines={},
    )
    return [
        f"fails already, before any traffic moved: {one.sentence}"
        for one in judge(evidence)
        if one.verdict is Verdict.FAIL
    ]
