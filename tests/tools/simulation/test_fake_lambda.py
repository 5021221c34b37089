"""The fake of Lambda's UpdateFunctionConfiguration, as AWS documents it."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.tools.simulation.world import World
from tests.tools.simulation.worlds import FUNCTION, empty_world, scenario, world

LAMBDA = "lambda"
SECONDS = timedelta(seconds=1)


@pytest.fixture
def account() -> World:
    account = empty_world()
    account.add_function(FUNCTION, {"PERCENTAGE": "0", "OTHER": "kept"})
    return account


def configuration(of: World, function: str = FUNCTION) -> dict[str, Any]:
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


def test_an_update_is_in_progress_for_three_seconds_and_then_successful(account: World) -> None:
    assert update(account, {"PERCENTAGE": "10"})["LastUpdateStatus"] == "InProgress"
    account.clock.advance(2.9 * SECONDS)
    assert configuration(account)["LastUpdateStatus"] == "InProgress"
    account.clock.advance(0.1 * SECONDS)
    assert configuration(account)["LastUpdateStatus"] == "Successful"


@pytest.mark.parametrize(
    "variables",
    [{"AWS_REGION": "x"}, {"LAMBDA_X": "x"}, {"9": "x"}, {"BIG": "x" * 4_087}],
    ids=["reserved for AWS", "reserved for Lambda", "no name", "over 4 KB"],
)
def test_an_environment_that_lambda_does_not_take_is_refused_and_nothing_changes(
    account: World, variables: dict[str, str]
) -> None:
    before = configuration(account)
    with pytest.raises(ClientError) as error:
        update(account, variables)
    assert code_of(error) == ("InvalidParameterValueException", 400)
    assert configuration(account) == before


def test_traffic_gets_the_new_value_when_the_update_is_finished() -> None:
    account = world()
    variables = {**configuration(account)["Environment"]["Variables"], "PERCENTAGE": "10"}
    update(account, variables)
    assert (
        account.weight_now(),
        configuration(account)["Environment"]["Variables"]["PERCENTAGE"],
    ) == (0, "10")
    account.clock.advance(3 * SECONDS)
    assert account.weight_now() == 10


def test_a_failed_update_says_why_and_leaves_traffic_alone() -> None:
    account = world(scenario(events=[{"kind": "failed_updates", "lasting": "1h"}]))
    update(account, {"PERCENTAGE": "10"})
    account.clock.advance(3 * SECONDS)
    answer = configuration(account)
    assert (answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]) == (
        "Failed",
        "InternalError",
    )
    assert answer["LastUpdateStatusReason"]
    assert account.weight_now() == 0
    account.clock.advance(3_600 * SECONDS)
    update(account, {"PERCENTAGE": "10"})
    account.clock.advance(3 * SECONDS)
    assert (configuration(account)["LastUpdateStatus"], account.weight_now()) == ("Successful", 10)


def test_an_environment_that_cannot_be_decrypted_shows_an_error_and_no_value() -> None:
    account = world(
        scenario(events=[{"kind": "kms_denied", "at": {"after": "1m"}, "lasting": "1m"}])
    )
    assert "Variables" in configuration(account)["Environment"]
    account.clock.advance(60 * SECONDS)
    environment = configuration(account)["Environment"]
    assert environment.keys() == {"Error"}
    assert environment["Error"]["ErrorCode"] == "AccessDeniedException"
    assert update(account, {"PERCENTAGE": "0"})["Environment"].keys() == {"Error"}
    account.clock.advance(60 * SECONDS)
    assert "Variables" in configuration(account)["Environment"]


def test_what_keeps_a_change_from_traffic_is_shown(account: World) -> None:
    function = account.function(FUNCTION)
    function.snap_start = "PublishedVersions"
    function.capacity_provider = "arn:aws:lambda:us-east-1:123456789012:capacity-provider:pool"
    function.aliases.append({"Name": "live", "FunctionVersion": "3", "RevisionId": "r"})
    function.provisioned.append({"RequestedProvisionedConcurrentExecutions": 1, "Status": "READY"})
    client = account.client(LAMBDA)
    assert configuration(account)["SnapStart"]["ApplyOn"] == "PublishedVersions"
    assert "CapacityProviderConfig" in configuration(account)
    aliases = client.list_aliases(FunctionName=FUNCTION)["Aliases"]
    provisioned = client.list_provisioned_concurrency_configs(FunctionName=FUNCTION)
    assert [alias["Name"] for alias in aliases] == ["live"]
    assert len(provisioned["ProvisionedConcurrencyConfigs"]) == 1
