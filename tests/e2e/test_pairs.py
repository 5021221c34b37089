"""Two ticks at the same time on a DynamoDB table, or a tick and an operator's rollback.

The overlap is not left to chance: a proxy holds the first process with the lease at its first read
of the function, until the other process has ended.
"""

import json
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import groupby

import pytest

from tests.e2e.account import OTHERS, PERCENTAGE
from tests.e2e.calls import named
from tests.e2e.on_call import HOUR, MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.program import LIMIT_S, Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE, Table, saves_a_rollout
from tests.support.deep_rows import deep_after

pytestmark = [pytest.mark.ministack, ON_A_TABLE]


def pair(desk: Desk, program: Program, watched: Proxy) -> tuple[Answer, Answer]:
    """Run two ticks at once; return the answer that came first, and then the other."""
    before = Table.of(desk.account)
    ticking = program.at(desk.now)
    with watched.holding(named("GetFunctionConfiguration")) as held, ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ticking.run, "tick", "--json") for _ in range(2)]
        done, _ = wait(running, LIMIT_S, FIRST_COMPLETED)
        between = Table.of(desk.account)
        held.free()
    (first,) = done
    (second,) = (one for one in running if one is not first)
    assert between.but_leases() == before.but_leases()  # the first one to end changed nothing
    assert between.fence == before.fence + 1  # and only one of them got the lease
    return first.result(), second.result()


def weights_written(watched: Proxy) -> list[str]:
    """Return the percentage of every write to the function, refused ones included."""
    writes = filter(named("UpdateFunctionConfiguration"), watched.calls)
    return [json.loads(write.body)["Environment"]["Variables"][PERCENTAGE] for write in writes]


def test_of_two_ticks_at_once_one_does_it_and_the_other_changes_nothing_all_the_way_to_100(
    started: Desk, program: Program, watched: Proxy
) -> None:
    created = Table.of(started.account)
    pairs: list[tuple[str, str]] = []
    for length in [36 * MINUTE] * 4 + [8 * HOUR] * 2 + [9 * HOUR]:
        started.serve(length)
        loser, winner = pair(started, program, watched)
        assert (loser.status, winner.status) == (75, 0)
        assert (loser.count("tick_lost"), winner.count("tick_completed")) == (1, 1)
        pairs.append(started.account.pair())

    assert [one for one, _ in groupby(pairs)] == [("10", "false"), ("50", "false"), ("100", "true")]
    assert weights_written(watched) == ["50", "100"]  # once each; 10 was the start's
    assert started.account.others() == OTHERS
    status = started.status()
    assert (status["phase"], status["weight"], status["label"]) == (
        "succeeded",
        100,
        "no regression detected",
    )
    assert started.kinds() == [
        "started", "applied", "advanced", "applied", "advanced", "applied", "succeeded",
    ]  # fmt: skip
    table = Table.of(started.account)
    assert table.version - created.version == sum(map(saves_a_rollout, watched.calls))
    assert table.entries == list(range(1, len(table.entries) + 1))


@pytest.mark.deep  # the walk above shows the lease, and tests/chaos pairs that lower
def test_of_two_ticks_at_once_one_rolls_a_failing_release_back(
    started: Desk, program: Program, watched: Proxy
) -> None:
    def serve_traffic() -> None:
        if started.account.pair() == ("0", "false"):
            started.serve_directly(14 * MINUTE)
        else:
            started.serve(16 * MINUTE, failing=3)

    for _ in range(3):
        serve_traffic()
        loser, winner = pair(started, program, watched)
        assert (loser.status, winner.status) == (75, 0)

    assert started.account.pair() == ("0", "false")
    assert weights_written(watched) == ["0"]
    assert started.kinds() == ["started", "applied", "rolling_back", "rolled_back", "leak_checked"]
    assert started.status()["reason"] == "gate_failed"


@pytest.mark.parametrize(
    ("failing", "operation"),
    deep_after(
        2,
        [
            pytest.param(0, "UpdateFunctionConfiguration", id="is about to raise"),
            pytest.param(0, "TransactWriteItems", id="is about to save that it raises"),
            pytest.param(0, "GetFunctionConfiguration", id="is about to look"),
            pytest.param(0, "GetMetricData", id="is about to measure"),
            pytest.param(3, "UpdateFunctionConfiguration", id="is about to lower"),
            pytest.param(3, "TransactWriteItems", id="is about to save that it lowered"),
        ],
    ),
)
def test_a_rollback_by_hand_wins_over_a_tick_that(
    started: Desk, program: Program, watched: Proxy, operation: str, failing: int
) -> None:
    started.serve(72 * MINUTE, failing=failing)
    now = program.at(started.now)
    with watched.holding(named(operation)) as held:
        tick = now.begin("tick", "--json")
        held.wait()
        rollback = now.run("rollback", ROLLOUT, "--reason", "customers called", "--json")
        # The rollback did not wait: the tick is still held.
        after_rollback, tick_ended = started.account.pair(), tick.has_ended()
        held.free()
        ticked = tick.answer()

    assert (rollback.status, after_rollback, tick_ended) == (0, ("0", "false"), False)
    assert ticked.status in (0, 75)
    assert started.account.pair() == ("0", "false")
    kinds = started.kinds()
    assert (kinds.count("rolling_back"), kinds.count("rolled_back")) == (1, 1)
    assert started.status()["phase"] == "rolled_back"
    started.move_clock(MINUTE)
    assert started.tick().status == 0  # the lease is free, and nothing is left to do
    assert started.account.pair() == ("0", "false")
    assert started.kinds() == kinds
