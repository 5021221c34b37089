"""What is left when a process is gone, or an answer is lost, at each of its steps outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from controller.core.commands import Verb
from controller.engine.lease import LEASE
from tests.chaos.process import PEOPLE, STORE, Crossing
from tests.exhaustive import actors
from tests.exhaustive.programs import Program
from tests.exhaustive.scene import Scene, Trouble, What
from tests.exhaustive.shared_changes import history, stored
from tests.exhaustive.small_world import SmallWorld
from tests.exhaustive.start_states import standing
from tests.exhaustive.worlds import quickly

# When the next tick comes: the lease of a process that is gone is over by then.
_NEXT: Final = LEASE + timedelta(minutes=1)
_TROUBLES: Final = (What.GONE_BEFORE, What.LOST, What.GONE_AFTER)


def advancing() -> list[list[str]]:
    """Return the table for a tick that goes from 10 to 100 %."""
    return _table("a pass due", actors.tick)


def rolling_back() -> list[list[str]]:
    """Return the table for a tick that goes from 10 to 0 %, because a criterion fails."""
    return _table("a fail due", actors.tick)


def starting() -> list[list[str]]:
    """Return the table for a start."""
    return _table("not started", actors.starting)


def by_hand() -> list[list[str]]:
    """Return the table for a rollback that a person asks for, at 10 %."""
    return _table("just started", lambda world: actors.asking(world, Verb.ROLLBACK))


def _table(start: str, acts: Callable[[SmallWorld], Program]) -> list[list[str]]:
    """Return a row for each step outside, in the order in which they come undisturbed."""
    with _scene(start) as scene:
        steps = list[Crossing]()
        scene.play(acts(scene.world), _noting(steps))
    rows = [[_called(step), *_cells(start, acts, step.number)] for step in steps]
    return [["the call", *(str(trouble) for trouble in _TROUBLES)], *rows]


def _cells(start: str, acts: Callable[[SmallWorld], Program], number: int) -> Iterator[str]:
    for what in _TROUBLES:
        with _scene(start) as scene:
            scene.play(acts(scene.world), _at(number, what))
            left, known = _stands(scene), _kinds(scene)
            scene.passes(_NEXT / timedelta(minutes=1))
            scene.play(actors.tick(scene.world, "the-next"))
            does = ", ".join(f"`{kind}`" for kind in _kinds(scene)[len(known) :]) or "nothing"
            yield f"{left} → {does}: {_stands(scene)}"


@contextmanager
def _scene(start: str) -> Iterator[Scene]:
    with TemporaryDirectory() as folder, quickly(), standing(Path(folder), start) as scene:
        yield scene


def _noting(steps: list[Crossing]) -> Trouble:
    return lambda _, crossing: steps.append(crossing)


def _at(number: int, what: What) -> Trouble:
    return lambda here, _: what if here == number else None


def _called(step: Crossing) -> str:
    if step.service == PEOPLE:
        return "notify"
    if step.service == STORE:
        return f"store: {step.operation}"
    return f"`{step.operation}`"


def _stands(scene: Scene) -> str:
    """Return the weight that is served, and what is stored of the rollout."""
    shared = scene.world.keep()
    (_, weight), rollouts = shared.sky.weights[-1], stored(shared)
    if not rollouts:
        return f"{weight} %, nothing stored"
    rollout = rollouts[-1]
    asks = "" if rollout.weight == weight else f" (asks for {rollout.weight} %)"
    return f"{weight} %, `{rollout.phase}`{asks}"


def _kinds(scene: Scene) -> list[str]:
    shared = scene.world.keep()
    return [entry.kind for one in stored(shared) for entry in history(shared, one.id)]
