"""External changes of the function during a rollout, and rollbacks by an operator."""

from pathlib import Path

import pytest

from tests.e2e.account import BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Desk
from tests.support.deep_rows import deep_after

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
    assert [one["severity"] for one in first.events if one["event"] == "notice_sent"] == [
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


@pytest.mark.parametrize(
    "by",
    deep_after(
        2,
        [
            pytest.param(("execution-api",), id="by its name"),
            pytest.param(BARE, id="by bare names"),
            pytest.param(("execution-api#1",), id="by the rollout's id"),
            pytest.param((POLICY,), id="by its policy"),
        ],
    ),
)
def test_a_running_rollout_is_rolled_back(desk: Desk, by: tuple[str | Path, ...]) -> None:
    desk.start()

    answer = desk.run("rollback", *by)

    assert answer.status == 0
    assert desk.account.pair() == ("0", "false")
    assert desk.account.others() == OTHERS
    desk.move_clock(MINUTE)
    assert desk.tick().status == 0
    assert desk.status()["phase"] == "rolled_back"
    assert desk.run("status", "execution-api", "--exit-code").status == 4


@pytest.mark.parametrize(
    "by",
    [pytest.param((POLICY,), id="by a policy"), pytest.param(BARE, id="by bare names")],
)
def test_a_weight_without_a_rollout_is_rolled_back_as_well(
    desk: Desk, by: tuple[str | Path, ...]
) -> None:
    desk.account.change(**{PERCENTAGE: "100", BOOLEAN: "true"})

    answer = desk.run("rollback", *by)

    assert answer.status == 0
    assert "0 % is applied" in answer.out
    assert desk.account.pair() == ("0", "false")
    assert desk.account.others() == OTHERS


def test_the_history_of_a_rollback_has_its_reason_and_author(desk: Desk) -> None:
    desk.start()

    desk.run("rollback", "execution-api", "--reason", "customers called")

    entry = next(one for one in desk.history() if one["kind"] == "rolling_back")
    assert (entry["by"], entry["reason"]) == ("oncall", "rollback_requested")
    assert "customers called" in entry["sentence"]
