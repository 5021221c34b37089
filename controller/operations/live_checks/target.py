"""Checks of the target: weight, last update, names, whether callers reach it, cold starts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.series import query
from controller.core.observation import (
    MetricQuery,
    Span,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
)
from controller.core.policy import Policy
from controller.core.policy.targets import PaidReads
from controller.core.units import count_text, floor_to, format_duration
from controller.errors import MetricsError, TargetError
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.metrics import MetricSource
from controller.ports.store import Exposure, Exposures
from controller.ports.target import InspectableTarget, Obstacle, unreadable

# Names of the checks.
WEIGHT: Final = "weight"
UPDATE: Final = "update"
_NAMES, _REACH = "names", "reach"

SET_ONE_WEIGHT: Final = (
    "set one weight: rolloutctl set-weight POLICY 1..100; rolloutctl rollback POLICY: 0%"
)


def read_target(target: InspectableTarget) -> TargetReading | UnreadableTarget:
    """Return the state of the target, or why it cannot be read."""
    try:
        return target.read()
    except TargetError as error:
        return unreadable(error)


def exposures_of(
    exposures: Exposures, policy: Policy, reading: TargetReading
) -> Sequence[Exposure]:
    """Return when rollouts had a weight above 0 on this target. Raises StoreError."""
    return exposures.exposures(reading.identity, policy.target.locks(reading.identity))


# --- Weight and update ----------------------------------------------------------------------------


def unreadable_check(target: UnreadableTarget, level: Callable[[str, str, str], Check]) -> Check:
    """Return the check of a target that cannot be read.

    level: of one that may be readable later.
    """
    if target.permanent:
        return fail(WEIGHT, target.reason, "until then no rollback is possible here")
    return level(WEIGHT, target.reason, "no weight can be set until it can be read")


def weight_text(reading: TargetReading) -> str:
    """Return which weight is live: `10% is live (PERCENTAGE=10)`."""
    weight = "no clear weight" if reading.weight is None else f"{reading.weight}%"
    return f"{weight} is live ({reading.variables})"


def weight_check(reading: TargetReading) -> Check:
    """Return the check that the target shows one weight."""
    if reading.weight is None:
        return fail(WEIGHT, weight_text(reading), SET_ONE_WEIGHT)
    return ok(WEIGHT, weight_text(reading))


def update_check(reading: TargetReading, *, starting: bool = False) -> Check:
    """Return the check that the last update of the target is applied.

    starting: a rollout starts now, so an update in progress fails.
    """
    suffix = f": {reading.detail}" if reading.detail else ""
    match reading.update:
        case UpdateStatus.SUCCESSFUL:
            return ok(UPDATE, "the last update of the target is applied")
        case UpdateStatus.IN_PROGRESS:
            level = fail if starting else warn
            remedy = "the values shown are not applied yet; run again in a minute"
            return level(UPDATE, f"an update is in progress{suffix}", remedy)
        case UpdateStatus.FAILED:
            remedy = "fix the cause, and update it again; the values shown may not be applied"
            return fail(UPDATE, f"the last update failed{suffix}", remedy)


# --- Names and reach ------------------------------------------------------------------------------


def names_checks(target: InspectableTarget) -> Iterator[Check]:
    """Yield a check for each warning that a setting may be the wrong one."""
    try:
        for warning in target.name_warnings():
            yield warn(_NAMES, warning.text, "fine before the first start; else correct the policy")
    except TargetError as error:
        yield warn(_NAMES, f"not checked: {error}")


def reach_checks(
    obstacles: Sequence[Obstacle], unread: Callable[[str, str], Check] = warn
) -> Iterator[Check]:
    """Yield a check for each obstacle between callers and a change of the target.

    unread: the level of an obstacle that could not be looked for.
    """
    if not obstacles:
        yield ok(_REACH, "nothing between callers and the target delays a change")
    for obstacle in obstacles:
        if obstacle.fatal:
            yield fail(_REACH, obstacle.text, obstacle.remedy)
        else:
            yield (unread if obstacle.unread else warn)(_REACH, obstacle.text)


# --- Cold starts ----------------------------------------------------------------------------------

_DAY: Final = timedelta(days=1)
_PERIOD_S: Final = 300


def cold_start_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a warning where each change of the weight makes both paths cold; else what it does.

    Nothing is yielded for a target whose changes make nothing cold.
    """
    cold = policy.target.cold_starts
    if cold is None:
        return
    changes = count_text(len(policy.steps), "change")
    if cold.concurrency is None:
        yield ok("cold starts", f"{cold.text}: {changes} in this rollout")
        return
    most = _most_at_once(source, query(cold.concurrency, "Maximum", _PERIOD_S), now)
    number = f"up to {most:,} each time" if most else "no metric counts the cold starts"
    yield warn(
        "cold starts", f"{cold.text}: {changes} in this rollout, one more for a rollback; {number}"
    )


def paid_reads_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield how often applications read the weight, and what that costs; nothing where it is free.

    An environment that is new reads once more, and brings the weight once more.
    """
    reads = policy.target.paid_reads
    if reads is None:
        return
    most = 0
    if reads.environments is not None:
        most = _most_at_once(source, query(reads.environments, "Maximum", _PERIOD_S), now)
    yield ok("reads", paid_reads_text(reads, most))


def paid_reads_text(reads: PaidReads, most: int = 0) -> str:
    """Return how often the weight is read, and for how much. most: environments; 0: unknown."""
    number = most or 1
    who = f"up to {count_text(most, 'environment')}" if most else "for each environment"
    rate = number / reads.every.total_seconds()
    a_day = rate * _DAY.total_seconds() * reads.read_usd
    return (
        f"{who} of the application: every {format_duration(reads.every)}, {rate:.2g} a second, "
        f"${a_day:.2g} a day, and ${number * reads.change_usd:.2g} at each change"
    )


def _most_at_once(source: MetricSource, concurrency: MetricQuery, now: datetime) -> int:
    """Return how many environments were busy at once in the last day; 0: unknown."""
    end = floor_to(now, _PERIOD_S)
    try:
        series = source.read([concurrency], Span(end - int(_DAY.total_seconds()), end))
    except MetricsError:  # the checks of the policy's metrics report it
        return 0
    return round(max(series[concurrency].points.values(), default=0))
