"""The start states of small worlds, each made by running the program itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.core.commands import Verb
from tests.chaos.invariants import Invariants
from tests.exhaustive import actors
from tests.exhaustive.monitor_state import MonitorState
from tests.exhaustive.search_setup import SearchSetup, StepFault, fault_at
from tests.exhaustive.small_account import CanaryHealth
from tests.exhaustive.small_world import INSTANT_UPDATE, SLOW_UPDATE, SmallWorld
from tests.exhaustive.state_changes import clear_caches
from tests.support.stage import short_policy

UPDATE: Final = "UpdateFunctionConfiguration"
# It begins after the raise is decided, and outlasts every search.
FREEZE: Final = {"zone": "UTC", "daily": [{"from": "09:06", "to": "11:00"}]}
FAILS_IN_A_FREEZE: Final = "a fail due while a raise waits for the end of a freeze"


def _started(setup: SearchSetup) -> None:
    setup.start()
    setup.advance_time(1)


def _start_unwritten(setup: SearchSetup) -> None:
    setup.run_process(actors.policy_start(setup.world), fault_at(UPDATE, StepFault.CRASH_BEFORE))
    setup.advance_time(3)


def _start_in_flight(setup: SearchSetup) -> None:
    setup.with_slow_update(setup.start)


def _pass_due(setup: SearchSetup) -> None:
    setup.start()
    setup.advance_time(5)


def _raise_unwritten(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.tick(0, fault_at(UPDATE, StepFault.CRASH_BEFORE))
    setup.advance_time(3)


def _fails_in_a_freeze(setup: SearchSetup) -> None:
    _raise_unwritten(setup)
    setup.tick(1)
    setup.world.cloud.canary = "sick"
    setup.advance_time(2)


def _raise_in_flight(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.with_slow_update(lambda: setup.tick(0))


def _last_pass_due(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.tick(0)
    setup.advance_time(5)


def _hold_over(setup: SearchSetup) -> None:
    setup.start()
    setup.tick(4)
    setup.advance_time(8)


def _paused(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.run_process(actors.operator_command(setup.world, Verb.PAUSE))


def _drifted(setup: SearchSetup) -> None:
    setup.start()
    setup.run_process(actors.manual_weight(setup.world, 50))
    setup.tick()


def _lowered_unrecorded(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.tick(0, fault_at(UPDATE, StepFault.CRASH_AFTER))
    setup.advance_time(3)


def _rolling_back(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.tick(0, fault_at(UPDATE, StepFault.THROTTLED))


def _rolled_back(setup: SearchSetup) -> None:
    _pass_due(setup)
    setup.tick(0)
    setup.advance_time(1)


def _adopted(setup: SearchSetup) -> None:
    setup.run_process(actors.manual_weight(setup.world, 100))
    setup.advance_time(1)
    setup.start(adopt=True)
    setup.advance_time(1)


@dataclass(frozen=True, slots=True)
class StartState:
    """A start state: the health of the canary, and the runs that lead to it.

    parts: the parts of the policy that differ.
    """

    canary: CanaryHealth
    prepare: Callable[[SearchSetup], None]
    parts: Mapping[str, Any] = field(default_factory=dict)


START_STATES: Final[Mapping[str, StartState]] = {
    "just started": StartState("healthy", _started),
    "the first raise saved, not written": StartState("healthy", _start_unwritten),
    "the first raise in flight": StartState("healthy", _start_in_flight),
    "a pass due": StartState("healthy", _pass_due),
    "a raise saved, not written": StartState("healthy", _raise_unwritten),
    FAILS_IN_A_FREEZE: StartState("healthy", _fails_in_a_freeze, {"freeze": FREEZE}),
    "a raise in flight": StartState("healthy", _raise_in_flight),
    "the last pass due": StartState("healthy", _last_pass_due),
    "adopted": StartState("healthy", _adopted),
    "paused": StartState("healthy", _paused),
    "drifted": StartState("healthy", _drifted),
    "the hold over": StartState("silent", _hold_over),
    "a fail due": StartState("sick", _pass_due),
    "a fail due in a pause": StartState("sick", _paused),
    "lowered, not recorded": StartState("sick", _lowered_unrecorded),
    "rolling back": StartState("sick", _rolling_back),
    "rolled back": StartState("sick", _rolled_back),
}


EMPTY_START: Final = StartState("healthy", lambda _: None)


@contextmanager
def open_start_state(folder: Path, name: str, *, slow: bool = False) -> Iterator[SearchSetup]:
    """Yield a world in the start state `name`. slow: its updates take two seconds."""
    start = START_STATES.get(name, EMPTY_START)
    world = SmallWorld(
        folder, short_policy(**start.parts), start.canary, SLOW_UPDATE if slow else INSTANT_UPDATE
    )
    try:
        setup = SearchSetup(world, MonitorState(Invariants(world.policy)))
        start.prepare(setup)
        yield setup
    finally:
        world.close()
        clear_caches()
