"""A target of another package, in one file: validated, judged, moved from 0 to 100% and back."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from moto import mock_aws

from controller.bootstrap.account import real_account
from controller.cli import main
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import Exit, PolicyError, WriteConflictError
from controller.policy_file.loader import loads
from controller.policy_file.schema import policy_schema
from controller.ports.target import InspectableTarget
from controller.testing import check_target, installed, rehearse
from controller.tools.iam import Job, iam_policy, template_parameters
from tests.examples.dynamodb_flag import DynamoDbFlag

WRITTEN = "{kind: dynamodb-flag, table: flags, flag: new-checkout}"
POLICY = """\
version: 1
name: checkout
target: {kind: dynamodb-flag, table: flags, flag: new-checkout}
metrics:
  requests: {namespace: AWS/ApiGateway, name: Count, statistic: Sum, dimensions: {ApiName: shop}}
  errors: {namespace: AWS/ApiGateway, name: 5XXError, statistic: Sum, dimensions: {ApiName: shop}}
criteria:
  works: {kind: success_rate, judge: sequential, total: requests, failures: [errors], min: 99.9%}
steps:
  - {weight: 10, bake: 10m}
  - {weight: 50, bake: 10m}
  - {weight: 100, bake: 30m}
"""


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with installed(
        "rolloutctl.targets", {"dynamodb-flag": "tests.examples.dynamodb_flag:DynamoDbFlag"}
    ):
        yield


def test_it_keeps_what_every_target_promises() -> None:
    check_target(DynamoDbFlag(kind="dynamodb-flag", table="flags", flag="new-checkout"))


def test_so_does_the_target_of_rolloutctl() -> None:
    check_target(LambdaEnv(kind="lambda-env", function="f", percentage="PERCENT", boolean="ON"))


def test_a_healthy_canary_takes_all_traffic() -> None:
    rehearsed = rehearse(POLICY)
    assert (rehearsed.phase, rehearsed.weights, rehearsed.weight) == (
        "succeeded", (10, 50, 100), 100,
    )  # fmt: skip


def test_a_canary_with_errors_goes_back_to_0() -> None:
    rehearsed = rehearse(POLICY, "error-burst")
    assert (rehearsed.phase, rehearsed.weight) == ("rolled_back", 0)
    assert rehearsed.weights[0] == 10


def test_a_weight_that_a_person_sets_is_drift() -> None:
    assert rehearse(POLICY, "meddling-human").phase == "paused"


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("flags, flag: new-checkout, boolean: ON",
         "p.yaml:3:65: target.boolean: unknown key; known: kind, table, flag"),
        ("f, flag: new-checkout",
         "p.yaml:3:38: target.table: expected the name of a table, not 'f'"),
    ],
)  # fmt: skip
def test_a_mistake_in_it_is_one_line_with_its_place(written: str, line: str) -> None:
    with pytest.raises(PolicyError) as caught:
        loads(POLICY.replace("flags, flag: new-checkout", written), "p.yaml")
    assert line in str(caught.value)


def test_the_schema_for_editors_has_it() -> None:
    schema = policy_schema()
    kinds = schema["properties"]["target"]["oneOf"]
    assert {"$ref": "#/definitions/DynamoDbFlag"} in kinds
    assert schema["definitions"]["DynamoDbFlag"]["required"] == ["kind", "table", "flag"]


def an_item() -> InspectableTarget:
    """Return the adapter of an item that does not exist yet, in a table that does."""
    account = real_account()
    account.client("dynamodb").create_table(
        TableName="flags",
        KeySchema=[{"AttributeName": "flag", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "flag", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return account.open(DynamoDbFlag(kind="dynamodb-flag", table="flags", flag="new-checkout"))


@mock_aws
def test_it_reads_and_writes_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    item = an_item()
    absent = item.read()
    assert (absent.weight, absent.identity.partition(":table/")[2]) == (0, "flags/new-checkout")
    item.shift_to(10, absent.token)
    with pytest.raises(WriteConflictError):
        item.shift_to(50, absent.token)
    item.shift_to(50, item.read().token)
    assert item.read().has_applied(50)
    item.lower_to_zero(timedelta(seconds=5))
    at_zero = item.read()
    item.lower_to_zero(timedelta(seconds=5), outdated_token=at_zero.token)
    with pytest.raises(WriteConflictError):
        item.shift_to(10, at_zero.token)
    assert item.read().has_applied(0)


@mock_aws
def test_bare_names_roll_it_back_without_a_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    item = an_item()
    item.shift_to(50, item.read().token)
    assert main(["rollback", "--table", "flags"]) == Exit.USAGE
    assert "or --table and --flag" in capsys.readouterr().err
    assert item.read().has_applied(50)
    assert main(["rollback", "--table", "flags", "--flag", "new-checkout"]) == Exit.DONE
    assert item.read().has_applied(0)


@mock_aws
def test_a_broken_package_stops_no_rollback_of_another_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    item = an_item()
    item.shift_to(50, item.read().token)
    with installed("rolloutctl.targets", {"broken": "tests.no_such_module:Broken"}):
        assert main(["rollback", "--table", "flags", "--flag", "new-checkout"]) == Exit.DONE
    assert item.read().has_applied(0)


@mock_aws
def test_a_rollback_by_the_names_of_another_kind_does_not_load_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "loaded_by_mistake.py").write_text("")
    with installed("rolloutctl.targets", {"other": "loaded_by_mistake:Other"}):
        main(["rollback", "--function", "f", "--percentage", "PERCENT", "--dry-run"])
    assert "loaded_by_mistake" not in sys.modules


def test_its_permissions_are_printed_and_add_no_parameter_to_the_template() -> None:
    """CloudFormation refuses a parameter that the template does not declare."""
    policy = loads(POLICY, "p.yaml")
    plain = loads(POLICY.replace(WRITTEN, "{kind: lambda-env, function: f, percentage: P_}"), "p")
    where = AwsLocation("123456789012", "eu-west-1", "aws")
    allowed = iam_policy([policy], None, [Job.TICK], where)["Statement"]
    (flag,) = [one for one in allowed if "dynamodb:UpdateItem" in one["Action"]]
    assert flag["Resource"] == ["arn:aws:dynamodb:eu-west-1:123456789012:table/flags"]
    assert template_parameters([policy], where).keys() == template_parameters([plain], where).keys()
