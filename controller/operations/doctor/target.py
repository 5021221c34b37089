"""Whether the target can be read, says one weight, and is what callers reach."""

from collections.abc import Iterable, Iterator, Sequence

from controller.core.checks import Check, fail, ok, warn
from controller.core.observation import TargetReading, UpdateStatus


def reading_check(reading: TargetReading) -> Check:
    """Return whether the target shows one weight that is in force."""
    if reading.weight is None:
        return fail(
            "target",
            f"its variables contradict each other: {reading.shown}",
            "set both to one weight: rolloutctl set-weight POLICY 1..100, or rolloutctl rollback "
            "POLICY for 0 %",
        )
    detail = f": {reading.detail}" if reading.detail else ""
    text = f"{reading.weight} % ({reading.shown})"
    match reading.update:
        case UpdateStatus.SUCCESSFUL:
            return ok("target", f"{text} is in force")
        case UpdateStatus.IN_PROGRESS:
            return warn("target", f"{text}, and an update is under way{detail}", "run again")
        case UpdateStatus.FAILED:
            return fail(
                "target", f"{text}, and the last update failed{detail}",
                "mend what it says, and update the function once more",
            )  # fmt: skip


def names_checks(warnings: Iterable[str]) -> Iterator[Check]:
    """Yield a check for each reason why these may be the wrong variables."""
    for doubt in warnings:
        yield warn("variables", doubt, "fine before the first start; else correct the policy")


def reach_checks(obstacles: Sequence[tuple[bool, str]]) -> list[Check]:
    """Return whether callers see a change of the target.

    obstacles: whether it certainly keeps them from it, and what it is.
    """
    if not obstacles:
        return [ok("reach", "callers see a change at once: no version or alias is in between")]
    return [
        fail("reach", text, "this traffic cannot be moved by variables of $LATEST")
        if certain
        else warn("reach", text)
        for certain, text in obstacles
    ]
