"""A dry run reads everything, prints what it would do, and changes nothing."""

from pathlib import Path

import pytest

from tests.e2e.account import BOOLEAN, FUNCTION, PERCENTAGE, POLICY
from tests.e2e.on_call import MINUTE, Desk

pytestmark = pytest.mark.ministack

BARE = ("--function", FUNCTION, "--percentage", PERCENTAGE, "--boolean", BOOLEAN)


def test_a_start_is_shown_and_not_made(desk: Desk) -> None:
    function = desk.account.revision()

    answer = desk.run("start", POLICY, "--dry-run", "--json")

    assert answer.status == 0
    assert f"set {FUNCTION} to 10 %" in answer.data["would"]
    assert desk.account.revision() == function
    assert "there is no store at " in desk.run("status").err


@pytest.mark.parametrize(
    ("command", "would"),
    [
        pytest.param(("tick",), f"set {FUNCTION} to 50 %", id="a tick that would advance"),
        pytest.param(
            ("rollback", "execution-api"), f"lower {FUNCTION} to 0 %", id="a rollback of a rollout"
        ),
        pytest.param(("rollback", POLICY), f"lower {FUNCTION} to 0 %", id="a rollback of a policy"),
        pytest.param(
            ("rollback", *BARE), f"lower {FUNCTION} to 0 %", id="a rollback by bare names"
        ),
    ],
)
def test_a_move_is_shown_and_not_made(
    desk: Desk, command: tuple[str | Path, ...], would: str
) -> None:
    desk.start()
    desk.serve(72 * MINUTE)
    function, store = desk.account.revision(), desk.stored()

    answer = desk.run(*command, "--dry-run", "--json")

    assert answer.status == 0
    assert would in answer.data["would"]
    assert (desk.account.revision(), desk.stored()) == (function, store)
    assert desk.account.pair() == ("10", "false")
