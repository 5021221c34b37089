"""The search itself: it finds what is planted, and merges nothing that is not the same."""

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
from tests.exhaustive.start_states import open_start_state


@pytest.mark.parametrize("planted", PLANTED_BUGS.values(), ids=PLANTED_BUGS.keys())
def test_a_planted_bug_is_found_with_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: PlantedBug
) -> None:
    planted.plant(monkeypatch)
    with fast_search(), open_start_state(tmp_path, planted.start) as scene:
        world = dict(cases_of(scene, planted.start, slow=False))[planted.world]
        found = Search(scene, world.actors, world.crashes).run()
    assert found.violations
    assert planted.invariant in found.violations[0]
    assert "\n  tick 1 store active\n" in found.violations[0]


# --- without merging ----------------------------------------------------------------------------

End = tuple[StoreState, CloudState]


@pytest.mark.parametrize(
    ("start", "actor"),
    [
        pytest.param("a pass due", actors.deployment, id="a raise and a deployment"),
        pytest.param("a fail due", actors.deployment, id="a rollback and a deployment"),
        pytest.param("rolled back", actors.bare_rollback, id="a last look and a bare rollback"),
    ],
)
def test_every_schedule_played_by_itself_ends_as_the_search_says(
    tmp_path: Path, start: str, actor: actors.Actor
) -> None:
    with fast_search(), open_start_state(tmp_path / "all", start) as scene:
        first, other = scene.tick_program("tick 1"), actor(scene.world)
        found = Search(scene, [first, other]).run()
    with fast_search():
        ends = list(_played(tmp_path, start, actor))
    assert len(ends) == found.schedules
    assert set(ends) == {(one.shared.store, one.shared.cloud) for one in found.end_states}


def _played(folder: Path, start: str, actor: actors.Actor) -> Iterator[End]:
    """Yield the end of every schedule, each in a world of its own that is never put back."""
    schedules: list[tuple[int, ...]] = [()]
    while schedules:
        schedule = schedules.pop()
        with open_start_state(folder / "-".join(map(str, schedule)), start) as scene:
            programs = [actors.tick(scene.world, "tick 1"), actor(scene.world)]
            places = dict[int, ProcessState]()
            for number in schedule:
                places[number] = _next(scene.world, programs[number], places.get(number))
            while left := [one for one in (0, 1) if one not in places or not places[one].is_over]:
                schedules += [(*schedule, number) for number in left[1:]]
                schedule = (*schedule, left[0])
                places[left[0]] = _next(scene.world, programs[left[0]], places.get(left[0]))
            shared = scene.world.snapshot()
            yield shared.store, shared.cloud


def _next(
    world: SmallWorld, program: ReplayableProcess, state: ProcessState | None
) -> ProcessState:
    state = state or program.initial_state(world.clock.now(), _alone)
    assert state.proceed is not None
    return program.next_state(state, run_call(state.proceed, world.clock.now), _alone)


def _alone(_here: ProcessState) -> CallResult | None:
    """Go on with no process by itself."""
    return None
