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


def test_a_visit_costs_five_calls_and_finding_the_rollouts_one_more(
    started: Desk, program: Program, watched: Proxy
) -> None:
    started.serve(10 * MINUTE)
    visit = [TAKE, OWNERS, LOOK, MEASURE, SAVE]
    for words, expected in (
        ((f"{ROLLOUT}#1",), visit),
        ((), ["Query"]),  # it is not due yet
        (("--early",), ["Query", *visit]),
    ):
        before = len(watched.calls)

        assert program.at(started.now).run("tick", *words).status == 0

        assert [call.operation for call in watched.calls[before:]] == expected
