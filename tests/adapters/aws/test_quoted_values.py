"""What may quote a variable of the request, and what AWS says that does not."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from controller.adapters.aws.clients import may_quote
from tests.support.planted_secrets import PLANTED, quoting

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:shop"
ORDINARY = {
    "LOG_LEVEL": "error",
    "STAGE": "production",
    "REGION": "eu-central-1",
    "ACCOUNT": "123456789012",
    "QUEUE": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
    "ROLE": "arn:aws:iam::123456789012:role/other",
    "ON": "1",
    "EMPTY": "",
}
AWS_WORDS = (
    "User: arn:aws:sts::123456789012:assumed-role/tick/1 is not authorized to perform: "
    f"lambda:UpdateFunctionConfiguration on resource: {FUNCTION} because no identity-based policy "
    "allows the lambda:UpdateFunctionConfiguration action",
    f"Function not found: {FUNCTION}",
    "The operation cannot be performed at this time. An update is in progress for resource: "
    f"{FUNCTION}",
    "The Revision Id provided does not match the latest Revision Id. Call the "
    "GetFunction/GetAlias API to retrieve the latest Revision Id",
    "Rate exceeded",
    "The security token included in the request is expired",
    "Lambda was unable to decrypt the environment variables because KMS access was denied. Please "
    "check the function's KMS key settings.",
)


@pytest.mark.parametrize("words", AWS_WORDS)
def test_the_words_of_aws_about_the_caller_and_the_function_stay(words: str) -> None:
    assert not may_quote(words, ORDINARY)
    assert not may_quote(words, PLANTED)


@pytest.mark.parametrize("how", quoting({"A": "b"}))
def test_a_whole_environment_is_found_however_it_is_quoted(how: str) -> None:
    assert may_quote(quoting(PLANTED)[how], PLANTED)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON twice": lambda value: json.dumps(json.dumps(value)),
    "Python": repr,
    "a URL": quote,
    "a form": quote_plus,
    "HTML": html.escape,
    "base64": lambda value: base64.b64encode(f"matched: {value}".encode()).decode(),
    "base64 of URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
}


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("name", PLANTED)
def test_a_value_is_found_without_its_name(name: str, how: str) -> None:
    value = PLANTED[name]
    assert may_quote(f"blocked by rule 7: {SPELLINGS[how](value)}", {name: value})


@pytest.mark.parametrize("part", [slice(12), slice(-12, None), slice(5, 17)])
def test_a_piece_of_a_value_is_found(part: slice) -> None:
    token = "tok3n5ecr3tabcdefGHIJKL012345"
    assert may_quote(f"blocked: ...{token[part]}...", {"TOKEN": token})


def test_an_arn_that_is_a_value_is_found() -> None:
    assert may_quote(f"blocked: {ORDINARY['ROLE']}", ORDINARY)


def test_an_arn_hides_nothing_that_follows_it() -> None:
    assert may_quote(f"{FUNCTION},TOKEN=hidden", {"TOKEN": "another"})
    assert may_quote(f"{FUNCTION},hidden", {"TOKEN": "hidden"})


def test_a_short_value_counts_as_a_word() -> None:
    assert may_quote("blocked: pin=1", {"XY": "1"})
    assert not may_quote("request 7f1c failed", {"XY": "1"})
