"""Starts, and every refusal of one: a refused start changes nothing."""

from typing import Final

import pytest

from tests.e2e.account import FUNCTION, PERCENTAGE, POLICY
from tests.e2e.on_call import HOUR, MINUTE, Desk

pytestmark = pytest.mark.ministack


REFUSED: Final[dict[str, tuple[dict[str, str], tuple[str, ...]]]] = {
    "nothing was measured to compare with: a fixed value is suggested": (
        {f"Flag: {FUNCTION}": "Flag: x"},
        (
            "SC-003-frozen: direct_duration (p95) of {Flag: x, Path: stable} has no data",
            "baseline: {fixed: ...}",
        ),
    ),
    "there is no such function": (
        {FUNCTION: "Misspelt"}, ("Misspelt", "ResourceNotFoundException"),
    ),
}  # fmt: skip


def test_a_policy_that_does_not_fit_the_account_is_not_started(desk: Desk) -> None:
    function = desk.account.revision()
    for case, (words, expected) in REFUSED.items():
        answer = desk.run("start", desk.another_policy(**words))
        missing = [part for part in expected if part not in answer.err]
        assert (answer.status, missing) == (2, []), case
    assert desk.account.revision() == function

    desk.account.change(**{PERCENTAGE: "50"})
    answer = desk.run("start", POLICY)
    assert answer.status == 2
    assert "the canary has 50% already" in answer.err
    assert desk.account.pair() == ("50", "false")
    assert desk.run("status").out == "no active rollout\n"


def test_a_running_rollout_is_neither_started_again_nor_replaced_by_another_policy(
    desk: Desk,
) -> None:
    first = desk.start()
    function, store = desk.account.revision(), desk.stored()

    again = desk.start()

    assert (first["id"], first["new"]) == ("execution-api#1", True)
    assert (again["id"], again["new"]) == ("execution-api#1", False)
    assert (desk.account.revision(), desk.stored()) == (function, store)

    other = desk.run("start", desk.another_policy(**{"name: execution-api": "name: other-api"}))

    assert other.status == 2
    assert "execution-api#1" in other.err
    assert (desk.account.revision(), desk.stored()) == (function, store)
    assert desk.run("history", "other-api").status == 2


def test_a_revision_that_was_rolled_back_does_not_come_back_by_itself(desk: Desk) -> None:
    """A retry brings it back, once its baseline is of the stable path alone."""
    desk.start()
    desk.serve(30 * MINUTE, failing=3)
    assert desk.tick().data["rollouts"][0]["phase"] == "rolled_back"

    answer = desk.run("start", POLICY)

    assert answer.status == 4
    assert "rolloutctl retry execution-api#1 --reason TEXT" in answer.err
    assert desk.account.pair() == ("0", "false")

    retry = ("retry", "execution-api", "--reason", "the backend was down", "--json")
    too_early = desk.run(*retry)
    desk.account.call_directly(desk.now, desk.now + 25 * HOUR)
    desk.move_clock(25 * HOUR)
    answer = desk.run(*retry)

    assert too_early.status == 2
    assert "its window overlaps execution-api#1" in too_early.err
    assert (answer.status, answer.data["id"]) == (0, "execution-api#2")
    assert desk.account.pair() == ("10", "false")
    assert "retried: the backend was down" in desk.history()[0]["sentence"]
    assert desk.kinds("execution-api#1")[-1] == "rolled_back"
