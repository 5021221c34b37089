"""The watch after a success reads the stable path once a day, and both stores keep what it read."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from controller.engine.lease import LeasedRollout
from controller.engine.visitor import Looked, batches
from controller.immutable import replace
from controller.ports.store import Store
from tests.support.core import Phase, Succeeded, query_plan
from tests.support.deep_rows import FILE_AND_TABLE
from tests.support.rollouts import a_rollout, a_state, state_of
from tests.support.stage import SHORT_POLICY, Stage, function_with, open_stage, short_policy
from tests.support.three_steps import at_weight
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

METRICS: Final = ("cloudwatch", "GetMetricData")
DAY = timedelta(days=1)
COMPARED = short_policy(
    metrics={
        **SHORT_POLICY["metrics"],
        "direct_requests": POLICY["metrics"]["direct_requests"],
    },
    criteria={
        **SHORT_POLICY["criteria"],
        "share": {"kind": "share", "metric": "requests", "control": "direct_requests"},
    },
    steps=[{"weight": 10, "bake": "2m"}, {"weight": 100, "bake": "90m"}],
)


@pytest.fixture
def stage(tmp_path: Path, empty_store: Store) -> Iterator[Stage]:
    """Yield a stage whose rollout has just succeeded, in a store of either kind."""
    with open_stage(tmp_path, scenario(function=function_with()), policy=COMPARED) as stage:
        stage.use_store(empty_store)
        stage.start()
        for _ in range(28):
            stage.world.clock.advance(5 * MINUTE)
            stage.runner.tick_active()
        assert empty_store.load("orders#1").phase is Phase.SUCCEEDED
        yield stage


def reads_of_a_tick(stage: Stage, after: timedelta) -> int:
    before = stage.world.calls[METRICS]
    stage.world.clock.advance(after)
    stage.runner.tick_active()
    return stage.world.calls[METRICS] - before


@pytest.mark.parametrize("empty_store", FILE_AND_TABLE, indirect=True)
def test_the_stable_path_is_read_once_a_day_and_stored(stage: Stage, empty_store: Store) -> None:
    rollout = empty_store.load("orders#1")
    use = state_of(rollout, Succeeded).stable_use
    assert use is not None  # read by the tick after the one that succeeded
    assert use.used is None or use.used <= use.through
    version = rollout.version
    assert reads_of_a_tick(stage, MINUTE) == 0
    assert empty_store.load("orders#1").version == version  # nor written
    assert reads_of_a_tick(stage, DAY) == 1
    kinds = [one.kind for one in empty_store.history("orders#1")]
    assert kinds[-3:] == ["succeeded", "stable_path", "stable_path"]


def test_a_rollout_whose_target_has_a_newer_owner_reads_nothing(
    stage: Stage, empty_store: Store
) -> None:
    rollout = empty_store.load("orders#1")
    newer = a_rollout("orders#2", a_state(Phase.ROLLED_BACK))
    empty_store.create(newer, [], rollout.locks)
    before = stage.world.calls[METRICS]
    stage.world.clock.advance(DAY)
    stage.runner.tick(["orders#1"])
    assert stage.world.calls[METRICS] == before


def test_the_days_of_a_stable_path_are_not_read_of_rollouts_that_are_judged(
    stage: Stage, empty_store: Store
) -> None:
    stage.world.clock.advance(3 * DAY)
    watched = stage.runner.observer.observe_target(empty_store.load("orders#1"))
    live = at_weight(10, since=watched.now - 20 * MINUTE)
    judged = replace(watched, rollout=live, needs=query_plan(live, watched.now))
    looked = [Looked(LeasedRollout(one.rollout), one) for one in (watched, judged)]
    assert judged.needs
    assert watched.needs
    groups = [[one.partial for one in group] for group in batches(looked)]
    assert groups == [[judged], [watched]]
