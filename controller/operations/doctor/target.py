"""Doctor checks of the target: its weight, its variables, and whether callers reach it."""

from collections.abc import Iterable, Iterator, Sequence

from controller.core.observation import TargetReading, UpdateStatus
from controller.operations.checks import Check, fail, ok, warn


def reading_check(reading: TargetReading) -> Check:
    """Return the check that the target shows one weight, and that it is applied."""
    if reading.weight is None:
        return fail(
            "target",
            f"its variables contradict each other: {reading.variables}",
            "set both to one weight: rolloutctl set-weight POLICY 1..100, or rolloutctl rollback "
            "POLICY for 0 %",
        )
    detail = f": {reading.detail}" if reading.detail else ""
    text = f"{reading.weight} % ({reading.variables})"
    match reading.update:
        case UpdateStatus.SUCCESSFUL:
            return ok("target", f"{text} is applied")
        case UpdateStatus.IN_PROGRESS:
            return warn("target", f"{text}, and an update is in progress{detail}", "run again")
        case UpdateStatus.FAILED:
            return fail(
                "target", f"{text}, and the last update failed{detail}",
                "fix the cause, and update the function again",
            )  # fmt: skip


def names_checks(warnings: Iterable[str]) -> Iterator[Check]:
    """Yield a check for each warning that a variable may be the wrong one."""
    for warning in warnings:
        yield warn("variables", warning, "fine before the first start; else correct the policy")


def reach_checks(obstacles: Sequence[tuple[bool, str]]) -> list[Check]:
    """Return a check for each obstacle between callers and a change of the target.

    obstacles: whether it certainly hides a change from callers, and what it is.
    """
    if not obstacles:
        return [ok("reach", "callers see a change at once: no version or alias in between")]
    return [
        fail("reach", text, "the weight has no effect on these callers; let them use $LATEST")
        if certain
        else warn("reach", text)
        for certain, text in obstacles
    ]
