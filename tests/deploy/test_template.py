"""The template of deploy/, checked without an account."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.core.policy.field_types import AwsLocation
from controller.engine import telemetry
from controller.engine.execute import TickOutcome
from controller.engine.lease import SkippedRollout
from controller.engine.slices import TickResult
from controller.errors import StoreError
from controller.policy_file.loader import loads
from controller.process import logging
from controller.process.settings import EGRESS_PROXY, PRIVATE_HOSTS, DynamoDbLocation, read_egress
from controller.tools import iam
from controller.tools.monitoring.wanted_stack import desired_monitoring
from controller.tools.store.verb import cloudformation_of
from tests.deploy.stack import TEMPLATE, filters, resources
from tests.deploy.stack import template as read
from tests.deploy.switch import pages, value
from tests.e2e.account import SHIPPED as POLICY
from tests.support.cases import cases
from tests.support.core import Alert, Phase, Verdict
from tests.support.rollouts import a_rollout

SWITCH = "DeadMansSwitch"
TASK_LOG_RULE = "TicksStopped"
POLICY_NAMES = {"Fn::Join": [",", {"Ref": "PolicyNames"}]}


def alarm(name: str) -> dict[str, Any]:
    """Return an alarm of the template."""
    found: dict[str, Any] = resources("AWS::CloudWatch::Alarm")[name]
    return found


def test_cfn_lint_finds_nothing() -> None:
    from cfnlint.api import ManualArgs, lint  # slow to import

    problems = lint(
        TEMPLATE.read_text(encoding="utf-8"), config=ManualArgs(regions=["eu-central-1"])
    )
    assert not problems


def test_it_is_deployed_without_a_bucket() -> None:
    """CloudFormation takes so many bytes in a request; a larger template has to be in S3."""
    assert len(TEMPLATE.read_bytes()) <= 51_200


def test_the_table_is_the_one_that_store_init_makes() -> None:
    expected = YAML(typ="safe").load(cloudformation_of(DynamoDbLocation("rollouts")))["Resources"][
        "Rollouts"
    ]
    ours = read()["Resources"]["Rollouts"]
    ours["Properties"]["TableName"] = "rollouts"
    del ours["Condition"]
    assert ours == expected


def test_everything_that_iam_narrows_has_a_parameter() -> None:
    printed = iam.template_parameters([], AwsLocation())
    arn_parameters = {name for name in read()["Parameters"] if name.endswith("Arns")}
    assert {*arn_parameters, "PolicyNames", "TableKeys", "FixKeys"} == set(printed)
    assert {*arn_parameters, "PolicyNames", "TableKeys", "FixKeys"} <= set(read()["Parameters"])


@pytest.mark.parametrize("role", ["TickRole", "StartRole"])
def test_a_kind_of_another_package_gets_its_permissions_by_managed_policies(role: str) -> None:
    attached = resources("AWS::IAM::Role")[role]["ManagedPolicyArns"]
    assert attached["Fn::If"] == [
        "HasManagedPolicies", {"Ref": "ManagedPolicies"}, {"Ref": "AWS::NoValue"},
    ]  # fmt: skip
    assert read()["Parameters"]["ManagedPolicies"]["Default"] == ""


def test_the_agent_pulls_from_one_repository_and_no_other() -> None:
    (policy,) = resources("AWS::IAM::Role")["ExecutionRole"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    pulls = [statement["Fn::If"] for statement in statements if "Fn::If" in statement]
    assert [pull[0] for pull in pulls] == ["HasRepository"] * 2
    resources_of = {action: pull[1]["Resource"] for pull in pulls for action in pull[1]["Action"]}
    assert resources_of.pop("ecr:GetAuthorizationToken") == ["*"]  # it supports nothing narrower
    assert set(map(str, resources_of.values())) == {str([{"Ref": "RepositoryArn"}])}


def test_logs_outlive_the_stack_and_the_next_one_has_its_own() -> None:
    for name in ("Logs", "Ended"):
        resource = read()["Resources"][name]
        assert resource["UpdateReplacePolicy"] == "Retain"
        assert resource["Properties"]["RetentionInDays"] == {"Ref": "LogDays"}
        text, variables = resource["Properties"]["LogGroupName"]["Fn::Sub"]
        assert text.endswith("/${AWS::StackName}/${Id}")
        assert "AWS::StackId" in str(variables["Id"])


# --- ticks --------------------------------------------------------------------------------------


def test_a_tick_that_could_not_be_started_is_tried_again_once_and_never_late() -> None:
    (schedule,) = resources("AWS::Scheduler::Schedule").values()
    shortest = min(one["Seconds"] for one in read()["Mappings"]["Every"].values())
    retry = schedule["Target"]["RetryPolicy"]
    assert 0 <= retry["MaximumRetryAttempts"] <= 2
    assert retry["MaximumEventAgeInSeconds"] <= shortest
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_every_interval_has_its_rate_and_its_seconds() -> None:
    for minutes, every in read()["Mappings"]["Every"].items():
        assert every["Seconds"] == 60 * int(minutes)
        assert every["Rate"] == f"rate({minutes} {'minute' if minutes == '1' else 'minutes'})"


def test_an_alarm_of_a_policy_runs_the_same_task_as_the_schedule() -> None:
    rule = resources("AWS::Events::Rule")["AtAlarm"]
    (schedule,) = resources("AWS::Scheduler::Schedule").values()
    (target,) = rule["Targets"]
    assert rule["EventPattern"]["detail"]["state"] == {"value": ["ALARM"]}
    ours, theirs = target["EcsParameters"], schedule["Target"]["EcsParameters"]
    assert ours["TaskDefinitionArn"] == theirs["TaskDefinitionArn"]
    assert [*ours["NetworkConfiguration"].values()] == [*theirs["NetworkConfiguration"].values()]


def test_an_alarm_of_a_policy_asks_also_for_what_is_not_due_yet() -> None:
    (container,) = resources("AWS::ECS::TaskDefinition")["Tick"]["ContainerDefinitions"]
    (target,) = resources("AWS::Events::Rule")["AtAlarm"]["Targets"]
    text, variables = target["Input"]["Fn::Sub"]
    condition, of_policies, of_all = variables["Policies"]["Fn::If"]
    options, names = of_policies["Fn::Sub"]
    commands = [
        json.loads(text.replace("${Policies}", more))["containerOverrides"]
        for more in (options.replace("${Names}", "NAMES"), of_all)
    ]
    assert (condition, names) == ("OfPolicies", {"Names": POLICY_NAMES})
    assert commands == [
        [{"name": container["Name"], "command": ["tick", "--scheduled", "--early", *more]}]
        for more in (["--policy", "NAMES"], [])
    ]


@pytest.mark.parametrize("task", ["Tick", "Start"])
def test_a_task_runs_as_an_unprivileged_user_on_a_read_only_disk(task: str) -> None:
    (container,) = resources("AWS::ECS::TaskDefinition")[task]["ContainerDefinitions"]
    assert container["User"] == "10001:10001"
    assert container["ReadonlyRootFilesystem"]
    assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert 20 < container["StopTimeout"] <= 120  # Fargate's limit; the program takes up to 20 s


@pytest.mark.parametrize("task", ["Tick", "Start"])
def test_a_task_reaches_hooks_as_the_operator_sets_it(task: str) -> None:
    (container,) = resources("AWS::ECS::TaskDefinition")[task]["ContainerDefinitions"]
    conditionals = [one["Fn::If"] for one in container["Environment"] if "Fn::If" in one]
    none = {"Ref": "AWS::NoValue"}
    for condition, variable, parameter in (
        ("HasPrivateHosts", PRIVATE_HOSTS, "PrivateHosts"),
        ("HasEgressProxy", EGRESS_PROXY, "EgressProxy"),
    ):
        assert [condition, {"Name": variable, "Value": {"Ref": parameter}}, none] in conditionals
        assert read()["Parameters"][parameter]["Default"] == ""


READ_BY_THE_PROGRAM = {"PrivateHosts": PRIVATE_HOSTS, "EgressProxy": EGRESS_PROXY}
ECR = "arn:aws:ecr:eu-central-1:123456789012:repository"


@cases("parameter, value, accepted", {
    "no private host": ("PrivateHosts", "", True),
    "private hosts": ("PrivateHosts", "ci.example.internal,10.20.0.0/16,fd00::/8", True),
    "no URL as a private host": ("PrivateHosts", "https://ci?", False),
    "no proxy": ("EgressProxy", "", True),
    "a proxy": ("EgressProxy", "http://proxy.internal:3128", True),
    "a proxy by its address": ("EgressProxy", "http://[fd00::7]:3128", True),
    "no password of a proxy": ("EgressProxy", "http://me:hunter2@proxy.internal:3128", False),
    "no proxy without a scheme": ("EgressProxy", "proxy.internal:3128", False),
    "no repository": ("RepositoryArn", "none", True),
    "a repository in full": ("RepositoryArn", f"{ECR}/team/rolloutctl", True),
    "a repository of another partition":
        ("RepositoryArn", ECR.replace(":aws:", ":aws-us-gov:") + "/rolloutctl", True),
    "no empty repository": ("RepositoryArn", "", False),
    "not all repositories": ("RepositoryArn", f"{ECR}/*", False),
    "no repository of all regions":
        ("RepositoryArn", ECR.replace("eu-central-1", "*") + "/rolloutctl", False),
    "an image by its digest": ("Image", f"registry.example.com/rolloutctl@sha256:{'a' * 64}", True),
    "no image by a tag": ("Image", "registry.example.com/rolloutctl:latest", False),
})  # fmt: skip
def test_the_stack_accepts(parameter: str, value: str, accepted: bool) -> None:
    """And what it accepts for the program, the program accepts as well."""
    allowed = read()["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(allowed, value)) is accepted
    if accepted and parameter in READ_BY_THE_PROGRAM:
        assert not read_egress({READ_BY_THE_PROGRAM[parameter]: value}).problem


def test_the_alarms_that_monitoring_makes_begin_with_the_prefix() -> None:
    policy = loads(POLICY.read_text(encoding="utf-8"), POLICY.name)
    alarm_names = [one.name for one in desired_monitoring(policy).alarms]
    assert alarm_names
    assert all(
        name.startswith(read()["Parameters"]["AlarmPrefix"]["Default"]) for name in alarm_names
    )


# --- alarms -------------------------------------------------------------------------------------


def test_no_data_is_no_tick() -> None:
    switch = alarm(SWITCH)
    assert switch["Period"]["Fn::FindInMap"] == ["Every", {"Ref": "EveryMinutes"}, "Slot"]
    assert (switch["EvaluationPeriods"], switch["DatapointsToAlarm"]) == (3, 3)
    assert (switch["Statistic"], switch["ComparisonOperator"], switch["Threshold"]) == (
        "Sum", "LessThanThreshold", 1,
    )  # fmt: skip
    assert switch["TreatMissingData"] == "breaching"


def visit(*alerts: Alert) -> TickOutcome:
    """Return a visit with these alerts."""
    return TickOutcome(a_rollout(), alerts=alerts)


def ticked(*visits: TickOutcome, missed: Sequence[SkippedRollout] = ()) -> str:
    """Return the log line of a tick with these visits."""
    result = TickResult(list(visits), list(missed))
    summary = telemetry.tick_summary(result, timedelta(seconds=1), {}, 0, None)
    return json.dumps({"event": "tick_ended", "dry_run": False, **summary})


def stopped(exit_code: int | None) -> str:
    """Return the event of a task that stopped. exit_code: None: its container never started."""
    container = {"name": "rolloutctl"} if exit_code is None else {"exitCode": exit_code}
    return json.dumps({"detail": {"lastStatus": "STOPPED", "containers": [container]}})


def alarm_messages(name: str, lines: Iterable[str | None]) -> list[str]:
    """Return the messages of an alarm when each interval has one of these log lines, or none."""
    definition = alarm(name)
    metric_filters = filters(definition["MetricName"])
    return pages(
        definition, [None if line is None else value(metric_filters, line) for line in lines]
    )


UNCONFIRMED = ticked(visit(Alert.ROLLBACK_UNCONFIRMED))
DRIFT = ticked(visit(Alert.DRIFT))
BOTH = ticked(visit(Alert.ROLLBACK_UNCONFIRMED), visit(Alert.DRIFT))
DAMAGED = ticked(visit(Alert.DRIFT), missed=[SkippedRollout("orders#1", StoreError("torn"))])
QUIET = ticked()


@pytest.mark.parametrize(
    ("name", "lines", "messages"),
    [
        pytest.param(
            "RollbackFailed", [QUIET] * 3 + [UNCONFIRMED] * 60 + [QUIET] * 3, ["ALARM", "OK"],
            id="an unconfirmed rollback that lasts an hour pages when it begins and when it ends",
        ),
        pytest.param(
            "RollbackFailed", [UNCONFIRMED, QUIET, QUIET] * 20, ["ALARM"],
            id="nor does one that comes back at every third tick page anew",
        ),
        pytest.param(
            "RollbackFailed", [UNCONFIRMED] + [None] * 60, ["ALARM"],
            id="ticks that stop confirm no rollback",
        ),
        pytest.param(
            "RollbackFailed", [UNCONFIRMED, QUIET, None, None, None], ["ALARM"],
            id="a bad tick before a good one is among the newest five",
        ),
        pytest.param(
            "RollbackFailed", [UNCONFIRMED, QUIET, *[None] * 60], ["ALARM", "OK"],
            id="a good tick and silence after it are OK",
        ),
        pytest.param(
            "RollbackFailed", [UNCONFIRMED, None] * 30, ["ALARM"],
            id="an interval without a datapoint ends no problem",
        ),
        pytest.param("RollbackFailed", [BOTH], ["ALARM"], id="drift hides no rollback"),
        pytest.param(
            "Drifted", [QUIET, DRIFT, *[QUIET] * 9], ["ALARM"],
            id="drift is told once, and its end is no news",
        ),
        pytest.param("Drifted", [BOTH], ["ALARM"], id="an unconfirmed rollback hides no drift"),
        pytest.param("Drifted", [DAMAGED], ["ALARM"], id="a damaged rollout hides no drift"),
        pytest.param("Drifted", [QUIET, UNCONFIRMED], [], id="a rollback is no drift"),
        *[
            pytest.param(
                "EndedBadly", [stopped(0), *[stopped(code)] * 60, *[stopped(0)] * 3],
                ["ALARM", "OK"], id=f"tasks that {what} for an hour page once, and once after",
            )
            for code, what in [
                (1, "end with 1"), (2, "end with 2"), (137, "are killed"), (None, "never begin"),
            ]
        ],
        pytest.param(
            "EndedBadly", [stopped(0), stopped(5), stopped(6)], [],
            id="5 and 6 have alarms of their own",
        ),
        pytest.param(
            "EndedBadly", [stopped(1), *[stopped(5)] * 60, stopped(1)], ["ALARM"],
            id="a rollback that is unconfirmed meanwhile ends no other problem",
        ),
        pytest.param(
            "EndedBadly", [stopped(1), *[stopped(6)] * 3], ["ALARM", "OK"],
            id="a task that ends with 6 had no worse problem",
        ),
    ],
)  # fmt: skip
def test_a_problem_pages_once(name: str, lines: list[str | None], messages: list[str]) -> None:
    assert alarm_messages(name, lines) == messages


@pytest.mark.parametrize("name", ["RollbackFailed", "Drifted", "EndedBadly"])
def test_a_problem_is_one_as_long_as_one_of_three_intervals_has_it(name: str) -> None:
    """A lasting problem has a datapoint in nearly every interval, of any length."""
    definition = alarm(name)
    assert definition["Period"]["Fn::FindInMap"] == ["Every", {"Ref": "EveryMinutes"}, "Seconds"]
    assert (definition["EvaluationPeriods"], definition["DatapointsToAlarm"]) == (3, 1)
    assert (definition["Statistic"], definition["ComparisonOperator"], definition["Threshold"]) == (
        "Maximum", "GreaterThanOrEqualToThreshold", 1,
    )  # fmt: skip
    longest = max(one["Seconds"] for one in read()["Mappings"]["Every"].values())
    assert definition["EvaluationPeriods"] * longest <= 86_400  # the longest that CloudWatch allows


def test_every_alarm_pages() -> None:
    for resource in resources("AWS::CloudWatch::Alarm").values():
        assert resource["AlarmActions"] == [{"Ref": "Pages"}]


def test_no_event_of_a_tick_pages_by_itself() -> None:
    """A rule has no state: it would send the same message at every tick."""
    rules = resources("AWS::Events::Rule")
    paging = {
        name
        for name, rule in rules.items()
        if any(target["Arn"] == {"Ref": "Pages"} for target in rule["Targets"])
    }
    assert paging == {"StartEndedBadly"}
    groups = {
        name: rules[name]["EventPattern"]["detail"]["group"] for name in (*paging, TASK_LOG_RULE)
    }
    assert groups == {
        "StartEndedBadly": [{"Fn::Sub": "family:${AWS::StackName}-start"}],
        TASK_LOG_RULE: [{"Fn::Sub": "family:${AWS::StackName}-tick"}],
    }


def test_ends_of_tasks_are_logged_where_the_filters_look() -> None:
    (target,) = resources("AWS::Events::Rule")[TASK_LOG_RULE]["Targets"]
    assert target["Arn"]["Fn::Sub"].endswith(":log-group:${Ended}")
    (policy,) = resources("AWS::Logs::ResourcePolicy").values()
    (statement,) = json.loads(policy["PolicyDocument"]["Fn::Sub"])["Statement"]
    assert "events.amazonaws.com" in statement["Principal"]["Service"]
    assert statement["Resource"] == "${Ended.Arn}"
    assert {one["LogGroupName"]["Ref"] for one in filters("TasksFailed")} == {"Ended"}


def test_every_alarm_has_a_metric_that_a_filter_makes_of_a_known_event() -> None:
    namespaces = {}
    for resource in resources("AWS::Logs::MetricFilter").values():
        if resource["LogGroupName"] == {"Ref": "Logs"}:
            (event,) = re.findall(r'\$\.event = "(\w+)"', resource["FilterPattern"])
            assert event in logging.EVENTS
        (transformation,) = resource["MetricTransformations"]
        namespaces[transformation["MetricName"]] = transformation["MetricNamespace"]
    for one in resources("AWS::CloudWatch::Alarm").values():
        assert namespaces[one["MetricName"]] == one["Namespace"]


# --- dashboard ----------------------------------------------------------------------------------


def test_the_dashboard_shows_what_a_tick_can_publish_and_all_of_it() -> None:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["DashboardBody"]["Fn::Sub"])
    shown = {
        one[1] for widget in body["widgets"] for one in widget["properties"].get("metrics", ())
    }
    summary = {
        "duration_ms": 1, "errors": 0, "calls": {}, "throttled": 0, "data_lag_s": 1,
        "due": 1, "visited": 1, "late": 0,
        "rollouts": dict.fromkeys(Phase, 1), "verdicts": dict.fromkeys(Verdict, 1),
    }  # fmt: skip
    (published,) = telemetry.embedded_metrics(summary, "any", datetime.now(UTC))["_aws"][
        "CloudWatchMetrics"
    ]
    names = {one["Name"] for one in published["Metrics"]}
    assert shown == names - {"Ticks"} | {"TicksEnded"}
