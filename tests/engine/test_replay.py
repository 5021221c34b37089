"""Replay: the history of a rollout leads to the same decisions again, whatever happened to it.

That of every shipped policy in every scenario: tests/operations/test_shipped_policies.py.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.errors import RolloutError
from controller.ports.store import Store
from controller.process import logging
from controller.tools.replay.verb import replay_lines
from tests.support.core import Command, Replay, Verb, replay
from tests.support.deep_rows import deep_after
from tests.support.random_rollout import random_walk
from tests.support.stage import open_stage


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


def replay_all(store: Store) -> Iterator[Replay]:
    """Yield the replay of every rollout in `store`."""
    for rollout_id in store.all():
        yield replay(store.load(rollout_id), store.history(rollout_id))


def assert_consistent(store: Store) -> list[Replay]:
    """Return the replays of all rollouts in `store`, after a check that each is consistent."""
    replays = list(replay_all(store))
    assert replays
    differences = ["\n".join(replay_lines(one)) for one in replays if not one.consistent]
    assert not differences, differences[0]
    return replays


@pytest.mark.slow
@pytest.mark.parametrize("seed", deep_after(4, range(12)))
def test_a_random_rollout_replays_consistently(tmp_path: Path, seed: int) -> None:
    with random_walk(tmp_path, seed) as stage:
        if stage.store.all():  # the start may be refused in a random world
            assert_consistent(stage.store)


def test_a_command_that_was_refused_leaves_no_entry(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        rollout = stage.start()
        with pytest.raises(RolloutError):
            stage.runner.run_command(rollout.id, Command(Verb.RESUME))
        assert [one.entries for one in assert_consistent(stage.store)] == [2]
