"""Ticks that are killed at random times, alone and in pairs: 20 kills of the benchmark."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.kills import play
from tests.support.emulator import Emulator

KILLS = 20


@pytest.fixture
def accounts() -> Callable[[], str]:
    """Return new account numbers, which no other test uses."""
    numbers = count(300_000_000_001)
    return lambda: str(next(numbers))


@pytest.mark.ministack
def test_whenever_a_tick_is_killed_everything_holds_and_the_rollout_reaches_its_end(
    ministack: Emulator, tmp_path: Path, accounts: Callable[[], str]
) -> None:
    figures = play(ministack, tmp_path, kills=KILLS, seed=4, account=accounts)

    assert figures.violations == []
    assert figures.kills.total() >= KILLS
    assert figures.ends.keys() <= {"succeeded", "rolled_back"}
