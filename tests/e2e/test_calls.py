"""The AWS calls of a process whose tick changes nothing."""

import pytest

from tests.e2e.on_call import MINUTE, ROLLOUT, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE

pytestmark = [pytest.mark.ministack, ON_A_TABLE]

TAKE, LOOK, MEASURE, SAVE = (
    "UpdateItem", "GetFunctionConfiguration", "GetMetricData", "UpdateItem",
)  # fmt: skip


@pytest.mark.parametrize(
    ("named", "found"),
    [
        pytest.param([f"{ROLLOUT}#1"], [], id="named by its id"),
        pytest.param([], ["Query"], id="found by the tick"),
    ],
)
def test_a_rollout_costs_four_calls_when_it_is(
    started: Desk, program: Program, watched: Proxy, named: list[str], found: list[str]
) -> None:
    started.serve(10 * MINUTE)

    assert program.at(started.now).run("tick", *named).status == 0

    assert [call.operation for call in watched.calls] == [*found, TAKE, LOOK, MEASURE, SAVE]
