"""The homes of ticks: what each has of the template, and what they have in common."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from controller import function
from controller.engine import telemetry
from controller.engine.slices import TickResult
from controller.engine.time_limits import DELIVERY_LIMIT, LEASE_DURATION, TICK_LIMIT
from tests.deploy.stack import filters, resources, template, template_of
from tests.deploy.switch import pages, value
from tests.support.cases import cases

HOMES = template()["Parameters"]["Home"]["AllowedValues"]
MAP = {"home": "function", "MapChildren": "8"}


def names(home: str, **parameters: str) -> set[str]:
    """Return the resources of a home."""
    return {*template_of(home, **parameters)["Resources"]}


def only_in(home: str) -> set[str]:
    """Return the resources that no other home has."""
    return names(home) - set().union(*(names(one) for one in HOMES if one != home))


def test_each_home_has_what_ticks_in_it() -> None:
    assert only_in("function") == {"Function", "NoRetry", "AlarmMayInvoke"}
    assert only_in("service") == {"Service"}
    assert only_in("scheduled-task") == {
        "Ended", "EndedPolicy", "TicksStopped", "TasksFailed", "TasksSucceeded",
    }  # fmt: skip
    assert names("function", MapChildren="8") ^ names("function") == {
        "Map", "MapsEnded", "TicksEnded",
    }  # fmt: skip
    assert ("Schedule" in names("service"), "Schedule" in names("function")) == (False, True)


@pytest.mark.parametrize("home", HOMES)
def test_every_home_has_the_same_alarms_and_role(home: str) -> None:
    common = {"DeadMansSwitch", "RollbackFailed", "EndedBadly", "Drifted", "Pages", "Logs"}
    assert common | {"TickRole", "BothJobs", "RunRole", "AtAlarm"} <= names(home)
    alarms = resources("AWS::CloudWatch::Alarm", home).values()
    assert all(filters(alarm["MetricName"], home) for alarm in alarms)


def test_every_home_gives_the_program_the_same_variables() -> None:
    (task,) = resources("AWS::ECS::TaskDefinition")["Tick"]["ContainerDefinitions"]
    given = [one["Fn::If"][1] if "Fn::If" in one else one for one in task["Environment"]]
    of_task = {one["Name"] for one in given}
    of_function = resources("AWS::Lambda::Function", "function")["Function"]["Environment"]
    assert of_task - {"AWS_REGION"} == {*of_function["Variables"]}  # Lambda sets the Region itself


def test_a_service_ticks_by_itself_and_a_new_version_takes_its_place() -> None:
    service = resources("AWS::ECS::Service", "service")["Service"]
    deployment = service["DeploymentConfiguration"]
    assert service["DesiredCount"] == 1
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    (task,) = resources("AWS::ECS::TaskDefinition", "service")["Tick"]["ContainerDefinitions"]
    assert {"Fn::Sub": " --every ${EveryMinutes}m"} in task["Command"]["Fn::Split"][1]["Fn::Join"][
        1
    ]
    (target,) = resources("AWS::Events::Rule", "service")["AtAlarm"]["Targets"]
    command = json.loads(target["Input"]["Fn::Sub"][0].replace("${Policies}", ""))
    assert command["containerOverrides"][0]["command"] == ["tick", "--scheduled", "--early"]


# --- the function -------------------------------------------------------------------------------


def test_a_function_ends_before_its_leases_and_after_its_tick() -> None:
    timeout = resources("AWS::Lambda::Function", "function")["Function"]["Timeout"]
    assert timeout < LEASE_DURATION.total_seconds()
    assert timeout - function.STOP_S >= TICK_LIMIT.total_seconds()
    assert timeout >= (TICK_LIMIT + DELIVERY_LIMIT).total_seconds()


def test_no_invocation_is_repeated() -> None:
    (config,) = resources("AWS::Lambda::EventInvokeConfig", "function").values()
    assert config["MaximumRetryAttempts"] == 0
    assert config["MaximumEventAgeInSeconds"] <= 60


def test_a_function_is_the_image_or_a_zip() -> None:
    image = resources("AWS::Lambda::Function", "function", CodeKey="")["Function"]
    assert image["PackageType"] == "Image"
    assert image["ImageConfig"]["EntryPoint"] == ["python", "-m", function.__name__]
    package = resources("AWS::Lambda::Function", "function", CodeKey="r.zip")["Function"]
    assert package["Handler"] == f"{function.__name__}.{function.handle.__name__}"
    assert "ImageConfig" not in package


def test_it_may_reserve_as_much_as_its_map_needs() -> None:
    children = template()["Parameters"]["MapChildren"]["AllowedValues"]
    reserved = template()["Mappings"]["Reserved"]
    assert {one: reserved[one]["Executions"] for one in children} == {
        one: int(one) + 2 for one in children
    }


# --- the map ------------------------------------------------------------------------------------


def definition() -> dict[str, Any]:
    """Return the definition of the map, with numbers for parameters."""
    machine = resources("AWS::StepFunctions::StateMachine", **MAP)["Map"]
    text: str = machine["DefinitionString"]["Fn::Sub"][0]
    parsed: dict[str, Any] = json.loads(text.replace("${MapChildren}", "8"))
    return parsed


def states(within: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield every state, those of children as well."""
    for one in within["States"].values():
        yield one
        if "ItemProcessor" in one:
            yield from states(one["ItemProcessor"])


