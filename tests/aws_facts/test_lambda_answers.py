"""What Lambda accepts, answers and refuses: the adapters read it, and the fakes do it."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import AWS_ERRORS
from controller.adapters.targets.lambda_environment import IAM
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, environment_bytes
from controller.errors import TargetError, WriteRefusedError
from controller.simulation.world import World
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
from tests.aws_facts.published import WORTH_ANOTHER_ATTEMPT, facts
from tests.support.cases import cases

FACTS: Final = facts("lambda")
ENVIRONMENT: Final = FACTS["environment"]
REFUSALS: Final = {one["name"]: one for one in FACTS["refusals"]}
HANDLER: Final = "handler"


def variables(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a row."""
    named: Mapping[str, str | int] = row["variables"]
    return {name: "x" * one if isinstance(one, int) else one for name, one in named.items()}


def raised(call: Callable[..., Any], **request: Any) -> Exception:
    """Return what a call raises."""
    with pytest.raises(AWS_ERRORS) as error:
        call(**request)
    return error.value


# --- the environment ----------------------------------------------------------------------------


def test_the_limit_of_an_environment_is_the_quota() -> None:
    assert ENVIRONMENT["quota_bytes"] == ENVIRONMENT_BYTES


@pytest.mark.parametrize("row", ENVIRONMENT["rows"], ids=lambda row: str(row["bytes"]))
def test_an_environment_has_the_size_that_lambda_measures(row: Mapping[str, Any]) -> None:
    assert environment_bytes(variables(row)) == row["bytes"]
    assert row["accepted"] is (row["bytes"] <= ENVIRONMENT_BYTES)


@pytest.mark.parametrize("row", ENVIRONMENT["rows"], ids=lambda row: str(row["bytes"]))
def test_the_fake_takes_the_environments_that_lambda_takes(row: Mapping[str, Any]) -> None:
    world = a_world()
    request = {"FunctionName": HANDLER, "Environment": {"Variables": variables(row)}}
    update = world.client("lambda").update_function_configuration
    if row["accepted"]:
        assert update(**request)["Environment"] == request["Environment"]
    else:
        same_answer(raised(update, **request), "an environment of 4,097 bytes")


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


def same_answer(error: Exception, name: str) -> None:
    """Check that a fake refuses as Lambda does. The measured text is not compared."""
    refusal = REFUSALS[name]
    assert isinstance(error, ClientError)
    answer = error.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == refusal["status"]
    assert answer["Error"]["Code"] == refusal["code"]
    assert answer["Error"]["Message"].partition("{")[0] == refusal["message"].partition("{")[0]


def test_the_fake_refuses_as_lambda_does() -> None:
    client = a_world().client("lambda")
    update, read = client.update_function_configuration, client.get_function_configuration
    same_answer(raised(update, FunctionName=HANDLER, RevisionId="an old one"), "an old RevisionId")
    update(FunctionName=HANDLER)
    same_answer(raised(update, FunctionName=HANDLER), "an update during another")
    client = World().client("lambda")
    same_answer(
        raised(client.get_function_configuration, FunctionName=HANDLER),
        "a function that is not there",
    )
    assert read(FunctionName=HANDLER)["LastUpdateStatus"] == "InProgress"


def test_the_fake_of_an_alias_refuses_an_old_revision_as_lambda_does() -> None:
    update = Account().world.client("lambda").update_alias
    request = {"FunctionName": HANDLER, "Name": "live", "RevisionId": "an old one"}
    same_answer(raised(update, **request), "an old RevisionId")


# --- revisions and routing ----------------------------------------------------------------------


def revisions_of_a_function() -> dict[str, tuple[str, str]]:
    """Return the RevisionId before and after each act on the fake."""
    world = a_world()
    client = world.client("lambda")

    def now() -> str:
        revision: str = client.get_function_configuration(FunctionName=HANDLER)["RevisionId"]
        return revision

    first = now()
    accepted = client.update_function_configuration(
        FunctionName=HANDLER, Environment={"Variables": {"PERCENTAGE": "20"}}
    )["RevisionId"]
    world.clock.advance(MINUTE)
    finished = now()
    client.update_function_configuration(
        FunctionName=HANDLER, Environment={"Variables": {"PERCENTAGE": "20"}}
    )
    return {
        "an update is accepted": (first, accepted),
        "an update is finished": (accepted, finished),
        "an update changes nothing": (finished, now()),
    }


def revisions_of_an_alias() -> dict[str, tuple[str, str]]:
    """Return the RevisionId before and after each act on the fake."""
    client = Account().world.client("lambda")
    named = {"FunctionName": HANDLER, "Name": "live"}
    first = client.get_alias(**named)["RevisionId"]
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    accepted = client.update_alias(**named, RoutingConfig=weights)["RevisionId"]
    again = client.update_alias(**named, RoutingConfig=weights)["RevisionId"]
    return {
        "an update is accepted": (first, accepted),
        "an update changes nothing": (accepted, again),
    }


REVISIONS: Final = {"function": revisions_of_a_function, "alias": revisions_of_an_alias}


@pytest.mark.parametrize("fact", FACTS["revisions"], ids=lambda one: f"{one['of']}: {one['act']}")
def test_the_fake_gives_another_revision_where_lambda_does(fact: Mapping[str, Any]) -> None:
    before, after = REVISIONS[fact["of"]]()[fact["act"]]
    assert (before != after) is fact["new"]


def test_a_raise_that_lambda_finished_meanwhile_can_be_read_and_written_again() -> None:
    """The revision of the answer is not the one after the update: it must be read."""
    world = a_world()
    target = open_handler(world)
    for weight in (20, 30):
        target.shift_to(weight, target.read().token)
        world.clock.advance(MINUTE)
        assert target.read().weight == weight


@pytest.mark.parametrize("fact", FACTS["routing"], ids=lambda one: str(one["weights"]))
def test_the_fake_of_an_alias_routes_as_lambda_does(fact: Mapping[str, Any]) -> None:
    client = Account().world.client("lambda")
    named = {"FunctionName": HANDLER, "Name": "live"}
    request = {**named, "RoutingConfig": {"AdditionalVersionWeights": fact["weights"]}}
    if "refused" in fact:
        error = raised(client.update_alias, **request)
        assert isinstance(error, ClientError)
        assert error.response["Error"]["Code"] == fact["refused"]
    else:
        answers = client.update_alias(**request), client.get_alias(**named)
        assert [one.get("RoutingConfig") for one in answers] == [fact["answer"]] * 2


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
