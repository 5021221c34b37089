"""The small worlds: who acts, from which stored state. All ways through each of them are gone."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from controller.core.commands import Verb
from controller.engine import lease
from tests.exhaustive import actors as cast
from tests.exhaustive.programs import Program
from tests.exhaustive.scene import Scene
from tests.exhaustive.search import Found, Search
from tests.exhaustive.start_states import FAILS_IN_A_FREEZE, standing

# A person who waits for a tick asks twice then, and not 120 times, until its lease is over.
ASK_EVERY: Final = timedelta(seconds=61)

HANDS: Final[Mapping[str, cast.Actor]] = {
    "a person sets 50 %": lambda world: cast.sets(world, 50),
    "a person sets 5 %": lambda world: cast.sets(world, 5),
    "a person sets 10 %": lambda world: cast.sets(world, 10),
    "a person sets 100 %": lambda world: cast.sets(world, 100),
    "a person sets 0 %": lambda world: cast.sets(world, 0),
    "a deployment": cast.deploys,
}
BARE: Final[Mapping[str, cast.Actor]] = {"a bare rollback": cast.bare_rollback}
PAUSE: Final[Mapping[str, cast.Actor]] = {"a pause": lambda world: cast.asking(world, Verb.PAUSE)}
ROLLBACK: Final[Mapping[str, cast.Actor]] = {
    "a rollback": lambda world: cast.asking(world, Verb.ROLLBACK)
}
RESUME: Final[Mapping[str, cast.Actor]] = {
    "a resume": lambda world: cast.asking(world, Verb.RESUME)
}
PROMOTE: Final[Mapping[str, cast.Actor]] = {
    "a promotion": lambda world: cast.asking(world, Verb.PROMOTE)
}
WAYS: Final[Mapping[str, cast.Actor]] = {
    "a resume --keep": lambda world: cast.asking(world, Verb.RESUME, "keep"),
    "a resume --restore": lambda world: cast.asking(world, Verb.RESUME, "restore"),
}
# Beside two ticks, all hands, a pause and a rollback: what else people may ask there.
MORE: Final[Mapping[str, Mapping[str, cast.Actor]]] = {
    "a pass due": PROMOTE,
    "the hold over": PROMOTE,
    "paused": RESUME,
    "drifted": WAYS,
}
FORCE: Final[Mapping[str, cast.Actor]] = {
    "a person sets 50 % by force": lambda world: cast.forcing(world, 50)
}
# Where a tick raises what a person is about to set.
FORCED: Final = ("a pass due", "a raise saved, not written")
# What differs from worlds that are gone through already only in what people ask.
ONLY: Final[Mapping[str, Mapping[str, cast.Actor]]] = {"a fail due in a pause": RESUME}

# Gone through where updates are over at once alone, and no time passes between the steps.
QUICK: Final = frozenset({*ONLY, FAILS_IN_A_FREEZE})

# Slow updates concern those that meet one on its way.
SLOW_HANDS: Final = ("a person sets 100 %", "a person sets 0 %", "a deployment")
SLOW_BARE: Final = (
    "the first raise in flight",
    "a raise saved, not written",
    "a raise in flight",
    "rolling back",
)
SLOW_ROLLBACKS: Final = ("just started", "the first raise in flight", "a raise in flight")


@dataclass(frozen=True, slots=True)
class World:
    """Who acts in it, and how many of them may be gone at some point."""

    actors: Sequence[Program]
    crashes: int = 1


def worlds(scene: Scene, start: str, *, slow: bool) -> Iterator[tuple[str, World]]:
    """Yield all worlds that begin where `scene` stands, by what happens in them."""
    if slow and start in QUICK:
        return
    first, second = scene.tick_called("tick 1"), scene.tick_called("tick 2")
    if start not in ONLY:
        pair = (
            [first, second] if slow or start in QUICK else [first, second, cast.time(scene.world)]
        )
        yield "two ticks", World(pair)
    for name, actor in _others(start, slow=slow).items():
        crashes = 1 if name in HANDS or name in FORCE else 0
        yield f"a tick and {name}", World([first, actor(scene.world)], crashes)


def _others(start: str, *, slow: bool) -> Mapping[str, cast.Actor]:
    if start in ONLY:
        return ONLY[start]
    if slow:
        bare = BARE if start in SLOW_BARE else {}
        rollback = ROLLBACK if start in SLOW_ROLLBACKS else {}
        return {**{name: HANDS[name] for name in SLOW_HANDS}, **bare, **rollback}
    force = FORCE if start in FORCED else {}
    return {**HANDS, **BARE, **PAUSE, **ROLLBACK, **force, **MORE.get(start, {})}


def explored(folder: Path, start: str, *, slow: bool) -> Iterator[tuple[str, Found]]:
    """Yield what was found in each world that begins at `start`, by its name."""
    with quickly(), standing(folder, start, slow=slow) as scene:
        for name, world in worlds(scene, start, slow=slow):
            yield name, Search(scene, world.actors, world.crashes).run()


@contextmanager
def quickly() -> Iterator[None]:
    """Search without logs, without many small waits, and without looking for what can be freed."""
    known, collects = lease.ASK_EVERY, gc.isenabled()
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)
    lease.ASK_EVERY = ASK_EVERY
    gc.disable()
    try:
        yield
    finally:
        lease.ASK_EVERY = known
        structlog.reset_defaults()
        if collects:
            gc.enable()


def _dropped(*_: object) -> structlog.types.EventDict:
    raise structlog.DropEvent
