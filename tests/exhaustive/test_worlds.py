"""Every schedule of a small world: each invariant after each step, and each end state.

A sample of the worlds is explored by default, and all of them with --deep.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pytest

from tests.exhaustive.sample import FAST_SAMPLE, SLOW_SAMPLE
from tests.exhaustive.search_cases import FAST_STARTS, explore, world_names
from tests.exhaustive.start_states import START_STATES

SLOW_STARTS = [start for start in START_STATES if start not in FAST_STARTS]


@pytest.mark.parametrize("start", START_STATES)
def test_every_invariant_holds_in_every_schedule_of_a_sample(tmp_path: Path, start: str) -> None:
    check(tmp_path, start, slow=False, names=FAST_SAMPLE[start])


@pytest.mark.parametrize("start", SLOW_STARTS)
def test_every_invariant_holds_in_every_schedule_of_a_sample_with_slow_updates(
    tmp_path: Path, start: str
) -> None:
    check(tmp_path, start, slow=True, names=SLOW_SAMPLE[start])


@pytest.mark.deep
@pytest.mark.parametrize("start", START_STATES)
def test_every_invariant_holds_in_every_schedule(tmp_path: Path, start: str) -> None:
    """Two ticks, of which one may crash while time passes; a tick and another actor."""
    check(tmp_path, start, slow=False)


@pytest.mark.deep
@pytest.mark.parametrize("start", SLOW_STARTS)
def test_every_invariant_holds_in_every_schedule_with_slow_updates(
    tmp_path: Path, start: str
) -> None:
    check(tmp_path, start, slow=True)


def check(folder: Path, start: str, *, slow: bool, names: Collection[str] | None = None) -> None:
    """Explore the worlds that begin at `start`. names: these alone; None: all of them."""
    explored = set()
    for name, result in explore(folder, start, slow=slow, names=names):
        assert not result.violations, f"{start}: {name}\n{result.violations[0]}"
        assert result.schedules >= len(result.end_states) > 0
        explored.add(name)
    assert explored == set(world_names(start, slow=slow) if names is None else names)


@pytest.mark.parametrize(
    ("sample", "slow"),
    [
        pytest.param(FAST_SAMPLE, False, id="instant updates"),
        pytest.param(SLOW_SAMPLE, True, id="slow updates"),
    ],
)
def test_each_start_state_and_each_actor_is_in_the_sample(
    sample: Mapping[str, Sequence[str]], slow: bool
) -> None:
    every_world = {start: world_names(start, slow=slow) for start in START_STATES}
    assert sample.keys() == {start for start, names in every_world.items() if names}
    assert {*chain(*sample.values())} == {*chain(*every_world.values())}
