"""CloudFormation accepts the template, which keeps what only the deployed stack knows."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws
from ruamel.yaml import YAML

from controller.adapters.cloudformation import as_yaml, parsed
from controller.immutable import replace
from controller.policy_file.loader import load
from controller.tools.monitoring.resources import Moment, Monitoring
from controller.tools.monitoring.template import differing_resources, template_of
from controller.tools.monitoring.wanted_stack import desired_monitoring
from tests.deploy.switch import state
from tests.support.emulator import REGION
from tests.support.rollouts import NOON
from tests.tools.monitoring.watched import FROZEN, a_watched, gateway_metric

SHIPPED = sorted((Path(__file__).parents[3] / "policies").glob("*.yaml"))
EMAILS = ("a@example.com", "b@example.com")


def full_monitoring() -> Monitoring:
    """Return monitoring with one alarm of each kind, and two addresses."""
    return desired_monitoring(a_watched(), EMAILS, {"frozen": FROZEN})


def template(monitoring: Monitoring) -> str:
    """Return the template as text."""
    return as_yaml(template_of(monitoring))


def resources(text: str, kind: str) -> list[dict[str, Any]]:
    """Return the properties of every resource of a kind."""
    resources_by_id: dict[str, Any] = YAML(typ="safe").load(text)["Resources"]
    return [one["Properties"] for one in resources_by_id.values() if one["Type"] == f"AWS::{kind}"]


def test_cloudwatch_takes_the_alarms_and_the_dashboard_of_the_template() -> None:
    """moto's CloudFormation makes no alarms; its CloudWatch checks and keeps what it is given."""
    text = template(full_monitoring())
    alarms = [{**resource, "AlarmActions": []} for resource in resources(text, "CloudWatch::Alarm")]
    (dashboard,) = resources(text, "CloudWatch::Dashboard")
    drawn = dashboard["DashboardBody"]["Fn::Sub"].replace("${AWS::Region}", REGION)
    assert "${" not in drawn
    with mock_aws():
        client = Session("test", "test", region_name=REGION).client("cloudwatch")
        for one in alarms:
            client.put_metric_alarm(**one)
        client.put_dashboard(DashboardName=dashboard["DashboardName"], DashboardBody=drawn)
        kept = client.describe_alarms()["MetricAlarms"]
    by_name = {one["AlarmName"]: one for one in kept}
    for alarm in alarms:
        there = by_name[alarm["AlarmName"]]
        plain = {key: value for key, value in alarm.items() if key not in ("Metrics", "Dimensions")}
        assert plain.items() <= there.items()
        ids = [line["Id"] for line in alarm.get("Metrics", ())]
        assert [line["Id"] for line in there.get("Metrics", ())] == ids
    assert len(alarms) == len(full_monitoring().alarms) > 8


