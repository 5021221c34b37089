"""The search itself: it finds planted bugs, and merges only equal states."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exhaustive import actors
from tests.exhaustive.planted_bugs import PLANTED_BUGS, PlantedBug
from tests.exhaustive.replayable_process import (
    CallResult,
    ProcessState,
    ReplayableProcess,
    run_call,
)
from tests.exhaustive.search import Search
from tests.exhaustive.search_cases import cases_of, fast_search
from tests.exhaustive.small_account import CloudState
from tests.exhaustive.small_store import StoreState
from tests.exhaustive.small_world import SmallWorld
from tests.exhaustive.start_states import (
    FAIL_DUE,
    PASS_DUE,
    ROLLED_BACK,
    StartState,
    open_start_state,
)


@pytest.mark.parametrize("planted", PLANTED_BUGS, ids=lambda one: one.plant.__doc__)
def test_a_planted_bug_is_found_with_its_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: PlantedBug
) -> None:
    planted.plant(monkeypatch)
    with fast_search(), open_start_state(tmp_path, planted.start) as setup:
        world = dict(cases_of(setup, planted.start, slow=False))[planted.world]
        result = Search(setup, world.actors, world.crashes).run()
    assert result.violations
    assert planted.invariant in result.violations[0]
    assert "\n  tick 1 store visits\n" in result.violations[0]


# --- merging of states --------------------------------------------------------------------------

End = tuple[StoreState, CloudState]


@pytest.mark.parametrize(
    ("start", "actor"),
    [
        pytest.param(PASS_DUE, actors.deployment, id="a raise and a deployment"),
        pytest.param(FAIL_DUE, actors.deployment, id="a rollback and a deployment"),
        pytest.param(
            ROLLED_BACK,
            actors.bare_rollback,
            marks=pytest.mark.deep,  # 126 schedules, each in a world of its own
            id="a last tick and a bare rollback",
        ),
    ],
)
def test_every_schedule_run_by_itself_ends_as_the_search_says(
    tmp_path: Path, start: StartState, actor: actors.Actor
) -> None:
    with fast_search(), open_start_state(tmp_path / "all", start) as setup:
        first, second = setup.tick_program("tick 1"), actor(setup.world)
        result = Search(setup, [first, second]).run()
    with fast_search():
        ends = list(_run_schedules(tmp_path, start, actor))
    assert len(ends) == result.schedules
    assert set(ends) == {(state.shared.store, state.shared.cloud) for state in result.end_states}


def _run_schedules(folder: Path, start: StartState, actor: actors.Actor) -> Iterator[End]:
    """Yield the end of every schedule, each run in a new world that is never restored."""
    schedules: list[tuple[int, ...]] = [()]
    while schedules:
        schedule = schedules.pop()
        with open_start_state(folder / "-".join(map(str, schedule)), start) as setup:
            programs = [actors.tick(setup.world, "tick 1"), actor(setup.world)]
            places = dict[int, ProcessState]()
            for number in schedule:
                places[number] = _next(setup.world, programs[number], places.get(number))
            while running := [
                one for one in (0, 1) if one not in places or not places[one].is_over
            ]:
                schedules += [(*schedule, number) for number in running[1:]]
                schedule = (*schedule, running[0])
                places[running[0]] = _next(
                    setup.world, programs[running[0]], places.get(running[0])
                )
            shared = setup.world.snapshot()
            yield shared.store, shared.cloud


def _next(
    world: SmallWorld, program: ReplayableProcess, state: ProcessState | None
) -> ProcessState:
    state = state or program.initial_state(world.clock.now(), _stop)
    assert state.proceed is not None
    return program.next_state(state, run_call(state.proceed, world.clock.now), _stop)


def _stop(_state: ProcessState) -> CallResult | None:
    """Stop every process at its next call."""
    return None
