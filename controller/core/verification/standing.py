"""The live configuration beside what a rollout says: its weight, its variables, who is reached."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from controller.core.checks import Check, Level, Obstacle, fail, ok, unread, warn
from controller.core.findings import Verdict
from controller.core.observation import Reading, Unreadable, Update
from controller.core.policy import LambdaEnv, Policy
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text

VARIABLES, BOOLEAN, UPDATE = "variables", "boolean", "update"
_BY_HAND: Final = "look who changed it (history of the rollout, CloudTrail)"
_ROLLOUT, _REACH, _DRAIN = "rollout", "reach", "drain"


def of_rollout(policy: Policy, rollout: Rollout | None, *, from_file: bool) -> Check:
    """Return whether there is a rollout to compare with, and whether it follows this policy.

    from_file: `policy` was read from a file, and not from the rollout.
    """
    if rollout is None:
        return ok(_ROLLOUT, "there is none, so nothing says which weight there should be")
    seen = f"{rollout.id} is {rollout.phase} and asks for {rollout.weight} %"
    if rollout.name != policy.name:
        return warn(_ROLLOUT, f"{seen}; it owns the target, and is not of {policy.name}")
    if from_file and rollout.digest != policy.digest():
        remedy = "the next revision takes the file; verify the rollout by its name"
        return warn(_ROLLOUT, f"{seen}, by another version of this policy", remedy)
    return ok(_ROLLOUT, seen)


def of_target(
    policy: Policy, rollout: Rollout | None, target: Reading | Unreadable, now: datetime
) -> Iterator[Check]:
    """Yield what the variables and the last update of the target say."""
    if isinstance(target, Unreadable):
        yield _unreadable(target)
        return
    yield _variables(rollout, target, now)
    yield from _boolean(policy.target, target)
    yield _update(target)


def _unreadable(target: Unreadable) -> Check:
    if target.hopeless:
        remedy = "until then nothing can be rolled back here"
        return fail(VARIABLES, target.reason, remedy)
    return unread(VARIABLES, target.reason)


def _variables(rollout: Rollout | None, target: Reading, now: datetime) -> Check:
    live = "no weight that anybody knows" if target.weight is None else f"{target.weight} %"
    seen = f"{live} is live ({target.shown})"
    if rollout is None:
        return ok(VARIABLES, seen)
    if target.weight == rollout.weight:
        return ok(VARIABLES, f"{seen}, as {rollout.id} asks")
    level, why, remedy = _differs(rollout, target, now)
    return Check(VARIABLES, level, f"{seen} where {rollout.id} {why}", remedy)


def _differs(rollout: Rollout, target: Reading, now: datetime) -> tuple[Level, str, str]:
    """Return how bad another weight than the rollout's is, what it means, and what to do."""
    asks = f"asks for {rollout.weight} %"
    tick = f"let it tick, and look: rolloutctl status {rollout.id}"
    match rollout.phase:
        case Phase.PROGRESSING if rollout.in_flight and target.weight == rollout.intent.previous:
            return Level.WARN, f"{asks}, which is on its way", tick
        case Phase.ROLLING_BACK:
            return Level.FAIL, "rolls back to 0 %", f"rolloutctl rollback {rollout.id}"
        case Phase.PAUSED if target.weight == rollout.seen_weight:
            remedy = f"rolloutctl resume {rollout.id} with --keep or --restore"
            return Level.WARN, f"is paused over it ({rollout.sentence})", remedy
        case Phase.ROLLED_BACK | Phase.SUCCEEDED if not _watched(rollout, now):
            return Level.WARN, f"ended at {rollout.weight} % and watches no more", _BY_HAND
        case Phase.ROLLED_BACK:
            remedy = f"rolloutctl rollback {rollout.id}; {_BY_HAND}"
            return Level.FAIL, "was rolled back to 0 %", remedy
        case _:
            return Level.FAIL, asks, f"{_BY_HAND}; {tick}"


def _watched(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now < rollout.watch_until


def _boolean(names: LambdaEnv, target: Reading) -> Iterator[Check]:
    if names.boolean is None:
        return
    if target.weight is None:
        remedy = "rolloutctl set-weight writes both as one, and rolloutctl rollback 0 and false"
        yield fail(BOOLEAN, f"the variables contradict each other: {target.shown}", remedy)
    else:
        said = "true" if target.weight == 100 else "not true"
        yield ok(BOOLEAN, f"{names.boolean} is {said}, which fits {target.weight} %")


def _update(target: Reading) -> Check:
    detail = f": {target.detail}" if target.detail else ""
    match target.update:
        case Update.SUCCESSFUL:
            return ok(UPDATE, "the last update of the target is in force")
        case Update.IN_PROGRESS:
            seen = f"an update is in progress{detail}"
            return warn(UPDATE, seen, "what is shown is not in force yet; look again in a minute")
        case Update.FAILED:
            remedy = "what is shown may not be in force; write it again, or roll back"
            return fail(UPDATE, f"the last update failed{detail}", remedy)


def of_reach(obstacles: Sequence[Obstacle]) -> Iterator[Check]:
    """Yield what keeps a change of the target from its callers."""
    if not obstacles:
        yield ok(_REACH, "no alias and no published version keeps a change from callers")
    for one in obstacles:
        if one.fatal:
            yield fail(_REACH, one.text, "no weight reaches them; let callers use $LATEST")
        else:
            yield (unread if one.unread else warn)(_REACH, one.text)


def of_drain(rollout: Rollout | None, now: datetime) -> Iterator[Check]:
    """Yield whether requests left the canary after a rollback."""
    if rollout is None or rollout.phase is not Phase.ROLLED_BACK or not rollout.intent.previous:
        return
    drain = rollout.drain
    if drain is None:
        yield _unknown_drain(rollout, now)
        return
    seen = drain.sentence.removeprefix(f"{_DRAIN} ").rstrip(".")
    match drain.verdict:
        case Verdict.PASS:
            yield ok(_DRAIN, seen)
        case Verdict.FAIL:
            yield fail(_DRAIN, seen, "find the caller that still takes the canary")
        case Verdict.INCONCLUSIVE:
            yield warn(_DRAIN, seen, "the shares below are what there is")


def _unknown_drain(rollout: Rollout, now: datetime) -> Check:
    until = rollout.watch_until
    if until is not None and now < until:
        seen = f"not known yet; ticks look until {clock_text(until)}"
        return warn(_DRAIN, seen, "let it tick")
    return warn(
        _DRAIN, "nothing ticked while it could be seen", "the shares below are what there is"
    )
