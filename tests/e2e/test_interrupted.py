"""Ticks that are killed at the worst calls; test_faults.py has lost answers."""

import pytest

from tests.e2e.account import OTHERS
from tests.e2e.calls import named
from tests.e2e.held_calls import Way
from tests.e2e.on_call import MINUTE, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE, Table
from tests.support.deep_rows import deep_after

pytestmark = [pytest.mark.ministack, ON_A_TABLE]


@pytest.mark.parametrize(
    ("call", "way", "weight"),
    deep_after(
        1,
        [
            pytest.param("UpdateFunctionConfiguration", Way.ON, "50", id="as it raised"),
            pytest.param("TransactWriteItems", Way.NOT_MADE, "10", id="before it saved"),
            pytest.param("UpdateFunctionConfiguration", Way.NOT_MADE, "10", id="before it raised"),
        ],
    ),
)
def test_what_a_killed_tick_left_is_finished_once_its_lease_is_over(
    started: Desk, program: Program, watched: Proxy, call: str, way: Way, weight: str
) -> None:
    started.serve(72 * MINUTE)
    with watched.holding(named(call)) as held:
        killed = program.at(started.now).begin("tick")
        held.wait()
        killed.kill()
        held.free(way)
    started.account.revision()  # this waits until the update is over
    assert started.account.pair() == (weight, "false")
    before = Table.of(started.account).items

    started.serve(MINUTE)
    lost_tick = started.tick()
    after_lost_tick = Table.of(started.account).items
    started.serve(2 * MINUTE)
    after_the_lease = started.tick()

    assert (lost_tick.status, lost_tick.count("tick_lost"), after_lost_tick == before) == (
        75,
        1,
        True,
    )
    assert after_the_lease.status == 0
    assert started.account.pair() == ("50", "false")
    assert started.account.others() == OTHERS
    kinds = [kind for kind in started.kinds() if kind != "write_retried"]
    assert kinds == ["started", "applied", "advanced", "applied"]
