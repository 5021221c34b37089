"""A damaged record is the trouble of one rollout: a tick visits every other one.

Each row goes through a process, a store and a server; what is read is statuses, weights, and which
rollouts were saved.
"""

import os
import sys

import pytest

from controller.errors import Exit
from tests.e2e.fleet import SICK_FUNCTION, Fleet, let_it_fail
from tests.e2e.on_call import MINUTE, Desk
from tests.e2e.program import Program
from tests.e2e.stored_items import ON_BOTH_STORES
from tests.support.damage import DYNAMODB_DAMAGES, HARMLESS, SQLITE_DAMAGES, UNLISTED

pytestmark = pytest.mark.ministack

HEALTHY = 12


def _stops_a_visit(how: str) -> bool:
    """Tell whether a tick finds the damage: it takes a broken lease over, for instance."""
    return how not in HARMLESS and how not in UNLISTED


@pytest.fixture
def fleet(started: Desk, store_url: str) -> Fleet:
    return Fleet(started, store_url)


def test_the_tables_of_damages_are_not_empty() -> None:
    assert min(len(SQLITE_DAMAGES), len(DYNAMODB_DAMAGES)) > 30


@ON_BOTH_STORES
def test_a_tick_passes_by_every_damaged_rollout_and_rolls_the_failing_one_back(
    fleet: Fleet, started: Desk, program: Program
) -> None:
    """One rollout is damaged in each of the ways at once, beside healthy ones and a failing one."""
    failing = fleet.add_failing()
    healthy = fleet.add(HEALTHY)
    damaged = fleet.add(len(fleet.damages), "damaged")
    before = fleet.updated(healthy)
    let_it_fail(started, 30)
    for rollout_id, how in zip(damaged, fleet.damages, strict=True):
        fleet.damage(rollout_id, how)

    ended = program.at(started.now).run("tick", "--json")

    assert "Traceback" not in ended.err
    assert started.account.pair(SICK_FUNCTION) == ("0", "false")
    after = fleet.updated(healthy)
    assert [one for one in healthy if after[one] == before[one]] == []
    problems = {one["id"]: one["problem"] for one in ended.data["rollouts"]}
    told = dict(zip(damaged, fleet.damages, strict=True))
    silent = [how for one, how in told.items() if _stops_a_visit(how) and not problems.get(one)]
    assert silent == []
    assert not problems[failing]
    assert ended.status == Exit.INTERNAL
    completed = {one["rollout"] for one in ended.events if one["event"] == "tick_completed"}
    assert completed >= {failing, *healthy, *(one for one in damaged if _stops_a_visit(told[one]))}
    assert ended.count("tick_ended") == 1


@ON_BOTH_STORES
def test_what_was_not_damaged_is_visited_by_the_next_tick_as_by_this_one(
    fleet: Fleet, started: Desk, program: Program
) -> None:
    healthy = fleet.add(3)
    (damaged,) = fleet.add(1, "damaged")
    fleet.damage(damaged, fleet.damages[0])
    seen = []
    for _ in range(3):
        started.serve(MINUTE)
        program.at(started.now).run("tick")
        seen.append(fleet.updated(healthy))
    for one in healthy:
        assert len({moments[one] for moments in seen}) == 3


@pytest.mark.skipif(
    "EACH_DAMAGE" not in os.environ, reason="ten minutes: EACH_DAMAGE=1 pytest tests/e2e"
)
@ON_BOTH_STORES
def test_of_fifty_rollouts_with_one_damaged_in_one_way_a_tick_visits_the_other_49(
    fleet: Fleet, started: Desk, program: Program
) -> None:
    """What docs/reliability.md counts: each way for itself, one tick for each."""
    healthy = fleet.add(48)
    everybody = ["execution-api#1", *healthy]
    visited = {}
    for index, how in enumerate(fleet.damages):
        (damaged,) = fleet.add(1, f"damaged-{index}")
        fleet.damage(damaged, how)
        started.move_clock(MINUTE)
        before = fleet.updated(everybody)
        program.at(started.now).run("tick")
        after = fleet.updated(everybody)
        visited[how] = sum(after[one] != before[one] for one in everybody)
        fleet.remove(damaged)
    sys.stdout.write(f"{len(visited)} ways\n")  # with -rP, for docs/reliability.md
    assert {how: number for how, number in visited.items() if number != 49} == {}
