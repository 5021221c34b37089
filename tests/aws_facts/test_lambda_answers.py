"""What Lambda accepts, answers and refuses, as the adapters take it."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from controller.adapters.targets.lambda_env import IAM
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, environment_bytes
from controller.errors import TargetError, WriteRefusedError
from controller.tools.simulation.world import World
from tests.adapters.targets.odd_lambda import (
    MINUTE,
    READ,
    UPDATE,
    a_world,
    fails,
    meets,
    open_handler,
)
from tests.adapters.targets.test_lambda_alias import Account
from tests.aws_facts.published import WORTH_ANOTHER_ATTEMPT, facts, variables
from tests.support.cases import cases

FACTS: Final = facts("lambda")
ENVIRONMENT: Final = FACTS["environment"]
REFUSALS: Final = {one["name"]: one for one in FACTS["refusals"]}
HANDLER: Final = "handler"


# --- the environment ----------------------------------------------------------------------------


def test_the_limit_of_an_environment_is_the_quota() -> None:
    assert ENVIRONMENT["quota_bytes"] == ENVIRONMENT_BYTES


@pytest.mark.parametrize("row", ENVIRONMENT["rows"], ids=lambda row: str(row["bytes"]))
def test_an_environment_has_the_size_that_lambda_measures(row: Mapping[str, Any]) -> None:
    assert environment_bytes(variables(row)) == row["bytes"]
    assert row["accepted"] is (row["bytes"] <= ENVIRONMENT_BYTES)


def test_room_for_the_weight_is_counted_as_lambda_measures_it() -> None:
    """Names and values alone would fit."""
    world = World()
    refused = next(row for row in ENVIRONMENT["rows"] if not row["accepted"])
    spare = len(json.dumps({"PERCENTAGE": "99", "ENABLED": "false"}, separators=(",", ":"))) - 1
    full = variables(refused)
    full["LARGE_VAR"] = full["LARGE_VAR"][spare:]
    world.add_function(HANDLER, full)
    (obstacle,) = open_handler(world).obstacles()
    assert obstacle.fatal
    assert "would have 4097 bytes as JSON" in obstacle.text


def test_an_environment_that_may_be_too_large_is_a_warning() -> None:
    """How Lambda measures a character outside ASCII is not recorded."""
    world = World()
    world.add_function(HANDLER, {"NAME": "é" * 1_000})
    (obstacle,) = open_handler(world).obstacles()
    assert not obstacle.fatal
    assert "would have up to 6047 bytes as JSON" in obstacle.text


# --- refusals -----------------------------------------------------------------------------------


@cases("refusal", REFUSALS)
def test_a_rollback_ends_at_once_where_another_attempt_is_in_vain(
    refusal: Mapping[str, Any],
) -> None:
    world = a_world()
    error = ClientError(
        {
            "Error": {"Code": refusal["code"], "Message": refusal["message"]},
            "ResponseMetadata": {"HTTPStatusCode": refusal["status"]},
        },
        UPDATE,
    )
    meets(world, UPDATE, fails(error))
    began = world.clock.now()
    with pytest.raises(TargetError, match=refusal["code"]) as refused:
        open_handler(world).lower_to_zero(MINUTE)
    transient = refusal["means"] in WORTH_ANOTHER_ATTEMPT
    assert "None" not in str(refused.value)
    assert isinstance(refused.value, WriteRefusedError) is not transient
    assert (world.clock.now() > began) is transient


# --- revisions and routing ----------------------------------------------------------------------


def test_a_raise_that_lambda_finished_meanwhile_can_be_read_and_written_again() -> None:
    """The revision of the answer is not the one after the update: it must be read."""
    world = a_world()
    target = open_handler(world)
    for weight in (20, 30):
        target.shift_to(weight, target.read().token)
        world.clock.advance(MINUTE)
        assert target.read().weight == weight


def test_an_alias_without_weights_is_at_the_weight_of_its_version() -> None:
    account = Account()
    target = account.open()
    account.routed("1", v2=0.1)
    assert target.read().weight == 10
    target.lower_to_zero(MINUTE)
    assert "RoutingConfig" not in account.world.client("lambda").get_alias(
        FunctionName=HANDLER, Name="live"
    )
    assert target.read().weight == 0


# --- a customer managed key ---------------------------------------------------------------------


def test_a_role_that_writes_an_environment_may_do_with_its_key_what_lambda_does() -> None:
    declared = {one.action for one in IAM if one.action.startswith("kms:")}
    assert declared == {one["action"] for one in FACTS["key"]}
    assert all(one.via == "lambda" for one in IAM if one.action in declared)


@pytest.mark.parametrize("fact", FACTS["key"], ids=lambda one: str(one["action"]))
def test_a_rollback_that_the_key_refuses_names_what_the_role_needs(
    fact: Mapping[str, Any],
) -> None:
    world = a_world()
    message = f"User: arn:aws:sts::1:assumed-role/x is not authorized to perform: {fact['action']}"
    error = ClientError(
        {
            "Error": {"Code": "AccessDeniedException", "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        },
        UPDATE,
    )
    meets(world, UPDATE, fails(error))
    with pytest.raises(WriteRefusedError, match="on the function's key") as refused:
        open_handler(world).lower_to_zero(MINUTE)
    assert all(one["action"] in str(refused.value) for one in FACTS["key"])
    assert READ not in str(refused.value)
