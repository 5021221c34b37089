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
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search import Search, SearchResult
from tests.exhaustive.search_setup import SearchSetup
from tests.exhaustive.start_states import FAILS_IN_A_FREEZE, open_start_state

# A person who waits for a tick asks twice then, and not 120 times, until its lease is over.
ASK_EVERY: Final = timedelta(seconds=61)

EXTERNAL_CHANGES: Final[Mapping[str, cast.Actor]] = {
    "a person sets 50 %": lambda world: cast.manual_weight(world, 50),
    "a person sets 5 %": lambda world: cast.manual_weight(world, 5),
    "a person sets 10 %": lambda world: cast.manual_weight(world, 10),
    "a person sets 100 %": lambda world: cast.manual_weight(world, 100),
    "a person sets 0 %": lambda world: cast.manual_weight(world, 0),
    "a deployment": cast.deployment,
}
BARE: Final[Mapping[str, cast.Actor]] = {"a bare rollback": cast.bare_rollback}
PAUSE: Final[Mapping[str, cast.Actor]] = {
    "a pause": lambda world: cast.operator_command(world, Verb.PAUSE)
}
ROLLBACK: Final[Mapping[str, cast.Actor]] = {
    "a rollback": lambda world: cast.operator_command(world, Verb.ROLLBACK)
}
RESUME: Final[Mapping[str, cast.Actor]] = {
    "a resume": lambda world: cast.operator_command(world, Verb.RESUME)
}
PROMOTE: Final[Mapping[str, cast.Actor]] = {
    "a promotion": lambda world: cast.operator_command(world, Verb.PROMOTE)
}
RESUME_OPTIONS: Final[Mapping[str, cast.Actor]] = {
    "a resume --keep": lambda world: cast.operator_command(world, Verb.RESUME, "keep"),
    "a resume --restore": lambda world: cast.operator_command(world, Verb.RESUME, "restore"),
}
# Beside two ticks, all hands, a pause and a rollback: what else people may ask there.
EXTRA_COMMANDS: Final[Mapping[str, Mapping[str, cast.Actor]]] = {
    "a pass due": PROMOTE,
    "the hold over": PROMOTE,
    "paused": RESUME,
    "drifted": RESUME_OPTIONS,
}
FORCED_WEIGHT: Final[Mapping[str, cast.Actor]] = {
    "a person sets 50 % by force": lambda world: cast.forced_set_weight(world, 50)
}
# Where a tick raises what a person is about to set.
FORCED_WEIGHT_STARTS: Final = ("a pass due", "a raise saved, not written")
# What differs from worlds that are gone through already only in what people ask.
COMMAND_ONLY_STARTS: Final[Mapping[str, Mapping[str, cast.Actor]]] = {
    "a fail due in a pause": RESUME
}

# Gone through where updates are over at once alone, and no time passes between the steps.
FAST_STARTS: Final = frozenset({*COMMAND_ONLY_STARTS, FAILS_IN_A_FREEZE})

# Slow updates concern those that meet one on its way.
SLOW_EXTERNAL_CHANGES: Final = ("a person sets 100 %", "a person sets 0 %", "a deployment")
SLOW_BARE_STARTS: Final = (
    "the first raise in flight",
    "a raise saved, not written",
    "a raise in flight",
    "rolling back",
)
SLOW_ROLLBACK_STARTS: Final = ("just started", "the first raise in flight", "a raise in flight")


@dataclass(frozen=True, slots=True)
class SearchCase:
    """Who acts in it, and how many of them may be gone at some point."""

    actors: Sequence[ReplayableProcess]
    crashes: int = 1


def cases_of(setup: SearchSetup, start: str, *, slow: bool) -> Iterator[tuple[str, SearchCase]]:
    """Yield all worlds that begin where `setup` stands, by what happens in them."""
    if slow and start in FAST_STARTS:
        return
    first, second = setup.tick_program("tick 1"), setup.tick_program("tick 2")
    if start not in COMMAND_ONLY_STARTS:
        pair = (
            [first, second]
            if slow or start in FAST_STARTS
            else [first, second, cast.time_advance(setup.world)]
        )
        yield "two ticks", SearchCase(pair)
    for name, actor in _other_actors(start, slow=slow).items():
        crashes = 1 if name in EXTERNAL_CHANGES or name in FORCED_WEIGHT else 0
        yield f"a tick and {name}", SearchCase([first, actor(setup.world)], crashes)


def _other_actors(start: str, *, slow: bool) -> Mapping[str, cast.Actor]:
    if start in COMMAND_ONLY_STARTS:
        return COMMAND_ONLY_STARTS[start]
    if slow:
        bare = BARE if start in SLOW_BARE_STARTS else {}
        rollback = ROLLBACK if start in SLOW_ROLLBACK_STARTS else {}
        return {
            **{name: EXTERNAL_CHANGES[name] for name in SLOW_EXTERNAL_CHANGES},
            **bare,
            **rollback,
        }
    force = FORCED_WEIGHT if start in FORCED_WEIGHT_STARTS else {}
    return {
        **EXTERNAL_CHANGES,
        **BARE,
        **PAUSE,
        **ROLLBACK,
        **force,
        **EXTRA_COMMANDS.get(start, {}),
    }


def explore(folder: Path, start: str, *, slow: bool) -> Iterator[tuple[str, SearchResult]]:
    """Yield what was found in each world that begins at `start`, by its name."""
    with fast_search(), open_start_state(folder, start, slow=slow) as scene:
        for name, world in cases_of(scene, start, slow=slow):
            yield name, Search(scene, world.actors, world.crashes).run()


@contextmanager
def fast_search() -> Iterator[None]:
    """Search without logs, without many small waits, and without looking for what can be freed."""
    known, collects = lease.LEASE_RETRY_INTERVAL, gc.isenabled()
    structlog.configure(processors=[_drop_event], cache_logger_on_first_use=False)
    lease.LEASE_RETRY_INTERVAL = ASK_EVERY
    gc.disable()
    try:
        yield
    finally:
        lease.LEASE_RETRY_INTERVAL = known
        structlog.reset_defaults()
        if collects:
            gc.enable()


def _drop_event(*_: object) -> structlog.types.EventDict:
    raise structlog.DropEvent
