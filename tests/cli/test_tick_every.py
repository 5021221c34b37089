"""tick --every and --shard: a process that ticks until it is stopped, and one of several."""

import signal
from datetime import timedelta
from functools import partial

import pytest

from controller.core.visit_order import Shard
from controller.errors import Exit
from tests.cli.conftest import CliHarness, Ended
from tests.support.cases import cases
from tests.support.stage import READ, ActBefore
from tests.tools.simulation.worlds import MINUTE

TERMINATED = 128 + signal.SIGTERM


def stopped_after(desk: CliHarness, length: timedelta, *options: str) -> Ended:
    """Return how `tick --every` ends that gets SIGTERM so long after its start."""
    stop = partial(signal.raise_signal, signal.SIGTERM)
    desk.world.clock.at(desk.world.clock.now() + length, stop)
    return desk.run("tick", "--every", *options)


def runs(ended: Ended) -> list[str]:
    """Return the run id of each tick that ended."""
    return [one["run"] for one in ended.events if one["event"] == "tick_ended"]


def test_it_ticks_at_each_interval_until_it_is_stopped(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    ended = stopped_after(desk, MINUTE * 9.5, "1m")
    assert ended.status == TERMINATED
    assert len(runs(ended)) == len(set(runs(ended))) == 10
    assert len(ended.out.splitlines()) == 10  # the rollout, or that it is not due


def test_a_slow_tick_is_followed_at_once_and_no_interval_is_made_up_for(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    slow = partial(desk.world.clock.advance, 3.5 * MINUTE)
    desk.world.interceptors.append(ActBefore(READ, slow))
    ended = stopped_after(desk, 6 * MINUTE, "1m")
    assert len(runs(ended)) == 4  # at 0:00, 3:30, 4:30 and 5:30


def test_a_store_that_does_not_answer_is_tried_again(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run("start", desk.policy)

    def rename(old: str, new: str) -> None:
        desk.sql(f"ALTER TABLE {old} RENAME TO {new}")

    now = desk.world.clock.now()
    desk.world.clock.at(now + 1.5 * MINUTE, partial(rename, "rollouts", "gone"))
    desk.world.clock.at(now + 3.5 * MINUTE, partial(rename, "gone", "rollouts"))
    ended = stopped_after(desk, 5.5 * MINUTE, "1m")
    assert ended.status == TERMINATED
    assert len(runs(ended)) == 4
    assert [one["event"] for one in ended.events].count("tick_failed") == 2


def test_a_missing_store_ends_it(desk: CliHarness) -> None:
    ended = stopped_after(desk, 5 * MINUTE, "1m", "--store", "sqlite:////nowhere/rollouts.db")
    assert ended.status == Exit.USAGE


@pytest.mark.parametrize(
    "wrong",
    [["--every", "1m", "--json"], ["orders", "--shard", "1/2"], ["--shard", "3/2"],
     ["--shard", "0/2"], ["--shard", "half"], ["--every", "0m"]],
    ids=" ".join,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(desk: CliHarness, wrong: list[str]) -> None:
    desk.run("start", desk.policy)
    ended = desk.run("tick", *wrong)
    assert ended.status == Exit.USAGE
    assert not runs(ended)


# --- parts --------------------------------------------------------------------------------------


def test_each_rollout_is_in_one_part(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    desk.start_payments()
    parts = [desk.run("tick", "--shard", f"{number}/2", "--json").data for number in (1, 2)]
    ids = [one["id"] for part in parts for one in part["rollouts"]]
    assert sorted(ids) == ["orders#1", "payments#1"]


@cases("rollout_id, shard", {
    "a part stays the same in every version": ("orders#1", Shard(3, 3)),
    "all attempts of a policy are in one": ("orders#27", Shard(3, 3)),
    "one part is all": ("orders#1", Shard(1, 1)),
})  # fmt: skip
def test_a_rollout_is_in_the_part_of_its_policy_name(rollout_id: str, shard: Shard) -> None:
    assert shard.has(rollout_id)


def test_parts_are_of_about_the_same_size() -> None:
    ids = [f"service-{number}#1" for number in range(1_000)]
    sizes = [sum(Shard(number, 8).has(one) for one in ids) for number in range(1, 9)]
    assert sum(sizes) == 1_000
    assert min(sizes) > 90
