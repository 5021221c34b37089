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


def test_a_test_message_is_sent_with_the_rights_of_the_caller(desk: CliHarness) -> None:
    role = "arn:aws:iam::123456789012:role/tick"
    ended = desk.run("doctor", desk.policy, "--role", role, "--test-message", "info")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert not desk.world.calls


def test_a_test_message_needs_no_store_and_moves_nothing(
    desk: CliHarness, message_kinds: list[str]
) -> None:
    policy = desk.another_policy("other", notify=[{"kind": "eventbridge"}])
    ended = desk.run("doctor", policy, "--test-message", "critical", "--json")
    assert (ended.status, message_kinds) == (Exit.DONE, ["test"])
    assert [(one["what"], one["level"]) for one in ended.data["checks"]] == [
        ("eventbridge default", "ok")
    ]
    assert not desk.store.exists()
    assert not desk.world.calls


def test_doctor_sends_nothing_unless_it_is_asked_to(
    desk: CliHarness, message_kinds: list[str]
) -> None:
    policy = desk.another_policy("other", notify=[{"kind": "eventbridge"}])
    desk.run("doctor", policy)
    assert message_kinds == []
