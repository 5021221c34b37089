"""What becomes known of a process with each of its steps, in the words of the invariants."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from controller.errors import RolloutError
from tests.chaos import event_log
from tests.chaos.process import PEOPLE, Crossing
from tests.exhaustive.actors import Heard
from tests.exhaustive.path_so_far import Told
from tests.exhaustive.programs import Answer, Program, Standing
from tests.exhaustive.shared_changes import changes, failing
from tests.exhaustive.small_world import Shared, SmallWorld

Quiet: TypeAlias = tuple[Told, ...]
"""What is told with the next happening of a process that others could see, or at its end."""

_NO_PROCESS: Final = frozenset({event_log.PERSON, event_log.DEPLOY, event_log.TIME})


class Step(NamedTuple):
    """One step of a process: its answer, what is shared after it, what others could see of it.

    quiet: what they could not.
    """

    answer: Answer
    after: Shared
    seen: Quiet
    quiet: Quiet


def began(program: Program, now: datetime) -> list[Told]:
    """Tell that a process has begun, and on whose behalf."""
    if program.kind in _NO_PROCESS:
        return []
    name = program.name
    told: list[Told] = [(f"{name} began {now}", event_log.Began(now, name))]
    if program.verb:
        told.append((f"{name} asked", event_log.Asked(now, name, program.verb)))
    return told


def stepped(
    world: SmallWorld,
    program: Program,
    crossing: Crossing,
    before: Shared,
    after: Shared,
    answer: Answer,
) -> Step:
    """Tell of one step that has led from one situation to another; the cloud stands there now."""
    name, operation = program.name, crossing.operation
    seen = [*changes(before, after, name, operation, world.policy.target)]
    if crossing.service == "cloudwatch" and not answer.failed:
        seen += failing(world, after, name)
    return Step(answer, after, tuple(seen), _quiet(program, crossing, after, answer))


def _quiet(program: Program, crossing: Crossing, after: Shared, answer: Answer) -> Quiet:
    now, name = after.now, program.name
    if crossing.service == "lambda":
        sound = not answer.failed and after.sky.status != "Failed"
        words = f"{name} {crossing.operation} {sound} {now}"
        return ((words, event_log.Answered(now, name, crossing.operation, sound)),)
    if crossing.service == PEOPLE and isinstance(answer.value, Heard):
        words = f"{name} told {answer.value.notice} {now}"
        return ((words, event_log.Told(now, name, *answer.value)),)
    return ()


def ended(program: Program, now: datetime, quiet: Quiet, there: Standing | None) -> list[Told]:
    """Tell that a process has ended where it stands; None: it is gone."""
    if program.kind in _NO_PROCESS:
        return list(quiet)
    status = None if there is None else _status(there.outcome)
    words = f"{program.name} ended {status} {now}"
    return [*quiet, (words, event_log.Ended(now, program.name, status))]


def _status(outcome: object) -> int:
    return int(outcome.exit_status) if isinstance(outcome, RolloutError) else 0


def unexpected(there: Standing) -> Sequence[str]:
    """Return what is wrong with how a process has ended by itself."""
    outcome = there.outcome
    surprising = isinstance(outcome, Exception) and not isinstance(outcome, RolloutError)
    return [f"a process ended with {outcome!r}"] if surprising else []
