"""The stack of a policy, on a fake of CloudFormation and on ministack."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from controller.adapters import cloudformation
from controller.adapters.clock import SystemClock
from controller.adapters.cloudformation import Stack, as_yaml
from controller.errors import MonitoringError, UsageError
from controller.immutable import replace
from controller.ports.clock import Clock
from controller.ports.monitoring import TAG
from controller.tools.monitoring.resources import Monitoring
from controller.tools.monitoring.template import template_of
from controller.tools.monitoring.verb import open_stack
from controller.tools.monitoring.wanted_stack import desired_monitoring
from controller.tools.simulation.clock import VirtualClock
from tests.adapters.cloudformation.fake_cloudformation import NOON, FakeCloudFormation
from tests.support.emulator import REGION, WAITER_CONFIG, Emulator
from tests.tools.monitoring.watched import a_watched

NAME = "rolloutctl-shop"
OURS: Mapping[str, str] = {TAG: "shop"}
# ministack cannot create an alarm on metric math.
PLAIN = desired_monitoring(a_watched("auth-failures", "p95-latency"), ("a@example.com",))
FEWER = replace(PLAIN, alarms=PLAIN.alarms[:1], emails=("b@example.com",))


class Bench:
    """A client of CloudFormation, and the verbs of `monitoring` on it."""

    def __init__(self, client: Any, clock: Clock) -> None:
        self.client, self.clock = client, clock

    @property
    def stack(self) -> Stack:
        return Stack(self.client, self.clock, "shop")

    def run(self, monitoring: Monitoring = PLAIN, *, execute: bool) -> tuple[dict[str, str], str]:
        """Return the change of each resource, and the final status of the stack."""
        existing = self.stack.find()
        template = template_of(monitoring, existing.template if existing else {})
        changes, status = self.stack.change(existing, template, execute=execute)
        return {
            f"{change.kind.rpartition('::')[2]} {change.id}": change.action for change in changes
        }, status

    def plan(self, monitoring: Monitoring = PLAIN) -> dict[str, str]:
        changes, status = self.run(monitoring, execute=False)
        assert status == ""
        return changes

    def deploy(self, monitoring: Monitoring = PLAIN) -> tuple[dict[str, str], str]:
        return self.run(monitoring, execute=True)

    def remove(self) -> None:
        existing = self.stack.find()
        assert existing is not None
        self.stack.remove(existing)


@pytest.fixture
def aws() -> FakeCloudFormation:
    """CloudFormation in an account without a stack."""
    return FakeCloudFormation()


@pytest.fixture
def fake(aws: FakeCloudFormation) -> Bench:
    """A bench in front of the fake, where time is virtual."""
    return Bench(aws, VirtualClock(NOON))


@pytest.fixture(params=["fake", "ministack"])
def bench(request: pytest.FixtureRequest, account: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An account without a stack, of the fake and of the emulator."""
    if request.param == "fake":
        fake: Bench = request.getfixturevalue("fake")
        return fake
    monkeypatch.setattr(cloudformation, "ASK_EVERY", timedelta(milliseconds=50))
    ministack: Emulator = request.getfixturevalue("ministack")
    return Bench(ministack.client("cloudformation", account), SystemClock())


# --- on both ------------------------------------------------------------------------------------

ALL = {
    "Alarm AlarmAuthFailures": "add",
    "Alarm AlarmP95Latency": "add",
    "Dashboard Dashboard": "add",
    "Subscription Subscription1": "add",
    "Topic Topic": "add",
}


def test_a_plan_says_what_would_be_made_and_leaves_nothing_behind(bench: Bench) -> None:
    assert bench.plan() == ALL
    assert bench.stack.find() is None
    assert bench.plan() == ALL


def test_a_deployment_makes_the_stack_with_the_tag_of_the_policy(bench: Bench) -> None:
    assert bench.deploy() == (ALL, "CREATE_COMPLETE")
    (made,) = bench.client.describe_stacks(StackName=NAME)["Stacks"]
    assert made["Tags"] == [{"Key": TAG, "Value": "shop"}]


