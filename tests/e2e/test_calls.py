"""The AWS calls of a process whose tick changes nothing."""

import pytest

from tests.e2e.on_call import MINUTE, ROLLOUT, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE

pytestmark = [pytest.mark.ministack, ON_A_TABLE]

TAKE, OWNERS, LOOK, MEASURE, SAVE = (
    "UpdateItem", "BatchGetItem", "GetFunctionConfiguration", "GetMetricData", "UpdateItem",
)  # fmt: skip


def test_a_rollout_costs_five_calls_and_all_of_them_one_more_when_the_tick_finds_them(
    started: Desk, program: Program, watched: Proxy
) -> None:
    started.serve(10 * MINUTE)
    for words, found in (((f"{ROLLOUT}#1",), []), ((), ["Query"])):
        before = len(watched.calls)

        assert program.at(started.now).run("tick", *words).status == 0

        calls = [call.operation for call in watched.calls[before:]]
        assert calls == [*found, TAKE, OWNERS, LOOK, MEASURE, SAVE]