def test_a_map_tolerates_every_child_and_tries_none_again() -> None:
    visit = definition()["States"]["Visit"]
    assert visit["ToleratedFailurePercentage"] == 100
    assert visit["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS",
    }  # fmt: skip
    assert not [one for one in states(definition()) if "Retry" in one]


def test_a_child_takes_what_the_function_lists_and_hands_on_what_it_counts() -> None:
    """The names in the definition are those of the answers."""
    ticked = function._of_each(TickResult([], []), ["a#1"])
    (tick,) = definition()["States"]["Visit"]["ItemProcessor"]["States"].values()
    handed = {one.removeprefix("$.Payload.") for one in tick["ResultSelector"].values()}
    assert handed == set(ticked) - {"rollouts"}
    report = definition()["States"]["Report"]["Parameters"]["Payload"]
    listed = function._batches(["a#1"])
    read = {one.removeprefix("$.") for name, one in report.items() if name.endswith(".$")}
    assert read - {"results"} <= set(listed)
    assert definition()["States"]["Visit"]["ItemsPath"] == "$.batches"


def test_an_alarm_does_not_wait_for_the_map() -> None:
    (target,) = resources("AWS::Events::Rule", **MAP)["AtAlarm"]["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    assert json.loads(target["Input"]["Fn::Sub"][0])["early"] is True
    schedule = resources("AWS::Scheduler::Schedule", **MAP)["Schedule"]
    assert schedule["Target"]["Arn"] == {"Ref": "Map"}


# --- alarms -------------------------------------------------------------------------------------


def line(event: str, **fields: object) -> str:
    """Return a line of the log."""
    return json.dumps({"event": event, "dry_run": False, **fields})


QUIET = line("tick_ended", **telemetry.tick_summary(TickResult([], []), timedelta(), {}, 0, None))
BAD = line("tick_ended", status=1)


def alarm_messages(alarm: str, lines: list[str | None], home: str, **more: str) -> list[str]:
    """Return the messages of an alarm when each interval has one of these log lines, or none."""
    definition = resources("AWS::CloudWatch::Alarm", home, **more)[alarm]
    metric_filters = filters(definition["MetricName"], home, **more)
    values = [None if one is None else value(metric_filters, one) for one in lines]
    return pages(definition, values)


@pytest.mark.parametrize("home", ["function", "service"])
@cases("lines, messages", {
    "a rollout with a problem for an hour": ([QUIET, *[BAD] * 60, *[QUIET] * 3], ["ALARM", "OK"]),
    "a store that cannot be read": ([QUIET, line("tick_failed")], ["ALARM"]),
    "an invocation that failed": ([QUIET, line("invocation_failed")], ["ALARM"]),
    "drift and an unconfirmed rollback have alarms of their own":
        ([QUIET, line("tick_ended", status=5), line("tick_ended", status=6)], []),
    "two ticks at once are normal": ([QUIET, line("tick_ended", status=75)], []),
    "other lines": ([QUIET, line("weight_shifted"), line("tick_completed")], []),
})  # fmt: skip
def test_a_tick_that_ends_badly_pages_once(
    home: str, lines: list[str | None], messages: list[str]
) -> None:
    assert alarm_messages("EndedBadly", lines, home) == messages


@pytest.mark.parametrize("home", HOMES)
def test_ticks_that_stop_page(home: str) -> None:
    assert alarm_messages("DeadMansSwitch", [QUIET, *[None] * 5], home) == ["ALARM"]
    assert alarm_messages("DeadMansSwitch", [QUIET, None, QUIET], home) == []


MAPPED = line("map_ended", status=0)


@cases("lines, messages", {
    "a map each minute": ([MAPPED] * 9, []),
    "a map that reaches no rollout is no tick":
        ([MAPPED, *[line("map_failed", status=1)] * 5], ["ALARM"]),
    "nor are the ticks of its children, or one at an alarm": ([MAPPED, *[QUIET] * 5], ["ALARM"]),
    "a map that does not run": ([MAPPED, *[None] * 5], ["ALARM"]),
})  # fmt: skip
def test_a_map_is_watched_by_its_report(lines: list[str | None], messages: list[str]) -> None:
    assert alarm_messages("DeadMansSwitch", lines, **MAP) == messages
