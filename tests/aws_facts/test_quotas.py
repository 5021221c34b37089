"""Quotas of AWS: what is printed or deployed is counted by them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from moto import mock_aws

from controller.adapters.cloudformation import Stack, as_yaml
from controller.adapters.iam import Job
from controller.errors import MonitoringError, UsageError
from controller.tools.iam import verb as iam_limits
from controller.tools.iam.verb import check_stack, document_note
from controller.tools.simulation.clock import VirtualClock
from tests.adapters.cloudformation.fake_cloudformation import NOON, FakeCloudFormation
from tests.aws_facts.published import facts
from tests.deploy.stack import TEMPLATE, resources
from tests.support.stage import short_policy
from tests.support.tenants import iam_document

INLINE, MANAGED = (one["characters"] for one in facts("iam")["quotas"])
PARAMETER, BODY, STACK_NAME = (
    one.get("bytes") or one["characters"] for one in facts("cloudformation")["quotas"]
)
README: Final = (TEMPLATE.parent / "README.md").read_text(encoding="utf-8")
TICK: Final = iam_document(Job.TICK, short_policy())


def of_size(characters: int) -> dict[str, Any]:
    """Return a policy document with so many characters as IAM counts them."""
    empty = iam_limits.document_characters({"Sid": ""})
    return {"Sid": "x" * (characters - empty)}


def test_the_limits_are_the_quotas() -> None:
    assert INLINE == iam_limits.INLINE_CHARACTERS
    assert MANAGED == iam_limits.MANAGED_CHARACTERS
    assert PARAMETER == iam_limits.PARAMETER_BYTES


def test_a_document_is_refused_from_the_first_character_on_that_iam_refuses() -> None:
    assert document_note(of_size(MANAGED)) == ""
    assert "an inline policy of the role" in document_note(of_size(MANAGED + 1))
    assert document_note(of_size(INLINE))
    with pytest.raises(UsageError, match=f"the document has {INLINE + 1:,} characters"):
        document_note(of_size(INLINE + 1))


def test_a_parameter_is_refused_from_the_first_byte_on_that_cloudformation_refuses() -> None:
    check_stack({"LogsArns": "é" * (PARAMETER // 2)}, TICK)
    with pytest.raises(UsageError, match=f"the parameter LogsArns has {PARAMETER + 1:,} bytes"):
        check_stack({"LogsArns": "é" * (PARAMETER // 2) + "x"}, TICK)


def test_a_stack_is_refused_whose_tick_iam_refuses() -> None:
    check_stack({}, of_size(INLINE))
    with pytest.raises(UsageError, match="the role of the tick would have a policy of 10,241"):
        check_stack({}, of_size(INLINE + 1))


def test_the_template_fits_into_a_request() -> None:
    assert TEMPLATE.stat().st_size <= BODY


def a_template(size: int) -> dict[str, Any]:
    """Return a template with so many bytes."""

    def of(letters: int) -> dict[str, Any]:
        return {"Resources": {"Topic": {"Type": "x" * letters}}}

    return of(size - (len(as_yaml(of(1_000)).encode()) - 1_000))


def test_monitoring_deploys_no_template_that_cloudformation_refuses() -> None:
    """The fake of CloudFormation refuses it, too."""
    assert len(as_yaml(a_template(BODY)).encode()) == BODY
    aws = FakeCloudFormation()
    stack = Stack(aws, VirtualClock(NOON), "shop")
    assert stack.change(None, a_template(BODY), execute=False)[0]
    with pytest.raises(MonitoringError, match=f"has {BODY + 1:,} bytes"):
        stack.change(None, a_template(BODY + 1), execute=False)
    with pytest.raises(ClientError, match="templateBody"):
        aws.create_change_set(
            StackName="a", ChangeSetName="a", TemplateBody=as_yaml(a_template(BODY + 1))
        )


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", facts("events")["names"], ids=lambda one: one["of"])
def test_the_length_of_a_name_is_the_one_of_the_api(fact: Mapping[str, Any]) -> None:
    shape = get_session().get_service_model(fact["service"]).shape_for(fact["shape"])
    assert shape.metadata["max"] == fact["characters"]


@pytest.mark.parametrize("fact", facts("events")["names"], ids=lambda one: one["of"])
def test_no_name_of_a_stack_makes_another_one_too_long(fact: Mapping[str, Any]) -> None:
    """A name that CloudFormation makes is cut off where it is too long."""
    for properties in resources(fact["of"]).values():
        for name in _names(properties):
            assert len(name.replace("${AWS::StackName}", "x" * STACK_NAME)) <= fact["characters"]


def _names(properties: Mapping[str, Any]) -> Iterator[str]:
    if "Name" in properties:
        yield properties["Name"]["Fn::Sub"]


# --- resource policies of CloudWatch Logs ---------------------------------------------------------


@pytest.mark.parametrize("fact", facts("logs")["resource_policies"], ids=lambda one: one["of"])
def test_moto_refuses_the_resource_policy_that_cloudwatch_logs_refuses(
    fact: Mapping[str, Any],
) -> None:
    with mock_aws():
        client = boto3.client("logs", region_name="us-east-1")
        for number in range(fact["number"]):
            client.put_resource_policy(policyName=f"p{number}", policyDocument="{}")
        with pytest.raises(ClientError) as refused:
            client.put_resource_policy(policyName="one-more", policyDocument="{}")
    assert refused.value.response["Error"]["Code"] == fact["refused"]


@pytest.mark.parametrize("fact", facts("logs")["resource_policies"], ids=lambda one: one["of"])
def test_the_page_says_how_to_count_them(fact: Mapping[str, Any]) -> None:
    assert {*resources("AWS::Logs::ResourcePolicy")} == {"EndedPolicy"}
    words = {10: "ten"}[fact["number"]]
    assert f"| `EndedPolicy` | an account has {words} resource policies" in README
    assert "aws logs describe-resource-policies" in README


def test_the_page_names_the_quotas_that_the_stack_meets() -> None:
    assert f"a parameter has {PARAMETER:,} bytes" in README
    assert f"the inline policies of a role {INLINE:,} characters" in README


# --- keys that no option prints -------------------------------------------------------------------


@pytest.mark.parametrize("fact", facts("s3")["key"], ids=lambda one: one["action"])
def test_the_pages_name_what_a_status_page_under_a_customers_key_needs(
    fact: Mapping[str, Any],
) -> None:
    """`iam` prints the right on the object alone: the bucket's key is in no policy."""
    document = iam_document(Job.TICK, short_policy())
    assert fact["action"] not in str(document)
    for page in ("docs/security.md", "docs/report.md"):
        assert f"`{fact['action']}`" in Path(page).read_text(encoding="utf-8")