def test_without_a_change_nothing_is_planned_and_nothing_deployed(bench: Bench) -> None:
    bench.deploy()
    assert bench.plan() == {}
    assert bench.deploy() == ({}, "")


def test_a_plan_of_a_stack_that_is_there_leaves_it_as_it_is(bench: Bench) -> None:
    bench.deploy()
    planned = bench.plan(FEWER)
    assert planned == {"Alarm AlarmP95Latency": "remove", "Subscription Subscription1": "replace"}
    assert bench.plan() == {}
    assert bench.deploy(FEWER) == (planned, "UPDATE_COMPLETE")
    assert bench.plan(FEWER) == {}


def test_after_a_removal_there_is_no_stack_and_it_can_be_made_again(bench: Bench) -> None:
    bench.deploy()
    bench.remove()
    assert bench.stack.find() is None
    assert bench.deploy() == (ALL, "CREATE_COMPLETE")


@pytest.mark.parametrize("tags", [{}, {TAG: "other"}, {"policy": "shop"}])
def test_a_stack_without_the_tag_of_the_policy_is_refused(
    bench: Bench, tags: Mapping[str, str]
) -> None:
    template = as_yaml(template_of(PLAIN))
    if isinstance(bench.client, FakeCloudFormation):
        bench.client.a_stack(NAME, "CREATE_COMPLETE", tags, template)
    else:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        bench.client.create_stack(StackName=NAME, TemplateBody=template, Tags=listed)
        bench.client.get_waiter("stack_create_complete").wait(
            StackName=NAME, WaiterConfig=WAITER_CONFIG
        )
    for attempt in (bench.plan, bench.deploy, bench.remove):
        with pytest.raises(UsageError, match=f"has no tag {TAG}=shop; nothing was changed"):
            attempt()