def test_an_alarm_notifies_the_topic_which_every_address_subscribes_to() -> None:
    text = template(full_monitoring())
    for resource in resources(text, "CloudWatch::Alarm"):
        assert resource["AlarmActions"] == [{"Ref": "Topic"}]
    assert resources(text, "SNS::Topic") == [{"TopicName": "rolloutctl-shop"}]
    assert resources(text, "SNS::Subscription") == [
        {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": email} for email in EMAILS
    ]


def test_a_count_around_its_bound_pages_once() -> None:
    """A problem that breaches in every second window is one problem."""
    policy = a_watched("auth-failures")
    (alarm,) = resources(template(desired_monitoring(policy)), "CloudWatch::Alarm")
    assert alarm["DatapointsToAlarm"] == 1
    counts: list[float] = [0, 0, 0, *[11, 9] * 20, 0, 0, 0]
    size = alarm["EvaluationPeriods"]
    states = [state(alarm, counts[end - size : end]) for end in range(size, len(counts) + 1)]
    changes = [new for old, new in pairwise(states) if new != old]
    assert changes == ["ALARM", "OK"]


def test_without_an_address_there_is_no_topic_and_no_notification() -> None:
    text = template(desired_monitoring(a_watched("p95-latency")))
    assert resources(text, "SNS::Topic") == []
    assert [resource["AlarmActions"] for resource in resources(text, "CloudWatch::Alarm")] == [[]]


@pytest.mark.parametrize("policy", SHIPPED, ids=lambda path: path.stem)
def test_cloudformation_would_take_the_template_of_a_shipped_policy(policy: Path) -> None:
    assert lint_findings(template(desired_monitoring(load(policy), EMAILS))) == []


def test_cloudformation_would_take_every_kind_of_alarm() -> None:
    assert lint_findings(template(full_monitoring())) == []


def lint_findings(text: str) -> list[str]:
    """Return the findings of cfn-lint."""
    from cfnlint.api import ManualArgs, lint  # slow to import

    return [str(one) for one in lint(text, config=ManualArgs(regions=["eu-central-1"]))]


def test_what_looks_like_a_variable_of_the_template_is_left_alone() -> None:
    odd = {**gateway_metric("Count", "Sum"), "dimensions": {"ApiName": "${AWS::Region} ${x}"}}
    monitoring = desired_monitoring(a_watched("traffic", metrics={"requests": odd}))
    (properties,) = resources(template(monitoring), "CloudWatch::Dashboard")
    assert '"${!AWS::Region} ${!x}"' in properties["DashboardBody"]["Fn::Sub"]


def test_criteria_of_similar_names_have_separate_resources() -> None:
    policy = a_watched("p95-latency", "auth-failures")
    alike = {"p95-latency": "a-b", "auth-failures": "a.b"}
    criteria = {alike[name]: criterion for name, criterion in policy.criteria.items()}
    monitoring = desired_monitoring(policy.model_copy(update={"criteria": criteria}))
    assert len(resources(template(monitoring), "CloudWatch::Alarm")) == 2


def test_a_moment_is_drawn_in_every_graph() -> None:
    monitoring = full_monitoring()
    page = replace(monitoring.dashboard, moments=(Moment(NOON, "10%"),))
    drawn = replace(monitoring, dashboard=page)
    (properties,) = resources(template(drawn), "CloudWatch::Dashboard")
    text, *graphs = json.loads(properties["DashboardBody"]["Fn::Sub"])["widgets"]
    vertical = [graph["properties"]["annotations"]["vertical"] for graph in graphs]
    assert vertical == [[{"value": "2026-11-24T12:00:00Z", "label": "10%"}]] * len(graphs)
    assert text["type"] == "text"


# --- updates of a deployed stack ------------------------------------------------------------------


def resources_after(desired: Monitoring, deployed: Monitoring) -> Any:
    """Return the resources of `desired` for a stack that was deployed from `deployed`."""
    return template_of(desired, parsed(template(deployed)))["Resources"]


def test_an_alarm_whose_baseline_is_not_known_here_stays_and_gets_a_new_topic() -> None:
    policy = a_watched("frozen", "p95-latency")
    known, unknown = (
        desired_monitoring(policy, (), {"frozen": FROZEN}),
        desired_monitoring(policy, EMAILS),
    )
    properties_ = resources_after(unknown, known)["AlarmFrozen"]["Properties"]
    assert properties_ == {
        **template_of(known)["Resources"]["AlarmFrozen"]["Properties"],
        "AlarmActions": [{"Ref": "Topic"}],
    }
    assert "AlarmFrozen" not in template_of(unknown)["Resources"]
    assert "AlarmFrozen" not in resources_after(desired_monitoring(a_watched("p95-latency")), known)


def test_differences_are_listed_by_resource() -> None:
    before = parsed(template(desired_monitoring(a_watched("p95-latency", "roomy"), EMAILS)))
    assert (
        differing_resources(
            template_of(desired_monitoring(a_watched("p95-latency", "roomy")), before), before
        )
        == ()
    )
    now = template_of(desired_monitoring(a_watched("p95-latency", "busy")), before)
    assert set(differing_resources(now, before)) == {"AlarmBusy", "AlarmRoomy", "Dashboard"}


@pytest.mark.parametrize(
    "text",
    [
        "{Resources: {Topic: {Type: AWS::SNS::Topic}}}",
        '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
        "Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Name}}}",
    ],
)
def test_a_template_that_people_wrote_is_one_that_differs(text: str) -> None:
    wants = desired_monitoring(a_watched("p95-latency"))
    found = template_of(wants, parsed(text))
    assert found == template_of(wants)
    assert set(differing_resources(found, parsed(text))) >= {"AlarmP95Latency", "Dashboard"}
