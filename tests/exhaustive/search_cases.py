"""The small worlds: actors and start states. Every schedule of each world is explored."""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from controller.core.commands import Verb
from controller.engine import limits
from tests.exhaustive import actors
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search import Search, SearchResult
from tests.exhaustive.search_setup import SearchSetup
from tests.exhaustive.start_states import FAILS_IN_A_FREEZE, open_start_state

TWO_TICKS: Final = "two ticks"
A_TICK_AND: Final = "a tick and "

# A command that waits for the lease of a tick tries twice, and not 120 times, until it expires.
LEASE_RETRY_INTERVAL: Final = timedelta(seconds=61)

EXTERNAL_CHANGES: Final[Mapping[str, actors.Actor]] = {
    "a person sets 50 %": lambda world: actors.manual_weight(world, 50),
    "a person sets 5 %": lambda world: actors.manual_weight(world, 5),
    "a person sets 10 %": lambda world: actors.manual_weight(world, 10),
    "a person sets 100 %": lambda world: actors.manual_weight(world, 100),
    "a person sets 0 %": lambda world: actors.manual_weight(world, 0),
    "a deployment": actors.deployment,
}
BARE: Final[Mapping[str, actors.Actor]] = {"a bare rollback": actors.bare_rollback}
PAUSE: Final[Mapping[str, actors.Actor]] = {
    "a pause": lambda world: actors.operator_command(world, Verb.PAUSE)
}
ROLLBACK: Final[Mapping[str, actors.Actor]] = {
    "a rollback": lambda world: actors.operator_command(world, Verb.ROLLBACK)
}
RESUME: Final[Mapping[str, actors.Actor]] = {
    "a resume": lambda world: actors.operator_command(world, Verb.RESUME)
}
PROMOTE: Final[Mapping[str, actors.Actor]] = {
    "a promotion": lambda world: actors.operator_command(world, Verb.PROMOTE)
}
RESUME_OPTIONS: Final[Mapping[str, actors.Actor]] = {
    "a resume --keep": lambda world: actors.operator_command(world, Verb.RESUME, "keep"),
    "a resume --restore": lambda world: actors.operator_command(world, Verb.RESUME, "restore"),
}
# Operator commands besides a pause and a rollback, by start state.
EXTRA_COMMANDS: Final[Mapping[str, Mapping[str, actors.Actor]]] = {
    "a pass due": PROMOTE,
    "the hold over": PROMOTE,
    "paused": RESUME,
    "drifted": RESUME_OPTIONS,
}
FORCED_WEIGHT: Final[Mapping[str, actors.Actor]] = {
    "a person sets 50 % by force": lambda world: actors.forced_set_weight(world, 50)
}
# Where a tick raises to the weight that a person is about to set.
FORCED_WEIGHT_STARTS: Final = ("a pass due", "a raise saved, not written")
# Start states that differ from explored ones only in which commands are possible.
COMMAND_ONLY_STARTS: Final[Mapping[str, Mapping[str, actors.Actor]]] = {
    "a fail due in a pause": RESUME
}

# Explored only with instant updates, and without time that passes between calls.
FAST_STARTS: Final = frozenset({*COMMAND_ONLY_STARTS, FAILS_IN_A_FREEZE})

# Slow updates matter only to actors that meet one in flight.
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
    """The actors of a small world, and how many of them may crash."""

    actors: Sequence[ReplayableProcess]
    crashes: int = 1


def world_names(start: str, *, slow: bool) -> Sequence[str]:
    """Return the names of all worlds that begin at `start`; none when it is not explored slowly."""
    if slow and start in FAST_STARTS:
        return []
    pair = [] if start in COMMAND_ONLY_STARTS else [TWO_TICKS]
    return pair + [f"{A_TICK_AND}{name}" for name in _other_actors(start, slow=slow)]


def cases_of(setup: SearchSetup, start: str, *, slow: bool) -> Iterator[tuple[str, SearchCase]]:
    """Yield all worlds that begin in the state of `setup`, by name."""
    if slow and start in FAST_STARTS:
        return
    first, second = setup.tick_program("tick 1"), setup.tick_program("tick 2")
    if start not in COMMAND_ONLY_STARTS:
        pair = (
            [first, second]
            if slow or start in FAST_STARTS
            else [first, second, actors.time_advance(setup.world)]
        )
        yield TWO_TICKS, SearchCase(pair)
    for name, actor in _other_actors(start, slow=slow).items():
        crashes = 1 if name in EXTERNAL_CHANGES or name in FORCED_WEIGHT else 0
        yield f"{A_TICK_AND}{name}", SearchCase([first, actor(setup.world)], crashes)


def _other_actors(start: str, *, slow: bool) -> Mapping[str, actors.Actor]:
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


def explore(
    folder: Path, start: str, *, slow: bool, names: Collection[str] | None = None
) -> Iterator[tuple[str, SearchResult]]:
    """Yield the name and the search result of each world that begins at `start`.

    names: the only worlds that are explored; None: all of them.
    """
    with fast_search(), open_start_state(folder, start, slow=slow) as setup:
        for name, world in cases_of(setup, start, slow=slow):
            if names is None or name in names:
                yield name, Search(setup, world.actors, world.crashes).run()


@contextmanager
def fast_search() -> Iterator[None]:
    """Speed a search up: no logs, few waits for leases, no garbage collection."""
    retry_interval, gc_enabled = limits.LEASE_RETRY_INTERVAL, gc.isenabled()
    structlog.configure(processors=[_drop_event], cache_logger_on_first_use=False)
    limits.LEASE_RETRY_INTERVAL = LEASE_RETRY_INTERVAL
    gc.disable()
    try:
        yield
    finally:
        limits.LEASE_RETRY_INTERVAL = retry_interval
        structlog.reset_defaults()
        if gc_enabled:
            gc.enable()


def _drop_event(*_: object) -> structlog.types.EventDict:
    raise structlog.DropEvent
