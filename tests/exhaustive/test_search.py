"""The search itself: it finds what is planted, and merges nothing that is not the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exhaustive import actors
from tests.exhaustive.planted_bugs import PLANTED, Planted
from tests.exhaustive.programs import Answer, Program, Standing, answer_of
from tests.exhaustive.search import Search
from tests.exhaustive.small_account import Sky
from tests.exhaustive.small_store import Books
from tests.exhaustive.small_world import SmallWorld
from tests.exhaustive.start_states import standing
from tests.exhaustive.worlds import quickly, worlds


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_bug_is_found_with_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: Planted
) -> None:
    planted.plant(monkeypatch)
    with quickly(), standing(tmp_path, planted.start) as scene:
        world = dict(worlds(scene, planted.start, slow=False))[planted.world]
        found = Search(scene, world.actors, world.crashes).run()
    assert found.wrong
    assert planted.invariant in found.wrong[0]
    assert "\n  tick 1 store active\n" in found.wrong[0]


# --- without merging ----------------------------------------------------------------------------

End = tuple[Books, Sky]


@pytest.mark.parametrize(
    ("start", "actor"),
    [
        pytest.param("a pass due", actors.deploys, id="a raise and a deployment"),
        pytest.param("a fail due", actors.deploys, id="a rollback and a deployment"),
        pytest.param("rolled back", actors.bare_rollback, id="a last look and a bare rollback"),
    ],
)
def test_every_schedule_played_by_itself_ends_as_the_search_says(
    tmp_path: Path, start: str, actor: actors.Actor
) -> None:
    with quickly(), standing(tmp_path / "all", start) as scene:
        first, other = scene.tick_called("tick 1"), actor(scene.world)
        found = Search(scene, [first, other]).run()
    with quickly():
        ends = list(_played(tmp_path, start, actor))
    assert len(ends) == found.schedules
    assert set(ends) == {(one.shared.books, one.shared.sky) for one in found.ends}


def _played(folder: Path, start: str, actor: actors.Actor) -> Iterator[End]:
    """Yield the end of every schedule, each in a world of its own that is never put back."""
    schedules: list[tuple[int, ...]] = [()]
    while schedules:
        schedule = schedules.pop()
        with standing(folder / "-".join(map(str, schedule)), start) as scene:
            programs = [actors.tick(scene.world, "tick 1"), actor(scene.world)]
            places = dict[int, Standing]()
            for number in schedule:
                places[number] = _next(scene.world, programs[number], places.get(number))
            while left := [one for one in (0, 1) if one not in places or not places[one].over]:
                schedules += [(*schedule, number) for number in left[1:]]
                schedule = (*schedule, left[0])
                places[left[0]] = _next(scene.world, programs[left[0]], places.get(left[0]))
            shared = scene.world.keep()
            yield shared.books, shared.sky


def _next(world: SmallWorld, program: Program, here: Standing | None) -> Standing:
    here = here or program.begun(world.clock.now(), _alone)
    assert here.proceed is not None
    return program.went_on(here, answer_of(here.proceed, world.clock.now), _alone)


def _alone(_here: Standing) -> Answer | None:
    """Go on with no process by itself."""
    return None
