"""The simulated world: one entry point for all calls, and the fault events of a scenario."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from controller.core.policy import TargetSpec
from controller.errors import PolicyError
from controller.tools.simulation.fakes.errors import Proceed
from controller.tools.simulation.world import World
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.adapters.contracts.routing_benches import ALIAS
from tests.support.core import Policy
from tests.tools.simulation.worlds import (
    FUNCTION,
    HOUR,
    MINUTE,
    POLICY,
    START,
    query,
    read,
    scenario,
    set_weight,
    world,
)

SECOND = timedelta(seconds=1)


def configuration(of: World) -> dict[str, str]:
    answer = of.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    variables: dict[str, str] = answer["Environment"]["Variables"]
    return variables


def update(of: World, **variables: str) -> None:
    of.client("lambda").update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": {**configuration(of), **variables}}
    )


def status_of(of: World) -> str:
    now = of.clock.now()
    answer = of.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query("AWS/Lambda/Invocations")], StartTime=now - HOUR, EndTime=now
    )
    status: str = answer["MetricDataResults"][0]["StatusCode"]
    return status


@pytest.mark.parametrize(
    ("variables", "weight"),
    [
        pytest.param({"PERCENTAGE": "50", "ENABLED": "false"}, 50, id="a percentage"),
        pytest.param({"PERCENTAGE": "100", "ENABLED": "true"}, 100, id="all"),
        pytest.param({"PERCENTAGE": "0", "ENABLED": "true"}, 0, id="a boolean that says all"),
        pytest.param({"PERCENTAGE": "10", "ENABLED": "true"}, 10, id="the same, at ten"),
        pytest.param({"PERCENTAGE": "lots", "ENABLED": "true"}, 0, id="no number"),
        pytest.param({"PERCENTAGE": "101", "ENABLED": "false"}, 0, id="no percentage"),
        pytest.param({"PERCENTAGE": "0100", "ENABLED": "true"}, 0, id="too many digits"),
    ],
)
def test_traffic_takes_the_path_that_the_flag_reads_from_the_variables(
    variables: dict[str, str], weight: int
) -> None:
    account = world()
    update(account, **variables)
    account.clock.advance(3 * SECOND)
    assert account.weight_now() == weight


def test_drift_can_come_between_a_read_and_the_write_that_follows_it() -> None:
    account = world()
    revision = account.client("lambda").get_function_configuration(FunctionName=FUNCTION)[
        "RevisionId"
    ]

    def meddle(
        service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> dict[str, Any]:
        if operation == "UpdateFunctionConfiguration":
            account.set_variables(FUNCTION, {"PERCENTAGE": "75"})
            account.clock.advance(3 * SECOND)
        return proceed()

    account.interceptors.append(meddle)
    with pytest.raises(ClientError, match="PreconditionFailedException"):
        account.client("lambda").update_function_configuration(
            FunctionName=FUNCTION, Environment={"Variables": {}}, RevisionId=revision
        )
    assert account.weight_now() == 75


@pytest.mark.parametrize(
    ("how", "code"),
    [("error", "InternalFailure"), ("throttle", "Throttling"), ("denied", "AccessDeniedException")],
)
def test_a_metrics_outage_fails_every_call_for_as_long_as_said(how: str, code: str) -> None:
    outage = {"kind": "metrics_outage", "at": {"after": "5m"}, "lasting": "10m", "how": how}
    account = world(scenario(events=[outage]))
    assert status_of(account) == "Complete"
    account.clock.advance(5 * MINUTE)
    for _ in range(10):
        with pytest.raises(ClientError, match=code):
            status_of(account)
        account.clock.advance(MINUTE)
    assert status_of(account) == "Complete"


@pytest.mark.parametrize(
    ("how", "status", "points"),
    [
        ("partial", "PartialData", 29),
        ("internal_error", "InternalError", 0),
        ("forbidden", "Forbidden", 0),
    ],
)
def test_a_degraded_answer_says_so_and_holds_less(how: str, status: str, points: int) -> None:
    account = world(scenario(events=[{"kind": "metrics_outage", "how": how}]))
    answer = account.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query("AWS/Lambda/Invocations")],
        StartTime=START - HOUR,
        EndTime=START - MINUTE,
    )
    (result,) = answer["MetricDataResults"]
    assert (result["StatusCode"], len(result["Values"])) == (status, points)
    assert len(result["Timestamps"]) == points
    assert max(result["Timestamps"], default=START) < START - 30 * MINUTE or not points


@pytest.mark.parametrize(
    ("how", "error", "written"),
    [
        ("error", ClientError, False),
        ("throttle", ClientError, False),
        ("denied", ClientError, False),
        ("timeout", ReadTimeoutError, False),
        ("lost_response", ReadTimeoutError, True),
    ],
)
def test_a_lambda_outage_does_nothing_but_for_a_lost_response(
    how: str, error: type[Exception], written: bool
) -> None:
    outage = {"kind": "lambda_outage", "at": {"after": "1m"}, "lasting": "1m", "how": how}
    account = world(scenario(events=[outage]))
    variables = {**configuration(account), "PERCENTAGE": "10"}
    account.clock.advance(MINUTE)
    with pytest.raises(error):
        account.client("lambda").update_function_configuration(
            FunctionName=FUNCTION, Environment={"Variables": variables}
        )
    account.clock.advance(MINUTE)
    assert configuration(account)["PERCENTAGE"] == ("10" if written else "0")
    assert account.weight_now() == (10 if written else 0)


def test_refused_raises_deny_more_traffic_and_nothing_else() -> None:
    refused = {"kind": "refused_raises", "at": {"step": 1}, "lasting": "10m"}
    account = world(scenario(events=[refused]))
    update(account, PERCENTAGE="10")
    account.clock.advance(MINUTE)
    assert account.weight_now() == 10
    with pytest.raises(ClientError, match="AccessDeniedException"):
        update(account, PERCENTAGE="50")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        update(account, PERCENTAGE="100", ENABLED="true")
    assert configuration(account)["PERCENTAGE"] == "10"
    update(account, COLOUR="red")
    account.clock.advance(MINUTE)
    update(account, PERCENTAGE="0")
    account.clock.advance(MINUTE)
    assert (account.weight_now(), configuration(account)["COLOUR"]) == (0, "red")
    account.clock.advance(10 * MINUTE)
    update(account, PERCENTAGE="50")
    account.clock.advance(MINUTE)
    assert account.weight_now() == 50


def test_a_person_sets_both_variables_and_leaves_the_others() -> None:
    act = {"kind": "person", "at": {"after": "5m"}, "weight": 100, "variables": {"NEW": "1"}}
    account = world(scenario(events=[act], function={"variables": {"COLOUR": "red"}}))
    account.clock.advance(5 * MINUTE - SECOND)
    assert configuration(account)["PERCENTAGE"] == "0"
    account.clock.advance(5 * SECOND)
    assert configuration(account) == {
        "PERCENTAGE": "100",
        "ENABLED": "true",
        "NEW": "1",
        "COLOUR": "red",
    }
    assert account.weight_now() == 100


def test_a_boolean_set_by_hand_needs_a_policy_that_has_one() -> None:
    target = {name: value for name, value in POLICY["target"].items() if name != "boolean"}
    act = {"kind": "person", "boolean": True}
    with pytest.raises(PolicyError, match=r"test does not fit: events\[0\]\.boolean .* none"):
        World.for_policy(
            Policy.model_validate({**POLICY, "target": target}), scenario(events=[act])
        )


@pytest.mark.parametrize(
    "target", [ALIAS, simulated(RULE).target], ids=["an alias", "a load balancer"]
)
def test_a_variable_set_by_hand_needs_a_target_that_has_variables(target: TargetSpec) -> None:
    act = {"kind": "person", "weight": 20, "variables": {"NEW": "1"}}
    with pytest.raises(PolicyError, match=r"test does not fit: events\[0\] sets an environment"):
        World(scenario(events=[act]), target=target)


def test_a_person_who_meets_an_update_in_progress_tries_again() -> None:
    account = world(scenario(events=[{"kind": "person", "at": {"after": "1m"}, "weight": 75}]))
    account.clock.advance(MINUTE - SECOND)
    update(account, PERCENTAGE="10")
    account.clock.advance(5 * SECOND)
    assert account.weight_now() == 10
    account.clock.advance(5 * SECOND)
    assert account.weight_now() == 75


def test_a_stack_update_puts_the_environment_back_and_brings_new_code() -> None:
    account = world(scenario(events=[{"kind": "stack_update", "at": {"step": 1, "after": "10m"}}]))
    original, code = configuration(account), account.function(FUNCTION).code_sha256
    set_weight(account, 10)
    account.clock.advance(10 * MINUTE + 3 * SECOND)
    assert (configuration(account), account.weight_now()) == (original, 0)
    assert account.function(FUNCTION).code_sha256 != code


def test_callers_of_an_alias_keep_the_environment_of_the_start_whatever_is_written() -> None:
    reset = {"kind": "alias_reset", "at": {"after": "10m"}}
    account = world(scenario(events=[reset], function={"weight": 30}))
    set_weight(account, 50)
    assert account.weight_now() == 50
    account.clock.advance(10 * MINUTE)
    assert account.weight_now() == 30
    set_weight(account, 100)
    assert (account.weight_now(), configuration(account)["PERCENTAGE"]) == (30, "100")


# --- adoption -----------------------------------------------------------------------------------


def adopted(boolean: str | None = "ENABLED", **played: Any) -> World:
    target = {**POLICY["target"], "boolean": boolean}
    policy = Policy.model_validate({**POLICY, "target": target})
    return World.for_policy(policy, scenario(**played), seed=1, start=START, adopt=True)


@pytest.mark.parametrize(
    ("boolean", "variables"),
    [
        pytest.param("ENABLED", {"COLOUR": "red", "ENABLED": "true"}, id="the boolean says it all"),
        pytest.param(None, {"COLOUR": "red", "PERCENTAGE": "100"}, id="only a percentage"),
    ],
)
def test_an_adopted_world_begins_at_100_as_no_rollout_wrote_it(
    boolean: str | None, variables: dict[str, str]
) -> None:
    account = adopted(boolean, function={"variables": {"COLOUR": "red"}})
    assert (configuration(account), account.weight_now()) == (variables, 100)


@pytest.mark.parametrize(("step", "weight"), [(1, 10), (2, 50), (3, 100), (9, 100)])
def test_a_moment_of_a_step_counts_from_when_its_weight_came_into_force(
    step: int, weight: int
) -> None:
    outage = {"kind": "metrics_outage", "at": {"step": step, "after": "10m"}, "how": "forbidden"}
    account = world(scenario(events=[outage]))
    account.clock.advance(2 * HOUR)
    for lower in (10, 50, 100):
        assert status_of(account) == "Complete"
        set_weight(account, lower)
        if lower == weight:
            break
    account.clock.advance(10 * MINUTE - SECOND)
    assert status_of(account) == "Complete"
    account.clock.advance(SECOND)
    assert status_of(account) == "Forbidden"


def durations(of: World) -> dict[datetime, float]:
    """Return the p95 of each minute of the first hour."""
    return read(of, "AWS/Lambda/Duration", "p95", start=START, end=START + HOUR)


def test_metrics_are_read_ahead_as_they_will_be_while_the_weight_stays() -> None:
    played = world()
    calls = dict(played.calls)
    with played.ahead(START + 2 * HOUR):
        ahead = durations(played)
    assert dict(played.calls) == calls
    assert not durations(played)
    played.clock.advance(2 * HOUR)
    assert ahead == durations(played)
    assert len(ahead) == 60


def test_nothing_that_was_read_ahead_stays_when_the_weight_changes() -> None:
    looked, other = world(), world()
    with looked.ahead(START + 2 * HOUR):
        ahead = durations(looked)
    for one in (looked, other):
        set_weight(one, 50)
        one.clock.advance(2 * HOUR)
    assert durations(looked) == durations(other) != ahead
