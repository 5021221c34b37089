"""What an UpdateFunctionConfiguration meets, as AWS documents it."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.simulation.world import World
from tests.simulation.worlds import FUNCTION, empty_world, scenario, world

LAMBDA = "lambda"
SECONDS = timedelta(seconds=1)


@pytest.fixture
def one() -> World:
    made = empty_world()
    made.add_function(FUNCTION, {"PERCENTAGE": "0", "OTHER": "kept"})
    return made


def shown(of: World, function: str = FUNCTION) -> dict[str, Any]:
    answer: dict[str, Any] = of.client(LAMBDA).get_function_configuration(FunctionName=function)
    return answer


def update(of: World, variables: dict[str, str], **other: Any) -> dict[str, Any]:
    answer: dict[str, Any] = of.client(LAMBDA).update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": variables}, **other
    )
    return answer


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_update_is_in_progress_for_three_seconds_and_then_successful(one: World) -> None:
    assert update(one, {"PERCENTAGE": "10"})["LastUpdateStatus"] == "InProgress"
    one.clock.advance(2.9 * SECONDS)
    assert shown(one)["LastUpdateStatus"] == "InProgress"
    one.clock.advance(0.1 * SECONDS)
    assert shown(one)["LastUpdateStatus"] == "Successful"


def test_the_revision_changes_with_an_update_and_again_when_it_is_finished(one: World) -> None:
    before = shown(one)["RevisionId"]
    asked = update(one, {"PERCENTAGE": "10"}, RevisionId=before)["RevisionId"]
    assert shown(one)["RevisionId"] == asked
    one.clock.advance(3 * SECONDS)
    assert len({before, asked, shown(one)["RevisionId"]}) == 3


def test_the_environment_is_replaced_whole(one: World) -> None:
    update(one, {"PERCENTAGE": "10"})
    assert shown(one)["Environment"] == {"Variables": {"PERCENTAGE": "10"}}


def test_a_function_without_variables_shows_no_environment(one: World) -> None:
    update(one, {})
    assert "Environment" not in shown(one)


def test_a_second_update_meets_409_while_one_is_in_progress(one: World) -> None:
    update(one, {"PERCENTAGE": "10"})
    with pytest.raises(ClientError) as error:
        update(one, {"PERCENTAGE": "20"})
    assert code_of(error) == ("ResourceConflictException", 409)
    assert shown(one)["Environment"]["Variables"]["PERCENTAGE"] == "10"


def test_the_revision_of_an_update_that_was_still_in_progress_meets_412(one: World) -> None:
    stale = update(one, {"PERCENTAGE": "10"})["RevisionId"]
    one.clock.advance(3 * SECONDS)
    with pytest.raises(ClientError) as error:
        update(one, {"PERCENTAGE": "20"}, RevisionId=stale)
    assert code_of(error) == ("PreconditionFailedException", 412)
    assert shown(one)["Environment"]["Variables"]["PERCENTAGE"] == "10"


@pytest.mark.parametrize(
    "request_",
    [
        {"FunctionName": "nobody"},
        {"FunctionName": "arn:aws:lambda:eu-west-1:210987654321:function:handler"},
        {"FunctionName": FUNCTION, "Qualifier": "live"},
    ],
    ids=["unknown name", "same name elsewhere", "unknown alias"],
)
def test_a_function_that_does_not_exist_is_404(one: World, request_: dict[str, str]) -> None:
    with pytest.raises(ClientError) as error:
        one.client(LAMBDA).get_function_configuration(**request_)
    assert code_of(error) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    "variables",
    [{"AWS_REGION": "x"}, {"LAMBDA_X": "x"}, {"9": "x"}, {"BIG": "x" * 4_094}],
    ids=["reserved for AWS", "reserved for Lambda", "no name", "over 4 KB"],
)
def test_an_environment_that_lambda_does_not_take_is_refused_and_nothing_changes(
    one: World, variables: dict[str, str]
) -> None:
    before = shown(one)
    with pytest.raises(ClientError) as error:
        update(one, variables)
    assert code_of(error) == ("InvalidParameterValueException", 400)
    assert shown(one) == before


def test_an_environment_of_exactly_4_kb_is_taken(one: World) -> None:
    assert update(one, {"BIG": "x" * 4_093})["LastUpdateStatus"] == "InProgress"


def test_a_function_is_known_by_its_arn_with_account_and_region(one: World) -> None:
    arn = shown(one)["FunctionArn"]
    assert arn == f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}"
    assert shown(one, arn) == shown(one)


def test_traffic_gets_the_new_value_when_the_update_is_finished() -> None:
    made = world()
    variables = {**shown(made)["Environment"]["Variables"], "PERCENTAGE": "10"}
    update(made, variables)
    assert (made.weight_now(), shown(made)["Environment"]["Variables"]["PERCENTAGE"]) == (0, "10")
    made.clock.advance(3 * SECONDS)
    assert made.weight_now() == 10


def test_a_failed_update_says_why_and_leaves_traffic_alone() -> None:
    made = world(scenario(events=[{"kind": "failed_updates", "lasting": "1h"}]))
    update(made, {"PERCENTAGE": "10"})
    made.clock.advance(3 * SECONDS)
    answer = shown(made)
    assert (answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]) == (
        "Failed",
        "InternalError",
    )
    assert answer["LastUpdateStatusReason"]
    assert made.weight_now() == 0
    made.clock.advance(3_600 * SECONDS)
    update(made, {"PERCENTAGE": "10"})
    made.clock.advance(3 * SECONDS)
    assert (shown(made)["LastUpdateStatus"], made.weight_now()) == ("Successful", 10)


def test_an_environment_that_cannot_be_decrypted_shows_an_error_and_no_value() -> None:
    made = world(scenario(events=[{"kind": "kms_denied", "at": {"after": "1m"}, "lasting": "1m"}]))
    assert "Variables" in shown(made)["Environment"]
    made.clock.advance(60 * SECONDS)
    environment = shown(made)["Environment"]
    assert environment.keys() == {"Error"}
    assert environment["Error"]["ErrorCode"] == "AccessDeniedException"
    assert update(made, {"PERCENTAGE": "0"})["Environment"].keys() == {"Error"}
    made.clock.advance(60 * SECONDS)
    assert "Variables" in shown(made)["Environment"]


def test_what_keeps_a_change_from_traffic_is_shown(one: World) -> None:
    function = one.function(FUNCTION)
    function.snap_start = "PublishedVersions"
    function.capacity_provider = "arn:aws:lambda:us-east-1:123456789012:capacity-provider:pool"
    function.aliases.append({"Name": "live", "FunctionVersion": "3", "RevisionId": "r"})
    function.provisioned.append({"RequestedProvisionedConcurrentExecutions": 1, "Status": "READY"})
    client = one.client(LAMBDA)
    assert shown(one)["SnapStart"]["ApplyOn"] == "PublishedVersions"
    assert "CapacityProviderConfig" in shown(one)
    aliases = client.list_aliases(FunctionName=FUNCTION)["Aliases"]
    provisioned = client.list_provisioned_concurrency_configs(FunctionName=FUNCTION)
    assert [alias["Name"] for alias in aliases] == ["live"]
    assert len(provisioned["ProvisionedConcurrencyConfigs"]) == 1


def test_revisions_are_the_same_for_the_same_seed() -> None:
    revisions = [shown(world(seed=seed))["RevisionId"] for seed in (1, 1, 2)]
    assert revisions[0] == revisions[1] != revisions[2]
