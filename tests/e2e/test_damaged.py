"""A damaged record affects one rollout only: a tick visits all the others.

Real processes, stores and the emulator; the tests check exit statuses, weights, and which rollouts
were saved.
"""

import sys
from typing import Final

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
    """Tell whether a tick reports the damage; it takes a damaged lease over, for instance."""
    return how not in HARMLESS and how not in UNLISTED


@pytest.fixture
def fleet(started: Desk, store_url: str) -> Fleet:
    return Fleet(started, store_url)


def test_the_tables_of_damages_are_not_empty() -> None:
    assert min(len(SQLITE_DAMAGES), len(DYNAMODB_DAMAGES)) > 30


@ON_BOTH_STORES
def test_a_tick_skips_every_damaged_rollout_and_rolls_the_failing_one_back(
    fleet: Fleet, started: Desk, program: Program
) -> None:
    """There is one rollout for each damage, some healthy ones, and a failing one."""
    failing = fleet.add_failing()
    healthy = fleet.add(HEALTHY)
    damaged = fleet.add(len(fleet.damages), "damaged")
    before = fleet.updated(healthy)
    let_it_fail(started, 30)
    for rollout_id, how in zip(damaged, fleet.damages, strict=True):
        fleet.damage(rollout_id, how)

    answer = program.at(started.now).run("tick", "--json")

    assert "Traceback" not in answer.err
    assert started.account.pair(SICK_FUNCTION) == ("0", "false")
    after = fleet.updated(healthy)
    assert [one for one in healthy if after[one] == before[one]] == []
    problems = {one["id"]: one["problem"] for one in answer.data["rollouts"]}
    damage_of = dict(zip(damaged, fleet.damages, strict=True))
    unreported = [
        how for one, how in damage_of.items() if _stops_a_visit(how) and not problems.get(one)
    ]
    assert unreported == []
    assert not problems[failing]
    assert answer.status == Exit.INTERNAL
    completed = {event["rollout"] for event in answer.events if event["event"] == "tick_completed"}
    assert completed >= {
        failing,
        *healthy,
        *(one for one in damaged if _stops_a_visit(damage_of[one])),
    }
    assert answer.count("tick_ended") == 1


@pytest.mark.deep  # two and a half minutes with a table
@ON_BOTH_STORES
def test_of_fifty_rollouts_with_one_damaged_in_one_way_a_tick_visits_the_other_49(
    fleet: Fleet, started: Desk, program: Program
) -> None:
    """The count in docs/contributors/reliability.md: one tick for each damage."""
    healthy = fleet.add(48)
    others = ["execution-api#1", *healthy]
    visited = {}
    for index, how in enumerate(fleet.damages):
        (damaged,) = fleet.add(1, f"damaged-{index}")
        fleet.damage(damaged, how)
        started.move_clock(MINUTE)
        before = fleet.updated(others)
        program.at(started.now).run("tick")
        after = fleet.updated(others)
        visited[how] = sum(after[other] != before[other] for other in others)
        fleet.remove(damaged)
    sys.stdout.write(f"{len(visited)} ways\n")  # with -rP, for docs/contributors/reliability.md
    assert {how: number for how, number in visited.items() if number != 49} == {}


# Runs a tick, and adds its largest use of memory to the log. Not by getrusage: until a new process
# has loaded its own program, that counts the memory of the one that started it.
TICK: Final = """
import json, pathlib, sys
from controller.__main__ import main
sys.argv = ["rolloutctl", "tick", "--json"]
status = main()
(peak,) = [one for one in pathlib.Path("/proc/self/status").read_text().splitlines()
           if one.startswith("VmHWM")]
print(json.dumps({"event": "memory", "mib": int(peak.split()[1]) / 1_024}), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.deep  # half a minute with a table
@pytest.mark.parametrize("store_url", ["file", "table"], indirect=True)
def test_300_hostile_records_take_neither_memory_nor_the_visits_of_50_healthy_rollouts(
    fleet: Fleet, program: Program
) -> None:
    """A task has 512 MiB (deploy/rolloutctl.yaml)."""
    healthy = fleet.add(50)
    before = fleet.updated(healthy)
    fleet.add_hostile(300, "more objects than are parsed", "policy: more values than are parsed")

    answer = program.python(TICK)

    (memory,) = [event["mib"] for event in answer.events if event["event"] == "memory"]
    sys.stdout.write(f"{memory:.0f} MiB\n")
    assert memory < 200
    after = fleet.updated(healthy)
    assert [one for one in healthy if after[one] == before[one]] == []
    problems = [one["problem"] for one in answer.data["rollouts"] if "hostile" in one["id"]]
    assert len(problems) == 300
    assert all("is the limit" in problem for problem in problems)
    assert answer.status == Exit.INTERNAL
