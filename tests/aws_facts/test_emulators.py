"""What Lambda accepts and refuses, on the simulation and on two emulators that others wrote.

GAPS has what an emulator does otherwise than AWS; each gap is expected, and named by `pytest -rx`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.adapters.contracts.benches import (
    EmulatedLambda,
    LambdaBench,
    ministack_lambda,
    simulated_lambda,
)
from tests.adapters.contracts.routing_benches import alias_in
from tests.adapters.targets.test_lambda_alias import Account
from tests.aws_facts.published import facts, variables
from tests.e2e.role import make_role
from tests.support.emulator import REGION

FACTS: Final = facts("lambda")
REFUSALS: Final = {one["name"]: one for one in FACTS["refusals"]}
HANDLER: Final = "handler"
ALIAS: Final = {"FunctionName": HANDLER, "Name": "live"}
SIMULATION, MINISTACK, MOTO = "simulation", "ministack", "moto"

SIMULATED: Final = "00000000-0000-4000-8000-000000000000"  # the id of its requests
MOMENT: Final = timedelta(seconds=0.1)

# By the id of a test: what the emulator does otherwise.
GAPS: Final[Mapping[str, str]] = {
    "test_an_environment_is_taken_up_to_the_limit[ministack-4097]": "it measures nothing",
    "test_an_update_during_another_is_refused[ministack]": "it takes both",
    "test_a_function_gets_another_revision[ministack-an update is finished]": "the one before",
    "test_an_alias_is_routed[ministack-two versions]": "it takes any weights",
    "test_an_environment_is_taken_up_to_the_limit[moto-4097]": "it measures nothing",
    "test_an_old_revision_of_a_function_is_refused[moto]": "functions have none",
    "test_an_update_during_another_is_refused[moto]": "an update is finished at once",
    "test_an_old_revision_of_an_alias_is_refused[moto]": "it is not looked at",
    "test_a_function_gets_another_revision[moto-an update is accepted]": "functions have none",
    "test_a_function_gets_another_revision[moto-an update is finished]": "functions have none",
    "test_a_function_gets_another_revision[moto-an update changes nothing]": "functions have none",
    "test_an_alias_gets_another_revision[moto-an update is accepted]": "the one before",
    "test_an_alias_gets_another_revision[moto-an update changes nothing]": "the one before",
    "test_an_alias_is_routed[moto-no version]": "it answers an empty routing",
    "test_an_alias_is_routed[moto-two versions]": "it takes any weights",
}
NUMBERS: Final = ("no version", "one version", "two versions")


@pytest.fixture(params=[SIMULATION, MINISTACK, MOTO])
def service(request: pytest.FixtureRequest) -> str:
    """What answers. A gap of it is expected to fail."""
    name: str = request.param
    if reason := GAPS.get(request.node.name):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    return name


@pytest.fixture
def bench(service: str, request: pytest.FixtureRequest) -> Iterator[LambdaBench]:
    """A Lambda service without functions."""
    if service == SIMULATION:
        yield simulated_lambda()
    elif service == MINISTACK:
        emulator, account = map(request.getfixturevalue, ("ministack", "account"))
        yield ministack_lambda(emulator, account)
    else:
        with mock_aws():
            session = Session(region_name=REGION)
            role = make_role(session.client("iam"), "any", {"Service": "lambda.amazonaws.com"})
            yield EmulatedLambda(session.client("lambda"), role)


@pytest.fixture
def alias(service: str, bench: LambdaBench) -> Any:
    """A client of Lambda, where `live` of the handler has version 1 of several."""
    if service != SIMULATION:
        alias_in(bench)
        return bench.client
    return Account().world.client("lambda")


def same_answer(call: Callable[..., Any], name: str, **request: Any) -> None:
    """Check that a call is refused as by Lambda.

    An emulator words its refusal differently. The text that Lambda measured is not compared.
    """
    refusal = REFUSALS[name]
    with pytest.raises(ClientError) as error:
        call(**request)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == refusal["status"]
    assert answer["Error"]["Code"] == refusal["code"]
    if answer["ResponseMetadata"]["RequestId"] == SIMULATED:
        words = answer["Error"]["Message"].partition("{")[0].partition("arn:")[0]
        assert words == refusal["message"].partition("{")[0].partition("arn:")[0]


@pytest.mark.parametrize("fact", FACTS["environment"]["rows"], ids=lambda one: str(one["bytes"]))
def test_an_environment_is_taken_up_to_the_limit(
    bench: LambdaBench, fact: Mapping[str, Any]
) -> None:
    bench.add_function(HANDLER, {"A1": "x"})
    request = {"FunctionName": HANDLER, "Environment": {"Variables": variables(fact)}}
    update = bench.client.update_function_configuration
    if fact["accepted"]:
        assert update(**request)["Environment"]["Variables"] == variables(fact)
    else:
        same_answer(update, "an environment of 4,097 bytes", **request)


def test_an_old_revision_of_a_function_is_refused(bench: LambdaBench) -> None:
    bench.add_function(HANDLER, {"A1": "x"})
    update = bench.client.update_function_configuration
    same_answer(update, "an old RevisionId", FunctionName=HANDLER, RevisionId="an old one")


def test_an_update_during_another_is_refused(bench: LambdaBench) -> None:
    bench.add_function(HANDLER, {"A1": "x"})
    update = bench.client.update_function_configuration
    update(FunctionName=HANDLER, Environment={"Variables": {"A1": "y"}})
    same_answer(
        update, "an update during another", FunctionName=HANDLER,
        Environment={"Variables": {"A1": "z"}},
    )  # fmt: skip


def test_a_function_that_is_not_there_is_refused(bench: LambdaBench) -> None:
    read = bench.client.get_function_configuration
    same_answer(read, "a function that is not there", FunctionName=HANDLER)


def test_an_old_revision_of_an_alias_is_refused(alias: Any) -> None:
    same_answer(alias.update_alias, "an old RevisionId", **ALIAS, RevisionId="an old one")


# --- revisions and routing ----------------------------------------------------------------------


def revision_of(bench: LambdaBench) -> tuple[str, str]:
    """Return the RevisionId of the handler, and the status of its last update."""
    answer = bench.client.get_function_configuration(FunctionName=HANDLER)
    return answer.get("RevisionId", ""), answer.get("LastUpdateStatus", "Successful")


def updated(bench: LambdaBench) -> tuple[str, str]:
    """Update the environment to one value; return the RevisionId of the answer, and after it."""
    answer = bench.client.update_function_configuration(
        FunctionName=HANDLER, Environment={"Variables": {"A1": "y"}}
    )
    while (found := revision_of(bench))[1] == "InProgress":
        bench.clock.sleep(MOMENT)
    return answer.get("RevisionId", ""), found[0]


@pytest.mark.parametrize(
    "fact", [one for one in FACTS["revisions"] if one["of"] == "function"], ids=lambda o: o["act"]
)
def test_a_function_gets_another_revision(bench: LambdaBench, fact: Mapping[str, Any]) -> None:
    bench.add_function(HANDLER, {"A1": "x"})
    first, _ = revision_of(bench)
    accepted, finished = updated(bench)
    _, again = updated(bench)
    acts = {
        "an update is accepted": (first, accepted),
        "an update is finished": (accepted, finished),
        "an update changes nothing": (finished, again),
    }
    before, after = acts[fact["act"]]
    assert (before != after) is fact["new"]


@pytest.mark.parametrize(
    "fact", [one for one in FACTS["revisions"] if one["of"] == "alias"], ids=lambda o: o["act"]
)
def test_an_alias_gets_another_revision(alias: Any, fact: Mapping[str, Any]) -> None:
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    first = alias.get_alias(**ALIAS)["RevisionId"]
    accepted = alias.update_alias(**ALIAS, RoutingConfig=weights)["RevisionId"]
    again = alias.update_alias(**ALIAS, RoutingConfig=weights)["RevisionId"]
    acts = {
        "an update is accepted": (first, accepted),
        "an update changes nothing": (accepted, again),
    }
    before, after = acts[fact["act"]]
    assert (before != after) is fact["new"]


@pytest.mark.parametrize("fact", FACTS["routing"], ids=lambda one: NUMBERS[len(one["weights"])])
def test_an_alias_is_routed(alias: Any, fact: Mapping[str, Any]) -> None:
    request = {**ALIAS, "RoutingConfig": {"AdditionalVersionWeights": fact["weights"]}}
    if "refused" in fact:
        with pytest.raises(ClientError) as error:
            alias.update_alias(**request)
        assert error.value.response["Error"]["Code"] == fact["refused"]
    else:
        answers = alias.update_alias(**request), alias.get_alias(**ALIAS)
        assert [answer.get("RoutingConfig") for answer in answers] == [fact["answer"]] * 2
