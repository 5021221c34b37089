"""A dry run reads everything, prints what it would do, and changes nothing."""

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Desk

pytestmark = pytest.mark.ministack

BARE = ("--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", BOOLEAN)


def test_a_start_is_shown_and_not_made(desk: Desk) -> None:
    function = desk.account.revision()

    answer = desk.run("start", POLICY, "--dry-run", "--json")

    assert answer.status == 0
    assert f"set {FUNCTION} to 10%" in answer.data["would"]
    assert desk.account.revision() == function
    assert "there is no store at " in desk.run("status").err


MOVES: Final[dict[str, tuple[tuple[str | Path, ...], str]]] = {
    "a tick that would advance": (("tick",), f"set {FUNCTION} to 50%"),
    "a rollback of a rollout": (("rollback", "execution-api"), f"lower {FUNCTION} to 0%"),
    "a rollback of a policy": (("rollback", POLICY), f"lower {FUNCTION} to 0%"),
    "a rollback by bare names": (("rollback", *BARE), f"lower {FUNCTION} to 0%"),
}


def test_a_move_is_shown_and_not_made(desk: Desk) -> None:
    desk.start()
    desk.serve(72 * MINUTE)
    function, store = desk.account.revision(), desk.stored()

    for case, (command, would) in MOVES.items():
        answer = desk.run(*command, "--dry-run", "--json")

        assert (answer.status, would in answer.data["would"]) == (0, True), case
        assert (desk.account.revision(), desk.stored()) == (function, store), case
    assert desk.account.pair() == ("10", "false")
