"""iam: what AWS would refuse is counted before it is printed, with what to do instead."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from controller.errors import Exit
from controller.tools.iam.verb import (
    INLINE_CHARACTERS,
    MANAGED_CHARACTERS,
    PARAMETER_BYTES,
    document_characters,
)
from tests.cli.conftest import CliHarness, Ended
from tests.support.stage import SHORT_POLICY

HERE: Final = ("--account", "123456789012", "--region", "eu-central-1")
TABLE: Final = ("--store", "dynamodb://rollouts")
MOST: Final = 80

Run = Callable[[int], Ended]


@pytest.fixture
def policies(desk: CliHarness) -> list[str]:
    """The files of many policies, each with another function."""
    return [
        desk.another_policy(
            f"policy-{number}",
            target={**SHORT_POLICY["target"], "function": f"a-function-of-number-{number}"},
        )
        for number in range(MOST)
    ]


def first_refused(run: Run) -> tuple[int, Ended]:
    """Return the least number of policies that is refused, and the refusal."""
    fits, refused = 0, MOST
    while refused - fits > 1:
        middle = (fits + refused) // 2
        if run(middle).status == Exit.DONE:
            fits = middle
        else:
            refused = middle
    return refused, run(refused)


def test_a_document_that_no_role_can_have_is_refused(desk: CliHarness, policies: list[str]) -> None:
    def run(number: int) -> Ended:
        return desk.run("iam", *policies[:number], *HERE, *TABLE)

    number, refused = first_refused(run)
    last = run(number - 1)
    assert document_characters(last.data) <= INLINE_CHARACTERS
    assert refused.status == Exit.USAGE
    assert f"AWS takes {INLINE_CHARACTERS:,} in the inline policies of a role" in refused.err
    assert f"as a managed policy ({MANAGED_CHARACTERS:,} characters at most)" in refused.err
    parts = desk.run("iam", *policies[: number // 2], *HERE, *TABLE)
    assert document_characters(parts.data) <= MANAGED_CHARACTERS


def test_a_document_that_is_too_long_for_a_managed_policy_is_noted(
    desk: CliHarness, policies: list[str]
) -> None:
    for number in range(1, 30):
        ended = desk.run("iam", *policies[:number], *HERE, *TABLE)
        if ended.status != Exit.DONE:
            break
        is_long = document_characters(ended.data) > MANAGED_CHARACTERS
        assert ("make it an inline policy of the role" in ended.err) is is_long
    else:
        pytest.fail("no document was refused")


@pytest.mark.parametrize(
    ("bound", "limit"),
    [
        ("--bound", f"characters, and AWS takes {INLINE_CHARACTERS:,}: "),
        ("--unbound", f"bytes, and CloudFormation takes {PARAMETER_BYTES:,}: "),
    ],
)
def test_parameters_that_a_stack_cannot_have_are_refused(
    desk: CliHarness, policies: list[str], bound: str, limit: str
) -> None:
    def run(number: int) -> Ended:
        return desk.run("iam", *policies[:number], "--parameters", *HERE, bound)

    number, refused = first_refused(run)
    last = run(number - 1)
    values = dict(line.split("=", 1) for line in last.out.splitlines()).values()
    assert max(len(value.encode()) for value in values) <= PARAMETER_BYTES
    assert refused.status == Exit.USAGE
    assert limit in refused.err
    assert "iam --parameters --bound A.yaml B.yaml, with CreateTable=no" in refused.err


def test_white_space_does_not_count() -> None:
    document = {"Statement": [{"Sid": "A B", "Action": ["a", "b"]}]}
    text = json.dumps(document, separators=(",", ":"))
    assert document_characters(document) == len(text) - len(" ")
