"""A policy with metrics of Prometheus is on every surface."""

from typing import Any

from controller.core.policy import Policy
from controller.core.policy.comparison import NotCompared
from controller.core.policy.field_types import AwsLocation
from controller.policy_file.schema import explain_field, policy_schema
from controller.testing import rehearse
from controller.tools.iam import Job, iam_policy, packages_of, template_parameters
from controller.tools.metrics.expected import metric_views
from controller.tools.monitoring.resources import alarm_of
from controller.tools.monitoring.wanted_stack import undrawn, widgets
from tests.support.prometheus_policies import SERVER, prometheus_policy

WHERE = AwsLocation("123456789012", "eu-west-1", "aws")
WORKSPACE = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1a2b"


def policy(source: dict[str, Any] | None = None) -> Policy:
    return Policy.model_validate(prometheus_policy(source or SERVER))


def allowed(source: dict[str, Any], job: Job) -> dict[str, list[str]]:
    """Return the resources of a role that are of the source, by action."""
    document = iam_policy([policy(source)], None, [job], WHERE, packages_only=True)
    return {action: one["Resource"] for one in document["Statement"] for action in one["Action"]}


def test_a_role_may_query_the_workspace_that_a_policy_names() -> None:
    arn = "arn:aws:aps:eu-west-1:123456789012:workspace/ws-1a2b"
    assert allowed({"prometheus": WORKSPACE}, Job.TICK) == {"aps:QueryMetrics": [arn]}


def test_a_role_that_reads_metrics_may_read_the_token() -> None:
    source = {**SERVER, "token": {"secret": "prom"}}
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prom-??????"
    assert allowed(source, Job.INVESTIGATE) == {"secretsmanager:GetSecretValue": [arn]}
    assert template_parameters([policy(source)], WHERE)["SecretArns"] == [arn]


def test_a_token_in_parameter_store_may_be_read_as_well() -> None:
    source = {**SERVER, "token": {"parameter": "/prom"}}
    arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/prom"
    assert allowed(source, Job.INVESTIGATE) == {"ssm:GetParameter": [arn]}


def test_a_workspace_is_named_for_a_role_by_template() -> None:
    assert packages_of([policy({"prometheus": WORKSPACE})]) == ["prometheus"]
    assert packages_of([policy()]) == []


def test_a_rehearsal_plays_it_as_if_cloudwatch_counted() -> None:
    assert rehearse(policy()).phase == "succeeded"
    assert rehearse(policy(), "error-burst").phase == "rolled_back"


def test_no_alarm_and_no_graph_of_cloudwatch_is_made_of_it() -> None:
    why = "its metrics are of prometheus prometheus.example.com, and CloudWatch has none"
    assert alarm_of(policy(), "success", None) == NotCompared(why)
    assert not widgets(policy(), {})
    assert undrawn(policy()) == dict.fromkeys(policy().criteria, why)


def test_metrics_shows_each_of_them_once() -> None:
    views = metric_views(policy())
    assert [view.query.place for view in views] == ["prometheus prometheus.example.com"] * 4


def test_the_schema_and_explain_know_it() -> None:
    assert "PrometheusSource" in str(policy_schema())
    assert "prometheus" in "\n".join(map(str, explain_field("metrics.source")))
