"""A template and the calls say the same, and CloudFormation would take the template."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint
from moto import mock_aws
from ruamel.yaml import YAML

from controller.adapters.monitoring import template
from controller.core.monitoring import Moment, Monitoring, wanted
from controller.loader import load
from tests.adapters.monitoring.recorded import Recorded, deployed
from tests.core.monitoring.watched import FROZEN, a_watched, metric
from tests.emulator import REGION
from tests.rollouts import NOON

SHIPPED = sorted((Path(__file__).parents[3] / "policies").glob("*.yaml"))
EMAILS = ("a@example.com", "b@example.com")


def everything() -> Monitoring:
    """Return monitoring with one alarm of each kind, and two addresses."""
    return wanted(a_watched(), EMAILS, {"frozen": FROZEN})


def resources(text: str, kind: str) -> list[dict[str, Any]]:
    """Return the properties of every resource of a kind."""
    found: dict[str, Any] = YAML(typ="safe").load(text)["Resources"]
    return [one["Properties"] for one in found.values() if one["Type"] == f"AWS::{kind}"]


@pytest.fixture(scope="module")
def calls() -> list[Recorded]:
    """Every call that writes, of a deployment on an empty account of moto."""
    with mock_aws():
        return deployed(everything())


def asked(calls: list[Recorded], operation: str) -> list[dict[str, Any]]:
    """Return what was asked of one operation."""
    return [dict(request) for name, request in calls if name == operation]


def test_an_alarm_of_the_template_is_the_one_of_the_call(calls: list[Recorded]) -> None:
    stood_for = {"AlarmActions": [{"Ref": "Topic"}]}
    by_api = [{**one, **stood_for} for one in asked(calls, "put_metric_alarm")]
    assert resources(template(everything()), "CloudWatch::Alarm") == by_api
    assert len(by_api) == len(everything().alarms) > 8


def test_the_dashboard_of_the_template_is_the_one_of_the_call(calls: list[Recorded]) -> None:
    (by_api,) = asked(calls, "put_dashboard")
    (found,) = resources(template(everything()), "CloudWatch::Dashboard")
    text = found["DashboardBody"]["Fn::Sub"].replace("${AWS::Region}", REGION)
    assert "${" not in text
    assert json.loads(text) == json.loads(by_api["DashboardBody"])
    assert (found["DashboardName"], found["Tags"]) == (by_api["DashboardName"], by_api["Tags"])


def test_the_topic_of_the_template_is_the_one_of_the_call(calls: list[Recorded]) -> None:
    (by_api,) = asked(calls, "create_topic")
    text = template(everything())
    assert resources(text, "SNS::Topic") == [{"TopicName": by_api["Name"], "Tags": by_api["Tags"]}]
    told = [one["Endpoint"] for one in resources(text, "SNS::Subscription")]
    assert told == [one["Endpoint"] for one in asked(calls, "subscribe")] == list(EMAILS)


def test_without_an_address_there_is_no_topic_and_nobody_is_told() -> None:
    text = template(wanted(a_watched("p95-latency")))
    assert resources(text, "SNS::Topic") == []
    assert [one["AlarmActions"] for one in resources(text, "CloudWatch::Alarm")] == [[]]


@pytest.mark.parametrize("policy", SHIPPED, ids=lambda path: path.stem)
def test_cloudformation_would_take_the_template_of_a_shipped_policy(policy: Path) -> None:
    assert complaints(template(wanted(load(policy), EMAILS))) == []


def test_cloudformation_would_take_every_kind_of_alarm() -> None:
    assert complaints(template(everything())) == []


def test_a_mistake_in_a_template_would_be_seen() -> None:
    wrong = template(everything()).replace("EvaluationPeriods", "EvaluationPeriod")
    assert any("EvaluationPeriod" in one for one in complaints(wrong))


def complaints(text: str) -> list[str]:
    """Return what cfn-lint has to say."""
    return [str(one) for one in lint(text, config=ManualArgs(regions=["eu-central-1"]))]


def test_what_looks_like_a_variable_of_the_template_is_left_alone() -> None:
    odd = {**metric("Count", "Sum"), "dimensions": {"ApiName": "${AWS::Region} ${x}"}}
    found = wanted(a_watched("traffic", metrics={"requests": odd}))
    (properties,) = resources(template(found), "CloudWatch::Dashboard")
    assert '"${!AWS::Region} ${!x}"' in properties["DashboardBody"]["Fn::Sub"]


def test_criteria_that_are_spelt_alike_have_resources_of_their_own() -> None:
    policy = a_watched("p95-latency", "auth-failures")
    alike = {"p95-latency": "a-b", "auth-failures": "a.b"}
    criteria = {alike[name]: one for name, one in policy.criteria.items()}
    found = wanted(policy.model_copy(update={"criteria": criteria}))
    assert len(resources(template(found), "CloudWatch::Alarm")) == 2


def test_a_moment_is_drawn_in_every_graph() -> None:
    found = everything()
    page = replace(found.dashboard, moments=(Moment(NOON, "10 %"),))
    drawn = replace(found, dashboard=page)
    (properties,) = resources(template(drawn), "CloudWatch::Dashboard")
    text, *graphs = json.loads(properties["DashboardBody"]["Fn::Sub"])["widgets"]
    vertical = [one["properties"]["annotations"]["vertical"] for one in graphs]
    assert vertical == [[{"value": "2026-11-24T12:00:00Z", "label": "10 %"}]] * len(graphs)
    assert text["type"] == "text"
