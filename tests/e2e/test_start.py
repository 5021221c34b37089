"""Starts, and every refusal of one: a refused start changes nothing."""

import pytest

from tests.e2e.account import FUNCTION, PERCENTAGE, POLICY
from tests.e2e.on_call import HOUR, MINUTE, Desk

pytestmark = pytest.mark.ministack


def rolled_back(desk: Desk) -> None:
    """Start, and let the release fail at 10 %."""
    desk.start()
    desk.serve(30 * MINUTE, failing=3)
    assert desk.tick().data["rollouts"][0]["phase"] == "rolled_back"


def test_a_canary_that_has_traffic_already_is_not_started(desk: Desk) -> None:
    desk.account.change(**{PERCENTAGE: "50"})
    before = desk.account.revision()

    answer = desk.run("start", POLICY)

    assert answer.status == 2
    assert "the canary has 50 % already" in answer.err
    assert desk.account.revision() == before
    assert desk.run("status").out == "no active rollout\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            {"Path: stable": "Path: nobody"},
            ("SC-003-frozen: direct_duration (p95) has no data", "baseline: {fixed: ...}"),
            id="nothing was measured to compare with: a fixed value is suggested",
        ),
        pytest.param(
            {FUNCTION: "Misspelt"},
            ("Misspelt", "ResourceNotFoundException"),
            id="there is no such function",
        ),
    ],
)
def test_a_policy_that_does_not_fit_the_account_is_not_started(
    desk: Desk, words: dict[str, str], expected: tuple[str, ...]
) -> None:
    answer = desk.run("start", desk.another_policy(**words))

    assert answer.status == 2
    assert [part for part in expected if part not in answer.err] == []
    assert desk.account.pair() == ("0", "false")
    assert desk.run("status").out == "no active rollout\n"


def test_starting_the_same_revision_again_changes_nothing(desk: Desk) -> None:
    first = desk.start()
    function, store = desk.account.revision(), desk.stored()

    again = desk.start()

    assert (first["id"], first["new"]) == ("execution-api#1", True)
    assert (again["id"], again["new"]) == ("execution-api#1", False)
    assert (desk.account.revision(), desk.stored()) == (function, store)


def test_a_second_policy_on_the_same_function_is_refused_with_the_owners_name(desk: Desk) -> None:
    desk.start()
    another = desk.another_policy(**{"name: execution-api": "name: other-api"})

    answer = desk.run("start", another)

    assert answer.status == 2
    assert "execution-api#1" in answer.err
    assert desk.account.pair() == ("10", "false")
    assert desk.run("history", "other-api").status == 2


def test_a_revision_that_was_rolled_back_does_not_come_back_by_itself(desk: Desk) -> None:
    rolled_back(desk)

    answer = desk.run("start", POLICY)

    assert answer.status == 4
    assert "rolloutctl retry execution-api#1 --reason TEXT" in answer.err
    assert desk.account.pair() == ("0", "false")


def test_a_retry_is_a_second_attempt_once_its_baseline_is_of_the_stable_path_alone(
    desk: Desk,
) -> None:
    rolled_back(desk)
    retry = ("retry", "execution-api", "--reason", "the backend was down", "--json")

    too_early = desk.run(*retry)
    desk.account.call_directly(desk.now, desk.now + 25 * HOUR)
    desk.move_clock(25 * HOUR)
    answer = desk.run(*retry)

    assert too_early.status == 2
    assert "its window overlaps execution-api#1" in too_early.err
    assert answer.status == 0
    assert answer.data["id"] == "execution-api#2"
    assert desk.account.pair() == ("10", "false")
    assert "retried: the backend was down" in desk.history()[0]["sentence"]
    assert desk.kinds("execution-api#1")[-1] == "rolled_back"
