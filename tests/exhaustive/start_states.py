"""The start states of small worlds: every type of state, at every position, with what decides.

They are enumerated from the types. Each is made by running the program itself, so that the history
leads to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import product
from pathlib import Path
from types import NoneType
from typing import Final, TypeAlias, get_args, get_type_hints

from controller.immutable import Immutable, replace
from tests.chaos.invariants import Invariants
from tests.exhaustive import actors
from tests.exhaustive.monitor_state import MonitorState
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search_setup import (
    SearchSetup,
    StepFault,
    fault_at,
    no_faults,
)
from tests.exhaustive.small_world import INSTANT_UPDATE, SLOW_UPDATE, SmallWorld
from tests.exhaustive.state_changes import clear_caches
from tests.support.core import (
    Live,
    Paused,
    Pending,
    Phase,
    Progressing,
    RolledBack,
    RollingBack,
    State,
    Succeeded,
    Verb,
)
from tests.support.stage import short_policy

Position: TypeAlias = type[Live] | type[Pending] | type[None]


class Place(StrEnum):
    """The step that is live, or the write that is pending; of a rollback: the one before it."""

    FIRST_STEP = "10% live"
    LAST_STEP = "100% live"
    ADOPTED = "100% adopted"
    FIRST_RAISE = "the first raise"
    LAST_RAISE = "a raise"
    RESTORE = "a restored weight"


class Shows(StrEnum):
    """What the function shows of the last write."""

    IN_FORCE = "in force"
    UNWRITTEN = "not written"
    IN_FLIGHT = "in flight"
    AT_ZERO = "lowered, not recorded"
    MOVED = "moved by hand"


class Gate(StrEnum):
    """What the gate of the live step says next."""

    NONE = "no gate"
    BAKING = "baking"
    PASSES = "a pass due"
    FAILS = "a fail due"
    SILENT = "the hold over"


class StartState(Immutable):
    """A start state. frozen: a freeze blocks its next raise."""

    state: type[State]
    place: Place
    shows: Shows = Shows.IN_FORCE
    gate: Gate = Gate.NONE
    frozen: bool = False

    @property
    def position(self) -> Position:
        """The type of its position."""
        if self.state in (RollingBack, RolledBack):
            return NoneType
        return Pending if self.place in _PENDING else Live

    @property
    def phase(self) -> Phase:
        """The phase of its state."""
        return self.state.phase

    def __str__(self) -> str:
        words = (self.state.__name__, self.place, self.shows, self.gate)
        return ", ".join((*words, "frozen") if self.frozen else words)


JUST_STARTED: Final = StartState(Progressing, Place.FIRST_STEP, gate=Gate.BAKING)
PASS_DUE: Final = replace(JUST_STARTED, gate=Gate.PASSES)
FAIL_DUE: Final = replace(JUST_STARTED, gate=Gate.FAILS)
PAUSED: Final = replace(PASS_DUE, state=Paused)
UNWRITTEN_START: Final = StartState(Progressing, Place.FIRST_RAISE, Shows.UNWRITTEN)
UNWRITTEN_RAISE: Final = replace(UNWRITTEN_START, place=Place.LAST_RAISE, gate=Gate.PASSES)
ROLLED_BACK: Final = StartState(RolledBack, Place.FIRST_STEP)


# --- Enumeration ----------------------------------------------------------------------------------

_STEPS: Final = (Place.FIRST_STEP, Place.LAST_STEP)
_PENDING: Final = (Place.FIRST_RAISE, Place.LAST_RAISE, Place.RESTORE)
_WRITES: Final = (Shows.UNWRITTEN, Shows.IN_FLIGHT, Shows.IN_FORCE)
# By the types of state and position: a new one needs a row.
_CHOICES: Final[Mapping[tuple[type[State], Position], tuple[Sequence[Place], Sequence[Shows]]]] = {
    (Progressing, Live): ((*_STEPS, Place.ADOPTED), (Shows.IN_FORCE, Shows.AT_ZERO)),
    (Progressing, Pending): (_PENDING, _WRITES),
    (Paused, Live): (_STEPS, (Shows.IN_FORCE, Shows.AT_ZERO, Shows.MOVED)),
    (Paused, Pending): (_PENDING, (*_WRITES, Shows.MOVED)),
    (RollingBack, NoneType): ((*_STEPS, *_PENDING), (Shows.UNWRITTEN, Shows.AT_ZERO)),
    (RolledBack, NoneType): ((*_STEPS, *_PENDING), (Shows.IN_FORCE,)),
    (Succeeded, Live): ((Place.LAST_STEP,), (Shows.IN_FORCE,)),
}


def _types() -> Iterator[tuple[type[State], Position]]:
    """Yield each type of state with each type of position that it may have."""
    for state in get_args(State):
        position = get_type_hints(state).get("position", NoneType)
        for one in get_args(position) or (position,):
            yield state, one


def _gates(state: type[State], place: Place, shows: Shows) -> Sequence[Gate]:
    if state not in (Progressing, Paused) or place is Place.FIRST_RAISE:
        return (Gate.NONE,)
    if shows is Shows.AT_ZERO:
        return (Gate.FAILS,)
    if shows is Shows.MOVED:
        return (Gate.PASSES,)
    if place is Place.ADOPTED:
        return (Gate.BAKING,)
    if state is Progressing and place in _STEPS:
        return (Gate.BAKING, Gate.PASSES, Gate.FAILS, Gate.SILENT)
    return (Gate.PASSES, Gate.FAILS)


def _start_states() -> Iterator[StartState]:
    for types in _types():
        state, (places, all_shows) = types[0], _CHOICES[types]
        for place, shows in product(places, all_shows):
            if (place, shows) == (Place.FIRST_RAISE, Shows.MOVED):
                continue  # that is the first step, live
            for gate in _gates(state, place, shows):
                one = StartState(state, place, shows, gate)
                yield one
                if _waits_to_raise(one):
                    yield replace(one, frozen=True)


def _waits_to_raise(one: StartState) -> bool:
    """Tell whether the next tick raises the weight, unless a freeze blocks it."""
    is_raise = one.place in (Place.FIRST_RAISE, Place.LAST_RAISE) and one.shows is Shows.UNWRITTEN
    return one.state is Progressing and (is_raise or one == PASS_DUE)


START_STATES: Final = tuple(_start_states())


# --- The way to a start state ---------------------------------------------------------------------

UPDATE: Final = "UpdateFunctionConfiguration"
# It begins after each raise is decided, outlasts a search, and ends before its calm ticks do.
FREEZE: Final = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:22"}]}


def _write(setup: SearchSetup, program: ReplayableProcess, shows: Shows) -> None:
    """Run `program`, which is over or gone when the function shows this, and no longer leased."""
    if shows is Shows.IN_FLIGHT:
        setup.with_slow_update(lambda: setup.run_process(program))
        return
    crash = StepFault.CRASH_BEFORE if shows is Shows.UNWRITTEN else StepFault.CRASH_AFTER
    setup.run_process(program, fault_at(UPDATE, crash))
    setup.advance_time(3)


def _reach_place(setup: SearchSetup, start: StartState) -> None:
    world, shows = setup.world, _shown_first(start)
    match start.place:
        case Place.FIRST_RAISE:
            _write(setup, actors.policy_start(world), shows)
        case Place.ADOPTED:
            setup.run_process(actors.manual_weight(world, 100))
            setup.advance_time(1)
            setup.start(adopt=True)
        case Place.RESTORE:
            setup.start()
            setup.advance_time(4)
            _move_by_hand(setup)
            _write(setup, actors.operator_command(world, Verb.RESUME, "restore"), shows)
        case Place.FIRST_STEP:
            setup.start()
        case Place.LAST_STEP | Place.LAST_RAISE:
            setup.start()
            setup.advance_time(5)
            if start.place is Place.LAST_STEP:
                setup.tick(0)
            else:
                _write(setup, actors.tick(world, "raise"), shows)


def _shown_first(start: StartState) -> Shows:
    """Return what the function shows of a pending write before what follows."""
    if start.state is RollingBack:
        return Shows.IN_FORCE  # of a first raise that was not written, it would be over
    unwritten = start.state is RolledBack or start.shows is Shows.MOVED
    return Shows.UNWRITTEN if unwritten else start.shows


def _reach_gate(setup: SearchSetup, start: StartState) -> None:
    if start.gate is Gate.SILENT:
        setup.world.cloud.canary = "silent"
        setup.tick(4)
        setup.advance_time(8)
    elif start.place not in _PENDING:
        setup.advance_time(1 if start.gate is Gate.BAKING else 5)
    if start.frozen:
        setup.tick(4)
    if start.gate is Gate.FAILS:
        setup.world.cloud.canary = "sick"


def _reach_state(setup: SearchSetup, start: StartState) -> None:
    world = setup.world
    if start.shows is Shows.MOVED:
        _move_by_hand(setup)
    elif start.state is Paused:
        setup.run_process(actors.operator_command(world, Verb.PAUSE))
    elif start.state in (RollingBack, RolledBack):
        faults = fault_at(UPDATE, StepFault.THROTTLED) if start.state is RollingBack else no_faults
        setup.run_process(actors.operator_command(world, Verb.ROLLBACK), faults)
        setup.advance_time(1)
    elif start.state is Succeeded:
        setup.tick(0)
    if start.shows is Shows.AT_ZERO:
        _write(setup, actors.tick(world, "lower"), Shows.AT_ZERO)


def _move_by_hand(setup: SearchSetup) -> None:
    """Let a person set 50%, and a tick pause for it."""
    setup.run_process(actors.manual_weight(setup.world, 50))
    setup.tick(1)


@contextmanager
def open_start_state(
    folder: Path, start: StartState | None, *, slow: bool = False
) -> Iterator[SearchSetup]:
    """Yield a world in the state `start`; None: nothing is started.

    slow: its updates take two seconds.
    """
    parts = {"freeze": FREEZE} if start is not None and start.frozen else {}
    update = SLOW_UPDATE if slow else INSTANT_UPDATE
    world = SmallWorld(folder, short_policy(**parts), takes=update)
    try:
        setup = SearchSetup(world, MonitorState(Invariants()))
        if start is not None:
            for reach in (_reach_place, _reach_gate, _reach_state):
                reach(setup, start)
        yield setup
    finally:
        world.close()
        clear_caches()
