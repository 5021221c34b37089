"""Checks of the target: its weight, its names, and whether callers reach it."""

from collections.abc import Iterable, Iterator, Sequence

from controller.core.observation import TargetReading, UpdateStatus
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.target import Obstacle


def reading_check(reading: TargetReading, *, starting: bool = False) -> Check:
    """Return the check that the target shows one weight, and that it is applied.

    starting: a rollout starts now, so an update in progress fails.
    """
    if reading.weight is None:
        return fail(
            "target",
            f"no clear weight is live: {reading.variables}",
            "set one weight: rolloutctl set-weight POLICY 1..100; rolloutctl rollback POLICY: 0 %",
        )
    detail = f": {reading.detail}" if reading.detail else ""
    text = f"{reading.weight} % ({reading.variables})"
    match reading.update:
        case UpdateStatus.SUCCESSFUL:
            return ok("target", f"{text} is applied")
        case UpdateStatus.IN_PROGRESS:
            level = fail if starting else warn
            return level("target", f"{text}, and an update is in progress{detail}", "run again")
        case UpdateStatus.FAILED:
            return fail(
                "target", f"{text}, and the last update failed{detail}",
                "fix the cause, and update it again",
            )  # fmt: skip


def names_checks(warnings: Iterable[str]) -> Iterator[Check]:
    """Yield a check for each warning that a setting may be the wrong one."""
    for warning in warnings:
        yield warn("names", warning, "fine before the first start; else correct the policy")


def reach_checks(obstacles: Sequence[Obstacle]) -> list[Check]:
    """Return a check for each obstacle between callers and a change of the target."""
    if not obstacles:
        return [ok("reach", "nothing between callers and the target delays a change")]
    return [
        fail("reach", one.text, one.remedy) if one.fatal else warn("reach", one.text)
        for one in obstacles
    ]