def test_what_is_deployed_is_what_the_account_has(ministack: Emulator, account: str) -> None:
    """Of CloudFormation's own services, which the fake does not have."""
    client = ministack.client("cloudformation", account)
    Bench(client, SystemClock()).deploy()
    cloudwatch, sns = (ministack.client(name, account) for name in ("cloudwatch", "sns"))
    alarms = {one["AlarmName"]: one for one in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert set(alarms) == {alarm.name for alarm in PLAIN.alarms}
    (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
    assert dashboard["DashboardName"] == NAME
    topic = f"arn:aws:sns:{REGION}:{account}:{NAME}"
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert subscription["Endpoint"] == "a@example.com"
    arn = alarms["rolloutctl-shop-auth-failures"]["AlarmArn"]
    assert alarms["rolloutctl-shop-auth-failures"]["AlarmActions"] == [topic]
    for tags in (
        cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"],
        sns.list_tags_for_resource(ResourceArn=topic)["Tags"],
    ):
        assert {"Key": TAG, "Value": "shop"} in tags


def test_a_stack_that_people_changed_by_a_template_in_json_is_set_back(
    ministack: Emulator, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the program's own client: botocore's would parse a template in JSON."""
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)
    client = ministack.client("cloudformation", account)
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": NAME}}
    client.create_stack(
        StackName=NAME,
        TemplateBody=json.dumps({"Resources": {"Topic": topic}}),
        Tags=[{"Key": TAG, "Value": "shop"}],
    )
    client.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig=WAITER_CONFIG)
    stack = open_stack("shop")
    existing = stack.find()
    assert existing is not None
    changes, _ = stack.change(existing, template_of(PLAIN, existing.template), execute=False)
    assert {change.id: change.action for change in changes} == {
        "AlarmAuthFailures": "add",
        "AlarmP95Latency": "add",
        "Dashboard": "add",
        "Subscription1": "add",
    }


# --- failures -----------------------------------------------------------------------------------

BROKEN = desired_monitoring(a_watched("SC-004", "auth-failures"))


def test_a_first_creation_that_fails_names_the_resource_and_leaves_no_stack(bench: Bench) -> None:
    """ministack refuses metric math by itself."""
    why = "AWS::CloudWatch::Alarm Properties.Metrics (metric math) is not supported; use "
    if isinstance(bench.client, FakeCloudFormation):
        bench.client.fails["AlarmSC004"] = why
    with pytest.raises(MonitoringError) as caught:
        bench.deploy(BROKEN)
    first, *causes = str(caught.value).splitlines()
    assert first.startswith(f"CloudFormation failed, and stack {NAME} is DELETE_COMPLETE now")
    assert [
        cause.startswith(f"AlarmSC004 (AWS::CloudWatch::Alarm): {why}") for cause in causes
    ] == [True]
    assert bench.stack.find() is None


def test_an_update_that_fails_names_the_resource_and_the_stack_is_as_before(bench: Bench) -> None:
    bench.deploy()
    if isinstance(bench.client, FakeCloudFormation):
        bench.client.fails["AlarmSC004"] = "no"
    with pytest.raises(MonitoringError, match=r"is UPDATE_ROLLBACK_COMPLETE now(.|\n)*AlarmSC004"):
        bench.deploy(BROKEN)
    assert bench.plan() == {}


def test_a_failure_names_the_resources_of_its_own_operation_only(
    fake: Bench, aws: FakeCloudFormation
) -> None:
    fake.deploy()
    aws.fails["AlarmAuthFailures"] = "once"
    changed = replace(PLAIN, alarms=tuple(replace(alarm, periods=9) for alarm in PLAIN.alarms))
    with pytest.raises(MonitoringError, match="once"):
        fake.deploy(changed)
    aws.fails = {"AlarmP95Latency": "now"}
    with pytest.raises(MonitoringError) as caught:
        fake.deploy(changed)
    assert str(caught.value).splitlines()[1:] == ["AlarmP95Latency (AWS::CloudWatch::Alarm): now"]


def test_a_name_that_is_taken_is_an_error_before_anything_is_created(
    fake: Bench, aws: FakeCloudFormation
) -> None:
    aws.taken["Dashboard"] = f"Dashboard '{NAME}' already exists"
    for attempt in (fake.plan, fake.deploy):
        with pytest.raises(MonitoringError) as caught:
            attempt()
        first, *causes = str(caught.value).splitlines()
        assert first.startswith(f"CloudFormation refuses to change stack {NAME}: ")
        assert causes == [
            f"Dashboard (AWS::CloudWatch::Dashboard): Dashboard '{NAME}' already exists"
        ]
    assert (aws.statuses, aws.change_sets) == ({}, {})
    assert "ExecuteChangeSet" not in aws.calls


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "run again after `rolloutctl monitoring remove POLICY`"),
        ("ROLLBACK_FAILED", "run again after `rolloutctl monitoring remove POLICY`"),
        ("DELETE_FAILED", "run again after `rolloutctl monitoring remove POLICY`"),
        ("UPDATE_ROLLBACK_FAILED", "run again after `rolloutctl monitoring remove POLICY`"),
        ("CREATE_IN_PROGRESS", "run again"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "run again"),
    ],
)
def test_a_stack_that_cannot_be_changed_says_what_to_do(
    fake: Bench, aws: FakeCloudFormation, status: str, remedy: str
) -> None:
    aws.a_stack(NAME, status, OURS, as_yaml(template_of(PLAIN)))
    for attempt in (fake.plan, fake.deploy):
        with pytest.raises(MonitoringError) as caught:
            attempt()
        assert str(caught.value) == f"stack {NAME} cannot be changed while it is {status}: {remedy}"
    fake.remove()
    assert aws.statuses == {}


def test_the_empty_stack_of_an_interrupted_plan_is_used_and_removed(
    fake: Bench, aws: FakeCloudFormation
) -> None:
    """Such a stack has no tag and no resources yet."""
    aws.a_stack(NAME, "REVIEW_IN_PROGRESS", {}, "")
    assert fake.plan() == ALL
    assert aws.statuses == {}
    aws.a_stack(NAME, "REVIEW_IN_PROGRESS", {}, "")
    fake.remove()
    assert aws.statuses == {}
    aws.a_stack(NAME, "REVIEW_IN_PROGRESS", {}, "")
    fake.deploy()
    assert aws.statuses == {NAME: "CREATE_COMPLETE"}


def test_a_removal_that_fails_names_the_resource(fake: Bench, aws: FakeCloudFormation) -> None:
    fake.deploy()
    aws.fails["Topic"] = "it is in use"
    with pytest.raises(MonitoringError) as caught:
        fake.remove()
    first, *causes = str(caught.value).splitlines()
    assert first == (
        f"CloudFormation failed, and stack {NAME} is DELETE_FAILED now; fix what failed, and run "
        "again"
    )
    assert causes == ["Topic (AWS::SNS::Topic): it is in use"]
    aws.fails.clear()
    fake.remove()
    assert aws.statuses == {}


def test_no_operation_is_waited_for_without_end(fake: Bench, aws: FakeCloudFormation) -> None:
    aws.prepares = 100_000
    begun = fake.clock.now()
    with pytest.raises(MonitoringError, match=f"stack {NAME} is CREATE_IN_PROGRESS after 2m;"):
        fake.plan()
    aws.prepares, aws.looks = 1, 100_000
    with pytest.raises(MonitoringError, match=f"stack {NAME} is CREATE_IN_PROGRESS after 10m;"):
        fake.deploy()
    with pytest.raises(MonitoringError, match=f"stack {NAME} is DELETE_IN_PROGRESS after 10m;"):
        fake.remove()
    assert fake.clock.now() - begun < timedelta(minutes=25)


CALLS: Mapping[str, Callable[[Bench], object]] = {
    "DescribeStacks": lambda bench: bench.plan(FEWER),
    "GetTemplate": lambda bench: bench.plan(FEWER),
    "CreateChangeSet": lambda bench: bench.plan(FEWER),
    "DescribeChangeSet": lambda bench: bench.plan(FEWER),
    "DeleteChangeSet": lambda bench: bench.plan(FEWER),
    "ExecuteChangeSet": lambda bench: bench.deploy(FEWER),
    "DeleteStack": lambda bench: bench.remove(),
}


@pytest.mark.parametrize("operation", CALLS)
def test_a_call_that_is_denied_names_its_action(
    fake: Bench, aws: FakeCloudFormation, operation: str
) -> None:
    fake.deploy()
    aws.denied = [operation]
    action = f"cloudformation:{operation}"
    with pytest.raises(MonitoringError, match=rf"\({action}\).*grant the action to this role"):
        CALLS[operation](fake)


@pytest.mark.parametrize("operation", ["DescribeStackEvents", "DescribeEvents"])
def test_without_the_events_a_failure_is_still_an_error(
    fake: Bench, aws: FakeCloudFormation, operation: str
) -> None:
    aws.denied = [operation]
    (aws.taken if operation == "DescribeEvents" else aws.fails)["Dashboard"] = "no"
    with pytest.raises(MonitoringError) as caught:
        fake.deploy()
    first, cause = str(caught.value).splitlines()
    assert first.startswith(("CloudFormation failed", "CloudFormation refuses"))
    assert "grant the action to this role" in cause


def test_an_execution_without_an_answer_leaves_what_may_be_in_progress(
    fake: Bench, aws: FakeCloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_self: FakeCloudFormation, **_: str) -> None:
        raise ReadTimeoutError(endpoint_url="https://aws.example")

    monkeypatch.setattr(FakeCloudFormation, "_execute_change_set", lost)
    with pytest.raises(MonitoringError, match=r"\(cloudformation:ExecuteChangeSet\).*run again"):
        fake.deploy()
    assert not {"DeleteChangeSet", "DeleteStack"} & set(aws.calls)
    monkeypatch.undo()
    assert fake.deploy()[1] == "CREATE_COMPLETE"
