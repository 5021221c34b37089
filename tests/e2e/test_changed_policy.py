"""A rollout whose stored policy was loosened: it can be rolled back, and never advances."""

import pytest

from controller.errors import Exit
from tests.e2e.fleet import Fleet
from tests.e2e.on_call import MINUTE, Desk
from tests.e2e.program import Program
from tests.e2e.stored_items import ON_BOTH_STORES
from tests.support.damage import LOOSENED

pytestmark = pytest.mark.ministack

ROLLOUT_ID = "execution-api#1"


@ON_BOTH_STORES
def test_a_failing_canary_keeps_its_weight_until_an_operator_rolls_it_back(
    started: Desk, store_url: str, program: Program
) -> None:
    Fleet(started, store_url).damage(ROLLOUT_ID, LOOSENED)
    weights, statuses = set[tuple[str, str]](), set[int]()
    for _ in range(4):
        started.serve(30 * MINUTE, failing=20)
        tick = program.at(started.now).run("tick", "--scheduled", "--json")
        statuses.add(tick.status)
        weights.add(started.account.pair())
        assert tick.data["rollouts"][0]["problem"]
    assert (weights, statuses) == ({("10", "false")}, {Exit.INTERNAL})

    here = program.at(started.now)
    assert here.run("promote", ROLLOUT_ID, "--reason", "up").status == Exit.INTERNAL
    assert started.account.pair() == ("10", "false")

    back = here.run("rollback", ROLLOUT_ID, "--by", "oncall", "--json")
    assert (back.status, back.data["phase"]) == (Exit.DONE, "rolled_back")
    assert started.account.pair() == ("0", "false")

    history = here.run("history", ROLLOUT_ID, "--json")
    assert history.status == Exit.INTERNAL
    assert (history.data["chain_valid"], history.data["policy_valid"]) == (True, False)
    last = history.data["entries"][-1]
    assert (last["kind"], last["by"]) == ("rolled_back", "oncall")
    assert last["caller"].startswith("arn:aws:")
    saves = [event for event in back.events if event["event"] == "rollout_saved"]
    assert [save["chain"] for save in saves][-1] == last["hash"]
    assert here.run("replay", ROLLOUT_ID).status == Exit.CHECK_FAILED
