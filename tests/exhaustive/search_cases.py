"""The small worlds: actors and start states. Every schedule of each world is explored."""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from controller.engine import time_limits
from controller.immutable import Immutable
from tests.exhaustive import actors
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search import Search, SearchResult
from tests.exhaustive.search_setup import SearchSetup
from tests.exhaustive.start_states import JUST_STARTED, Gate, Shows, StartState, open_start_state
from tests.support.core import ALLOWED_PHASES, Paused, Verb

TWO_TICKS: Final = "two ticks"
A_TICK_AND: Final = "a tick and "

# A command that waits for the lease of a tick tries twice, and not 120 times, until it expires.
LEASE_RETRY_INTERVAL: Final = timedelta(seconds=61)

EXTERNAL_CHANGES: Final[Mapping[str, actors.Actor]] = {
    "a person sets 50%": lambda world: actors.manual_weight(world, 50),
    "a person sets 5%": lambda world: actors.manual_weight(world, 5),
    "a person sets 10%": lambda world: actors.manual_weight(world, 10),
    "a person sets 100%": lambda world: actors.manual_weight(world, 100),
    "a person sets 0%": lambda world: actors.manual_weight(world, 0),
    "a deployment": actors.deployment,
}
BARE: Final[Mapping[str, actors.Actor]] = {"a bare rollback": actors.bare_rollback}
ROLLBACK: Final[Mapping[str, actors.Actor]] = {
    "a rollback": lambda world: actors.operator_command(world, Verb.ROLLBACK)
}
COMMANDS: Final[Mapping[Verb, Mapping[str, actors.Actor]]] = {
    Verb.PAUSE: {"a pause": lambda world: actors.operator_command(world, Verb.PAUSE)},
    Verb.RESUME: {
        "a resume": lambda world: actors.operator_command(world, Verb.RESUME),
        "a resume --keep": lambda world: actors.operator_command(world, Verb.RESUME, "keep"),
        "a resume --restore": lambda world: actors.operator_command(world, Verb.RESUME, "restore"),
    },
    Verb.PROMOTE: {"a promotion": lambda world: actors.operator_command(world, Verb.PROMOTE)},
    Verb.SET_WEIGHT: {
        "a person sets 50% by force": lambda world: actors.forced_set_weight(world, 50)
    },
}
# Beside these actors, one of the two may crash.
CRASHING: Final = frozenset({*EXTERNAL_CHANGES, *COMMANDS[Verb.SET_WEIGHT]})

# Slow updates matter only to actors that meet one in flight.
SLOW_EXTERNAL_CHANGES: Final = ("a person sets 100%", "a person sets 0%", "a deployment")


class SearchCase(Immutable):
    """The actors of a small world, and how many of them may crash."""

    actors: Sequence[ReplayableProcess]
    crashes: int = 1


def world_names(start: StartState, *, slow: bool) -> Sequence[str]:
    """Return the names of all worlds that begin at `start`; none when it is not explored slowly."""
    if slow and not _is_slow(start):
        return []
    return [TWO_TICKS, *(f"{A_TICK_AND}{name}" for name in _other_actors(start, slow=slow))]


def cases_of(
    setup: SearchSetup, start: StartState, *, slow: bool
) -> Iterator[tuple[str, SearchCase]]:
    """Yield all worlds that begin in the state of `setup`, by name."""
    if slow and not _is_slow(start):
        return
    first, second = setup.tick_program("tick 1"), setup.tick_program("tick 2")
    time = [] if slow else [actors.time_advance(setup.world)]
    yield TWO_TICKS, SearchCase([first, second, *time])
    for name, actor in _other_actors(start, slow=slow).items():
        crashes = 1 if name in CRASHING else 0
        yield f"{A_TICK_AND}{name}", SearchCase([first, actor(setup.world)], crashes)


def _is_slow(start: StartState) -> bool:
    """Tell whether slow updates are explored: where something may be written meanwhile."""
    is_idle = start.state is Paused and start.shows is not Shows.IN_FLIGHT
    return not (is_idle or start.frozen or _loops(start))


def _loops(start: StartState) -> bool:
    """Tell whether a tick waits for an update in flight, to lower the weight after it.

    Beside a second such loop, there would be too many schedules.
    """
    return start.shows is Shows.IN_FLIGHT and start.gate is Gate.FAILS


def _other_actors(start: StartState, *, slow: bool) -> Mapping[str, actors.Actor]:
    if slow:
        changes = {name: EXTERNAL_CHANGES[name] for name in SLOW_EXTERNAL_CHANGES}
        in_flight, unwritten = start.shows is Shows.IN_FLIGHT, start.shows is Shows.UNWRITTEN
        bare = BARE if in_flight or unwritten else {}
        rollback = ROLLBACK if in_flight or start == JUST_STARTED else {}
        return {**changes, **bare, **rollback}
    lowers = {} if _loops(start) else {**BARE, **ROLLBACK}
    verbs = [command for command in COMMANDS if start.phase in ALLOWED_PHASES[command]]
    commands = {name: act for verb in verbs for name, act in COMMANDS[verb].items()}
    return {**EXTERNAL_CHANGES, **lowers, **commands}


def explore(
    folder: Path, start: StartState, *, slow: bool, names: Collection[str]
) -> Iterator[tuple[str, SearchResult]]:
    """Yield the name and the search result of each of the worlds `names` that begin at `start`."""
    with fast_search(), open_start_state(folder, start, slow=slow) as setup:
        for name, world in cases_of(setup, start, slow=slow):
            if name in names:
                yield name, Search(setup, world.actors, world.crashes).run()


@contextmanager
def fast_search() -> Iterator[None]:
    """Speed a search up: no logs, few waits for leases, no garbage collection."""
    retry_interval, gc_enabled = time_limits.LEASE_RETRY_INTERVAL, gc.isenabled()
    structlog.configure(processors=[_drop_event], cache_logger_on_first_use=False)
    time_limits.LEASE_RETRY_INTERVAL = LEASE_RETRY_INTERVAL
    gc.disable()
    try:
        yield
    finally:
        time_limits.LEASE_RETRY_INTERVAL = retry_interval
        structlog.reset_defaults()
        if gc_enabled:
            gc.enable()


def _drop_event(*_: object) -> structlog.types.EventDict:
    raise structlog.DropEvent
