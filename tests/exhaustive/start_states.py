"""The stored states from which small worlds begin, each led to by the program itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.core.commands import Verb
from tests.chaos.invariants import Invariants
from tests.exhaustive import actors
from tests.exhaustive.path_so_far import Tale
from tests.exhaustive.scene import Scene, What, at
from tests.exhaustive.shared_changes import forget
from tests.exhaustive.small_account import Canary
from tests.exhaustive.small_world import AT_ONCE, SLOW, SmallWorld
from tests.support.stage import short

UPDATE: Final = "UpdateFunctionConfiguration"
# After the raise is decided, and as long as anything happens.
FREEZE: Final = {"zone": "UTC", "daily": [{"from": "09:06", "to": "11:00"}]}
FAILS_IN_A_FREEZE: Final = "a fail due while a raise waits for the end of a freeze"


def _started(scene: Scene) -> None:
    scene.start()
    scene.passes(1)


def _start_unwritten(scene: Scene) -> None:
    scene.play(actors.starting(scene.world), at(UPDATE, What.GONE_BEFORE))
    scene.passes(3)


def _start_in_flight(scene: Scene) -> None:
    scene.slowly(scene.start)


def _pass_due(scene: Scene) -> None:
    scene.start()
    scene.passes(5)


def _raise_unwritten(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, at(UPDATE, What.GONE_BEFORE))
    scene.passes(3)


def _fails_in_a_freeze(scene: Scene) -> None:
    _raise_unwritten(scene)
    scene.tick(1)
    scene.world.cloud.canary = "sick"
    scene.passes(2)


def _raise_in_flight(scene: Scene) -> None:
    _pass_due(scene)
    scene.slowly(lambda: scene.tick(0))


def _last_pass_due(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0)
    scene.passes(5)


def _hold_over(scene: Scene) -> None:
    scene.start()
    scene.tick(4)
    scene.passes(8)


def _paused(scene: Scene) -> None:
    _pass_due(scene)
    scene.play(actors.asking(scene.world, Verb.PAUSE))


def _drifted(scene: Scene) -> None:
    scene.start()
    scene.play(actors.sets(scene.world, 50))
    scene.tick()


def _lowered_unrecorded(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, at(UPDATE, What.GONE_AFTER))
    scene.passes(3)


def _rolling_back(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, at(UPDATE, What.REFUSED))


def _rolled_back(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0)
    scene.passes(1)


def _adopted(scene: Scene) -> None:
    scene.play(actors.sets(scene.world, 100))
    scene.passes(1)
    scene.start(adopt=True)
    scene.passes(1)


@dataclass(frozen=True, slots=True)
class Start:
    """A stored state, how the canary does in its world, and what leads to it.

    parts: of the policy, where they differ.
    """

    canary: Canary
    lead: Callable[[Scene], None]
    parts: Mapping[str, Any] = field(default_factory=dict)


STARTS: Final[Mapping[str, Start]] = {
    "just started": Start("healthy", _started),
    "the first raise saved, not written": Start("healthy", _start_unwritten),
    "the first raise in flight": Start("healthy", _start_in_flight),
    "a pass due": Start("healthy", _pass_due),
    "a raise saved, not written": Start("healthy", _raise_unwritten),
    FAILS_IN_A_FREEZE: Start("healthy", _fails_in_a_freeze, {"freeze": FREEZE}),
    "a raise in flight": Start("healthy", _raise_in_flight),
    "the last pass due": Start("healthy", _last_pass_due),
    "adopted": Start("healthy", _adopted),
    "paused": Start("healthy", _paused),
    "drifted": Start("healthy", _drifted),
    "the hold over": Start("silent", _hold_over),
    "a fail due": Start("sick", _pass_due),
    "a fail due in a pause": Start("sick", _paused),
    "lowered, not recorded": Start("sick", _lowered_unrecorded),
    "rolling back": Start("sick", _rolling_back),
    "rolled back": Start("sick", _rolled_back),
}


NOTHING: Final = Start("healthy", lambda _: None)


@contextmanager
def standing(folder: Path, name: str, *, slow: bool = False) -> Iterator[Scene]:
    """Yield a world that stands where `name` says. slow: its updates take two seconds."""
    begin = STARTS.get(name, NOTHING)
    world = SmallWorld(folder, short(**begin.parts), begin.canary, SLOW if slow else AT_ONCE)
    try:
        made = Scene(world, Tale(Invariants(world.policy)))
        begin.lead(made)
        yield made
    finally:
        world.close()
        forget()
