"""The tables of crashes: the state after a crash or a lost response at each external call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from controller.engine.time_limits import LEASE_DURATION
from tests.chaos.process import NOTIFIER, STORE, ExternalCall
from tests.exhaustive import actors
from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search_cases import fast_search
from tests.exhaustive.search_setup import FaultSchedule, SearchSetup, StepFault
from tests.exhaustive.small_world import SmallWorld
from tests.exhaustive.start_states import (
    FAIL_DUE,
    JUST_STARTED,
    PASS_DUE,
    StartState,
    open_start_state,
)
from tests.exhaustive.state_changes import stored_history, stored_rollouts
from tests.support.core import Verb

# When the next tick comes: the lease of a crashed process has expired by then.
_NEXT_TICK: Final = LEASE_DURATION + timedelta(minutes=1)
_FAULTS: Final = (StepFault.CRASH_BEFORE, StepFault.RESPONSE_LOST, StepFault.CRASH_AFTER)


def advancing() -> list[list[str]]:
    """Return the table for a tick that goes from 10 to 100%."""
    return _table(PASS_DUE, actors.tick)


def rolling_back() -> list[list[str]]:
    """Return the table for a tick that goes from 10 to 0%, because a criterion fails."""
    return _table(FAIL_DUE, actors.tick)


def starting() -> list[list[str]]:
    """Return the table for a start."""
    return _table(None, actors.policy_start)


def by_hand() -> list[list[str]]:
    """Return the table for a rollback by an operator, at 10%."""
    return _table(JUST_STARTED, lambda world: actors.operator_command(world, Verb.ROLLBACK))


def _table(
    start: StartState | None, acts: Callable[[SmallWorld], ReplayableProcess]
) -> list[list[str]]:
    """Return a row for each external call, in the order of a run without faults."""
    steps = list[ExternalCall]()
    with _scene(start) as scene:
        begin, monitor = scene.world.snapshot(), scene.monitor

        def run(faults: FaultSchedule) -> None:
            scene.world.restore(begin)
            scene.monitor = monitor
            scene.run_process(acts(scene.world), faults)

        run(_recording(steps))
        rows = [[_call_text(step), *_cells(scene, run, step.number)] for step in steps]
    return [["the call", *(str(fault) for fault in _FAULTS)], *rows]


def _cells(scene: SearchSetup, run: Callable[[FaultSchedule], None], number: int) -> Iterator[str]:
    for fault in _FAULTS:
        run(_at(number, fault))
        after_fault, old_kinds = _state_text(scene), _kinds(scene)
        scene.advance_time(_NEXT_TICK / timedelta(minutes=1))
        scene.run_process(actors.tick(scene.world, "the-next"))
        does = ", ".join(f"`{kind}`" for kind in _kinds(scene)[len(old_kinds) :]) or "nothing"
        yield f"{after_fault} → {does}: {_state_text(scene)}"


@contextmanager
def _scene(start: StartState | None) -> Iterator[SearchSetup]:
    with (
        TemporaryDirectory() as folder,
        fast_search(),
        open_start_state(Path(folder), start) as scene,
    ):
        yield scene


def _recording(steps: list[ExternalCall]) -> FaultSchedule:
    return lambda _, crossing: steps.append(crossing)


def _at(number: int, fault: StepFault) -> FaultSchedule:
    return lambda here, _: fault if here == number else None


def _call_text(step: ExternalCall) -> str:
    if step.service == NOTIFIER:
        return "notify"
    if step.service == STORE:
        return f"store: {step.operation}"
    return f"`{step.operation}`"


def _state_text(scene: SearchSetup) -> str:
    """Return the applied weight, and the stored phase of the rollout."""
    shared = scene.world.snapshot()
    (_, weight), rollouts = shared.cloud.weights[-1], stored_rollouts(shared)
    if not rollouts:
        return f"{weight}%, nothing stored"
    rollout = rollouts[-1]
    asks = "" if rollout.weight == weight else f" (expects {rollout.weight}%)"
    return f"{weight}%, `{rollout.phase}`{asks}"


def _kinds(scene: SearchSetup) -> list[str]:
    shared = scene.world.snapshot()
    return [
        entry.kind
        for rollout in stored_rollouts(shared)
        for entry in stored_history(shared, rollout.id)
    ]
