"""Every schedule of a small world: each invariant after each step, and each end state.

A sample of the worlds is explored by default, and all of them with --deep.
"""

from collections.abc import Collection
from pathlib import Path

import pytest

from tests.exhaustive.sample import sample
from tests.exhaustive.search_cases import explore, fast_search, world_names
from tests.exhaustive.start_states import (
    START_STATES,
    Gate,
    Place,
    Shows,
    StartState,
    open_start_state,
)
from tests.exhaustive.state_changes import failing_verdicts, stored_rollouts
from tests.support.core import Paused, Pending, Reason

SAMPLE = tuple(sample())
SAMPLED_STARTS = [start for start, _, _ in SAMPLE]
CASES = [
    pytest.param(start, slow, id=f"{start}, slow updates" if slow else str(start))
    for slow in (False, True)
    for start in START_STATES
    if world_names(start, slow=slow)
]


@pytest.mark.parametrize(("start", "slow", "name"), SAMPLE, ids=str)
def test_every_invariant_holds_in_every_schedule_of_a_sample(
    tmp_path: Path, start: StartState, slow: bool, name: str
) -> None:
    check(tmp_path, start, slow=slow, names=[name])


@pytest.mark.deep
@pytest.mark.parametrize(("start", "slow"), CASES)
def test_every_invariant_holds_in_every_schedule(
    tmp_path: Path, start: StartState, slow: bool
) -> None:
    """Two ticks, of which one may crash while time passes; a tick and another actor."""
    check(tmp_path, start, slow=slow, names=world_names(start, slow=slow))


def check(folder: Path, start: StartState, *, slow: bool, names: Collection[str]) -> None:
    """Explore these worlds that begin at `start`."""
    explored = set()
    for name, result in explore(folder, start, slow=slow, names=names):
        assert not result.violations, f"{start}: {name}\n{result.violations[0]}"
        assert result.schedules >= len(result.end_states) > 0
        explored.add(name)
    assert explored == set(names)


def test_each_state_each_position_and_each_actor_is_in_the_sample() -> None:
    every_name = {name for state in START_STATES for name in world_names(state, slow=False)}
    for facts in ("state", "place", "shows", "gate", "position", "frozen"):
        values = {getattr(state, facts) for state in START_STATES}
        assert {getattr(start, facts) for start in SAMPLED_STARTS} == values, facts
    assert {name for _, _, name in SAMPLE} == every_name
    assert {slow for _, slow, _ in SAMPLE} == {False, True}


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(
            state, marks=() if state in SAMPLED_STARTS else pytest.mark.deep, id=str(state)
        )
        for state in START_STATES
    ],
)
def test_a_start_state_is_what_it_says(tmp_path: Path, start: StartState) -> None:
    """Its phase, its position, the freeze, what the function shows, and whether its gate fails."""
    with fast_search(), open_start_state(tmp_path, start) as setup:
        shared = setup.world.snapshot()
        (rollout,) = stored_rollouts(shared)
        fails = [*failing_verdicts(setup.world, shared, "tick")]
    last = start.place in (Place.LAST_STEP, Place.ADOPTED, Place.LAST_RAISE)
    read_back = start.shows is Shows.IN_FORCE and start.position is Pending
    assert (type(rollout.state), type(rollout.position)) == (start.state, start.position)
    assert rollout.step == (1 if last else 0)
    assert (rollout.reason is Reason.FROZEN) is start.frozen
    assert (shared.cloud.status == "InProgress") is (start.shows is Shows.IN_FLIGHT)
    if start.state is Paused or not read_back:  # then the next step begins, and its gate is new
        assert bool(fails) is (start.gate is Gate.FAILS)
