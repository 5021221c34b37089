"""Monitoring on the account, as moto and ministack keep it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from controller.adapters.monitoring import MonitoringAccount, template
from controller.adapters.monitoring.dashboards import Dashboards
from controller.core.monitoring import (
    PENDING,
    TAG,
    Action,
    Change,
    Found,
    Kind,
    Monitoring,
    changes,
    removals,
    wanted,
)
from controller.errors import MonitoringError
from tests.adapters.monitoring.recorded import SESSION, Recorded, Recorder, topic_arn
from tests.adapters.odd_dynamodb import OddClient
from tests.core.monitoring.watched import a_watched
from tests.emulator import REGION, Emulator

# A single count: ministack keeps neither metric math nor what is done about few samples.
PLAIN = wanted(a_watched("auth-failures"), ("a@example.com",))
ALARM, NAME = "rolloutctl-shop-auth-failures", "rolloutctl-shop"

_GIVEN = (
    "AlarmActions", "AlarmName", "ComparisonOperator", "Dimensions", "EvaluationPeriods",
    "MetricName", "Namespace", "Period", "Statistic", "Threshold",
)  # fmt: skip


@dataclass(slots=True)
class Bench:
    """An account, through clients whose next calls may go wrong; writes are noted."""

    cloudwatch: OddClient
    sns: OddClient
    number: str
    writes: list[Recorded]

    @property
    def account(self) -> MonitoringAccount:
        """What a process of its own would work with."""
        return MonitoringAccount(self.cloudwatch, self.sns, REGION, topic_arn(PLAIN, self.number))

    def deploy(self, monitoring: Monitoring) -> list[Change]:
        """Deploy, and return what was planned."""
        account = self.account
        planned = changes(monitoring, account.look(monitoring))
        for change in planned:
            account.carry_out(monitoring, change)
        return planned

    def remove(self, monitoring: Monitoring) -> list[Change]:
        """Remove, and return what was planned."""
        account = self.account
        planned = removals(monitoring, account.look(monitoring))
        for change in planned:
            account.carry_out(monitoring, change)
        return planned

    def alarm(self, **changed: Any) -> dict[str, Any]:
        """Return the alarm as the account has it; with words, change them by another hand first."""
        (found,) = self.cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
        if changed:
            kept = {key: found[key] for key in _GIVEN}
            self.cloudwatch.put_metric_alarm(**{**kept, **changed})
        return dict(found)


def a_bench(client: Any, number: str) -> Bench:
    """Return a bench; client: makes the client of a service."""
    writes: list[Recorded] = []
    cloudwatch, sns = (OddClient(Recorder(client(name), writes)) for name in ("cloudwatch", "sns"))
    return Bench(cloudwatch, sns, number, writes)


@pytest.fixture
def moto() -> Iterator[Bench]:
    """An empty account of moto."""
    with mock_aws():
        yield a_bench(SESSION.client, "123456789012")


@pytest.fixture(params=["moto", "ministack"])
def bench(request: pytest.FixtureRequest, account: str) -> Bench:
    """An empty account of each emulator."""
    if request.param == "moto":
        found: Bench = request.getfixturevalue("moto")
        return found
    ministack: Emulator = request.getfixturevalue("ministack")
    return a_bench(lambda name: ministack.client(name, account), account)


def actions(planned: list[Change]) -> set[Action]:
    return {one.action for one in planned}


# --- on both ------------------------------------------------------------------------------------


def test_what_was_deployed_is_left_alone_by_the_next_deployment(bench: Bench) -> None:
    assert actions(bench.deploy(PLAIN)) == {Action.CREATE}
    bench.writes.clear()
    assert actions(bench.deploy(PLAIN)) == {Action.LEAVE}
    assert bench.writes == []


def test_all_that_was_deployed_is_removed_and_a_second_removal_finds_nothing(bench: Bench) -> None:
    bench.deploy(PLAIN)
    assert [one.kind for one in bench.remove(PLAIN)] == [Kind.DASHBOARD, Kind.ALARM, Kind.TOPIC]
    assert bench.account.look(PLAIN) == []
    assert bench.remove(PLAIN) == []


def test_an_alarm_and_a_topic_carry_the_tag_of_the_policy(bench: Bench) -> None:
    bench.deploy(PLAIN)
    tag = [{"Key": TAG, "Value": "shop"}]
    arn = bench.alarm()["AlarmArn"]
    assert bench.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == tag
    topic = topic_arn(PLAIN, bench.number)
    assert bench.sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == tag


def test_what_another_hand_changed_is_made_as_it_should_be(bench: Bench) -> None:
    bench.deploy(PLAIN)
    bench.alarm(Threshold=99.0)
    changed = [one for one in bench.deploy(PLAIN) if one.action is Action.CHANGE]
    assert [(one.name, "Threshold" in one.why) for one in changed] == [(ALARM, True)]
    assert bench.alarm()["Threshold"] == 10


def test_the_dashboard_of_another_policy_or_of_nobody_is_foreign(bench: Bench) -> None:
    bodies: list[Any] = [{"widgets": []}, {"widgets": [{"type": "text"}]}, []]
    for body in bodies:
        bench.cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody=json.dumps(body))
        (found,) = bench.account.look(PLAIN)
        assert found.owner == ""
    bench.deploy(PLAIN)  # a dashboard that is foreign is left out
    (dashboard,) = (one for one in bench.account.look(PLAIN) if one.kind is Kind.DASHBOARD)
    assert dashboard.owner == ""
    bench.remove(PLAIN)
    assert [one.kind for one in bench.account.look(PLAIN)] == [Kind.DASHBOARD]


def test_an_alarm_without_the_tag_is_neither_overwritten_nor_removed(bench: Bench) -> None:
    bench.cloudwatch.put_metric_alarm(
        AlarmName=ALARM, Namespace="Own", MetricName="Mine", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    bench.deploy(PLAIN)
    bench.remove(PLAIN)
    assert bench.alarm()["MetricName"] == "Mine"


def test_an_alarm_that_the_policy_asks_for_no_longer_is_removed(bench: Bench) -> None:
    bench.deploy(PLAIN)
    fewer = replace(PLAIN, alarms=())
    gone = [one for one in bench.deploy(fewer) if one.action is Action.REMOVE]
    assert [one.name for one in gone] == [ALARM]
    assert not bench.cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]


def test_an_alarm_goes_on_telling_whom_people_added(bench: Bench) -> None:
    theirs = f"arn:aws:sns:{REGION}:{bench.number}:theirs"
    bench.deploy(PLAIN)
    bench.alarm(AlarmActions=[theirs], ActionsEnabled=False)
    bench.deploy(PLAIN)
    assert bench.alarm()["AlarmActions"] == [topic_arn(PLAIN, bench.number), theirs]
    assert bench.alarm()["ActionsEnabled"] is False


def test_a_stack_of_the_template_makes_what_the_calls_make(
    ministack: Emulator, account: str
) -> None:
    """ministack takes both; of what it keeps, nothing differs."""
    found = a_bench(lambda name: ministack.client(name, account), account)
    stacks = ministack.client("cloudformation", account)
    stacks.create_stack(StackName="watching", TemplateBody=template(PLAIN))
    stacks.get_waiter("stack_create_complete").wait(
        StackName="watching", WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    there = found.account.look(PLAIN)
    assert [(one.kind, one.differs) for one in there] == [
        (Kind.TOPIC, ()), (Kind.SUBSCRIPTION, ()), (Kind.ALARM, ()), (Kind.DASHBOARD, ()),
    ]  # fmt: skip


# --- what only moto keeps, and what neither does ------------------------------------------------


def test_alarms_of_every_kind_are_as_they_were_given(moto: Bench) -> None:
    """moto keeps metric math and what is done about few samples."""
    every = wanted(a_watched("SC-004", "beside", "p95-latency", "fixed", "roomy", "throttled"))
    moto.deploy(every)
    assert actions(moto.deploy(every)) == {Action.LEAVE}


@pytest.mark.parametrize("kind", ["alarm", "topic"])
def test_what_a_stack_made_is_foreign_whatever_its_tag(moto: Bench, kind: str) -> None:
    moto.deploy(PLAIN)
    made = [{"Key": "aws:cloudformation:stack-name", "Value": "mine"}]
    answer = {"Tags": [{"Key": TAG, "Value": "shop"}, *made]}
    client = moto.cloudwatch if kind == "alarm" else moto.sns
    client.faults["list_tags_for_resource"] = [lambda _call: answer]
    found = changes(PLAIN, moto.account.look(PLAIN))
    foreign = [(one.kind, one.why) for one in found if one.action is Action.FOREIGN]
    why = "made by the CloudFormation stack mine: change it there"
    assert foreign == [(Kind(kind), why)]


def test_every_page_of_alarms_is_read(moto: Bench) -> None:
    moto.deploy(PLAIN)
    page = moto.cloudwatch.describe_alarms(AlarmNamePrefix=NAME)
    asked: list[str] = []

    def first(call: Any) -> Any:
        asked.append("first")
        return {"MetricAlarms": [], "NextToken": "more"}

    moto.cloudwatch.faults["describe_alarms"] = [first, lambda _call: page]
    kinds = [one.kind for one in moto.account.look(PLAIN)]
    assert (asked, Kind.ALARM in kinds) == (["first"], True)


def test_an_address_that_has_not_said_yes_is_told(moto: Bench) -> None:
    moto.deploy(PLAIN)
    pending = {"SubscriptionArn": "PendingConfirmation", "Protocol": "email", "Endpoint": "a@b.c"}
    moto.sns.faults["list_subscriptions_by_topic"] = [lambda _: {"Subscriptions": [pending]}]
    found = [one for one in moto.account.look(PLAIN) if one.kind is Kind.SUBSCRIPTION]
    assert found == [Found(Kind.SUBSCRIPTION, "a@b.c", state=PENDING)]


def test_an_endpoint_that_may_hold_a_secret_is_not_told(moto: Bench) -> None:
    moto.deploy(PLAIN)
    hook = {"SubscriptionArn": "arn:x", "Protocol": "https", "Endpoint": "https://hooks/t0ken"}
    moto.sns.faults["list_subscriptions_by_topic"] = [lambda _: {"Subscriptions": [hook]}]
    (found,) = (one for one in moto.account.look(PLAIN) if one.kind is Kind.SUBSCRIPTION)
    assert found.name == "by https"


def test_what_cloudwatch_says_of_a_dashboard_is_told(moto: Bench) -> None:
    said = {"DashboardValidationMessages": [{"DataPath": "/widgets/0", "Message": "too wide"}]}
    moto.cloudwatch.faults["put_dashboard"] = [lambda _: said]
    change = Change(Action.CREATE, Kind.DASHBOARD, NAME)
    assert moto.account.carry_out(PLAIN, change) == ["/widgets/0: too wide"]


def denied(_call: Any) -> Any:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "Any")


@pytest.mark.parametrize("code", ["InvalidParameterValueException", "ResourceNotFoundException"])
def test_a_dashboard_that_cannot_be_tagged_is_known_by_its_text(moto: Bench, code: str) -> None:
    def tagless(_call: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no tags here"}}, "Any")

    moto.deploy(PLAIN)
    moto.cloudwatch.faults["list_tags_for_resource"] = [lambda call: call(), tagless]
    (found,) = (one for one in moto.account.look(PLAIN) if one.kind is Kind.DASHBOARD)
    assert (found.owner, found.differs) == ("shop", ())


def test_a_boto3_that_knows_no_tags_of_dashboards_makes_them_all_the_same(
    moto: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dashboards, "_takes_tags", lambda _: False)
    moto.deploy(PLAIN)
    (request,) = (dict(request) for name, request in moto.writes if name == "put_dashboard")
    assert "Tags" not in request
    assert actions(moto.deploy(PLAIN)) == {Action.LEAVE}


@pytest.mark.parametrize(
    ("service", "method", "action"),
    [
        ("sns", "list_tags_for_resource", "sns:ListTagsForResource"),
        ("sns", "list_subscriptions_by_topic", "sns:ListSubscriptionsByTopic"),
        ("sns", "create_topic", "sns:CreateTopic"),
        ("sns", "subscribe", "sns:Subscribe"),
        ("sns", "delete_topic", "sns:DeleteTopic"),
        ("cloudwatch", "describe_alarms", "cloudwatch:DescribeAlarms"),
        ("cloudwatch", "list_tags_for_resource", "cloudwatch:ListTagsForResource"),
        ("cloudwatch", "put_metric_alarm", "cloudwatch:PutMetricAlarm"),
        ("cloudwatch", "delete_alarms", "cloudwatch:DeleteAlarms"),
        ("cloudwatch", "get_dashboard", "cloudwatch:GetDashboard"),
        ("cloudwatch", "put_dashboard", "cloudwatch:PutDashboard"),
        ("cloudwatch", "delete_dashboards", "cloudwatch:DeleteDashboards"),
    ],
)
def test_a_call_that_is_denied_names_its_action(
    moto: Bench, service: str, method: str, action: str
) -> None:
    if method.startswith(("delete", "list")):
        moto.deploy(PLAIN)
    client = moto.sns if service == "sns" else moto.cloudwatch
    client.faults[method] = [denied]
    with pytest.raises(MonitoringError, match=rf"\({action}\).*grant the action to this role"):
        moto.remove(PLAIN) if method.startswith("delete") else moto.deploy(PLAIN)


def test_a_deployment_that_was_cut_short_is_finished_by_the_next(moto: Bench) -> None:
    moto.cloudwatch.faults["put_dashboard"] = [denied]
    with pytest.raises(MonitoringError):
        moto.deploy(PLAIN)
    fates = {one.kind: one.action for one in moto.deploy(PLAIN)}
    assert (fates[Kind.ALARM], fates[Kind.DASHBOARD]) == (Action.LEAVE, Action.CREATE)
