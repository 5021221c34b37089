"""doctor: what it refuses before its first call."""

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness


@pytest.mark.parametrize("role", ["tick", "arn:aws:sts::123456789012:assumed-role/tick/me", "*"])
def test_what_is_no_role_is_refused(desk: CliHarness, role: str) -> None:
    ended = desk.run("doctor", desk.policy, "--role", role)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "--role is the ARN of a role or a user" in ended.err
    assert not desk.world.calls


def test_a_wrong_policy_is_reported_before_any_check(desk: CliHarness) -> None:
    wrong = desk.another_policy("other", steps=[])
    assert desk.run("doctor", wrong).status == Exit.USAGE
    assert not desk.world.calls
