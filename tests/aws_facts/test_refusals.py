"""Refused, throttled, conflicting and denied calls, over the wire: what each of them means."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import (
    ATTEMPTS,
    AWS_ERRORS,
    SHORT_LIMITS,
    Clients,
    error_text,
    is_conflict,
    is_denied,
    is_transient,
)
from controller.tools.simulation.fakes.errors import apply_outage
from tests.aws_facts.published import SERVICES, WORTH_ANOTHER_ATTEMPT, facts
from tests.support.aws_stub import JSON, Endpoint, responds

REFUSALS: Final = [
    pytest.param(facts(service)["call"], refusal, id=f"{service}: {refusal['name']}")
    for service in SERVICES
    for refusal in facts(service).get("refusals", ())
]
# Of these botocore makes another attempt itself.
REPEATED: Final = ("throttled", "passing")
BY_QUERY: Final = ("elbv2", "iam", "sns")


def answer(service: str, refusal: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the body and the type of an answer; in JSON its message is spelt in either way."""
    code, message = refusal["code"], refusal["message"]
    if service in BY_QUERY:
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        return f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode(), "text/xml"
    return json.dumps({"__type": code, "Message": message, "message": message}).encode(), JSON


@pytest.mark.parametrize(("call", "refusal"), REFUSALS)
def test_a_refusal_means_what_it_means_to_aws(
    endpoint: Endpoint, call: Mapping[str, Any], refusal: Mapping[str, Any]
) -> None:
    service = call["service"]
    body, kind = answer(service, refusal)
    endpoint.answers.append(responds(body, refusal["status"], kind))
    client, name = Clients(pause_s=0).get(service), call["operation"]
    method = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
    with pytest.raises(AWS_ERRORS) as raised:
        method(**call["request"])
    error, means = raised.value, refusal["means"]
    assert is_transient(error) is (means in WORTH_ANOTHER_ATTEMPT)
    assert is_conflict(error) is (means == "conflict")
    assert is_denied(error) is (means == "denied")
    attempts = SHORT_LIMITS[service].attempts if service in SHORT_LIMITS else ATTEMPTS
    assert len(endpoint.requests) == (attempts if means in REPEATED else 1)
    text = error_text("it failed", error)
    assert refusal["code"] in text
    assert "proxy" not in text
    assert "None" not in text


OUTAGES: Final = {"throttle": "throttled", "error": "passing", "denied": "denied"}


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("service", ["lambda", "cloudwatch"])
def test_an_outage_of_a_fake_is_an_answer_of_aws(service: str, outage: str) -> None:
    """In code, in status, and so in what it means. A service may spell throttling in two ways."""
    with pytest.raises(ClientError) as raised:
        apply_outage(service, "GetAlias", outage, dict)
    response = raised.value.response
    found = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    known = {
        (one["code"], one["status"])
        for one in facts(service)["refusals"]
        if one["means"] == OUTAGES[outage]
    }
    assert not known or found in known
