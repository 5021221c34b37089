"""Ticks of one rollout at an interval, on a virtual clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.engine.tick import is_idle, run_ticks
from tests.support.core import Phase
from tests.support.rollouts import in_phase
from tests.support.stage import METRICS, ActBefore, Stage, open_stage
from tests.tools.simulation.worlds import MINUTE


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as opened:
        yield opened


def tick_ends(stage: Stage, limit: timedelta) -> list[datetime]:
    """Return when each tick was over."""
    rollout = stage.start()
    until = stage.world.clock.now() + limit
    visits = run_ticks(stage.runner, rollout, every=MINUTE, until=until, done=is_idle)
    return [stage.world.clock.now() for _ in visits]


def test_ticks_come_at_their_times_until_time_is_up(stage: Stage) -> None:
    begin = stage.world.clock.now() + timedelta(seconds=3)  # the start's own write
    assert tick_ends(stage, 3 * MINUTE) == [begin + number * MINUTE for number in (1, 2, 3)]


def test_a_slow_tick_is_followed_at_once_but_its_delay_is_not_caught_up(stage: Stage) -> None:
    slow = ActBefore(METRICS, lambda: stage.world.clock.advance(2 * MINUTE + MINUTE / 2))
    stage.world.clock.advance(MINUTE)
    begin = stage.world.clock.now() + timedelta(seconds=3)
    slow.done = True  # the start reads metrics as well
    stage.world.interceptors.append(slow)
    rollout = stage.start()
    slow.done = False
    visits = run_ticks(stage.runner, rollout, every=MINUTE, until=begin + 5 * MINUTE, done=is_idle)
    ends = [(stage.world.clock.now() - begin) / MINUTE for _ in visits]
    write_minutes = 3 / 60
    assert ends == [1 + 2.5, 3.5, 4.5, 5 + write_minutes]


@pytest.mark.parametrize(
    ("limit", "over"),
    [
        pytest.param(90, [60, 90], id="between two ticks"),
        pytest.param(30, [30], id="before the first"),
        pytest.param(0, [], id="over already"),
    ],
)
def test_the_last_tick_comes_when_time_is_up(stage: Stage, limit: int, over: list[int]) -> None:
    rollout = stage.start()
    begin, second = stage.world.clock.now(), timedelta(seconds=1)
    until = begin + limit * second
    visits = run_ticks(stage.runner, rollout, every=MINUTE, until=until, done=is_idle)
    assert [(stage.world.clock.now() - begin) / second for _ in visits] == over


@pytest.mark.parametrize(
    ("phase", "idle"),
    [
        (Phase.PROGRESSING, False),
        (Phase.ROLLING_BACK, False),
        (Phase.PAUSED, True),
        (Phase.ROLLED_BACK, True),
        (Phase.SUCCEEDED, True),
    ],
)
def test_a_rollout_is_idle_where_ticks_do_not_advance_it(phase: Phase, idle: bool) -> None:
    assert is_idle(in_phase(phase)) is idle
