"""External changes of the function during a rollout, and rollbacks by an operator."""

import pytest

from tests.e2e.account import BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Desk

pytestmark = pytest.mark.ministack

BARE = ("--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", BOOLEAN)


def test_a_weight_raised_outside_pauses_the_rollout_and_is_left_alone(desk: Desk) -> None:
    desk.start()
    desk.account.change(**{PERCENTAGE: "50"})
    function = desk.account.revision()

    desk.serve(5 * MINUTE)
    first = desk.tick()
    desk.serve(2 * 60 * MINUTE)
    second = desk.tick()

    assert (first.status, second.status) == (6, 0)  # drift is reported once
    assert [event["severity"] for event in first.events if event["event"] == "notice_sent"] == [
        "critical"
    ]
    assert desk.status()["phase"] == "paused"
    assert desk.account.revision() == function
    assert desk.account.pair() == ("50", "false")


def test_a_weight_set_to_0_outside_ends_the_rollout(desk: Desk) -> None:
    desk.start()
    desk.account.change(**{PERCENTAGE: "0"})

    desk.serve(5 * MINUTE)

    assert desk.tick().status == 0
    status = desk.status()
    assert (status["phase"], status["reason"]) == ("rolled_back", "found_at_zero")


def test_what_a_deployment_changes_between_two_ticks_survives_the_next_raise(desk: Desk) -> None:
    desk.start()
    desk.serve(72 * MINUTE)
    desk.account.change(DATABASE_URL="postgres://elsewhere", ADDED="=new=")

    assert desk.tick().status == 0

    assert desk.account.pair() == ("50", "false")
    assert desk.account.others() == {
        **OTHERS,
        "DATABASE_URL": "postgres://elsewhere",
        "ADDED": "=new=",
    }


def test_a_weight_without_a_rollout_is_rolled_back_by_a_policy_and_by_bare_names(
    desk: Desk,
) -> None:
    for by in ((POLICY,), BARE):
        desk.account.change(**{PERCENTAGE: "100", BOOLEAN: "true"})

        answer = desk.run("rollback", *by)

        assert answer.status == 0
        assert "0% is applied" in answer.out
        assert desk.account.pair() == ("0", "false")
        assert desk.account.others() == OTHERS
