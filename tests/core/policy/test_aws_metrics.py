"""What AWS documents of a metric: mistakes in its dimensions, and warnings at its fields."""

from typing import Any

import pytest

from controller.core.policy import Metric, aws_metrics
from controller.core.policy.metric import RequestMetrics
from controller.tools.init.survey import FAMILIES
from tests.support.cases import cases
from tests.support.policies import changed, mistakes

ALB, GATEWAY, LAMBDA = "AWS/ApplicationELB", "AWS/ApiGateway", "AWS/Lambda"


def metric(
    namespace: str, name: str, dimensions: str, statistic: str = "Sum", unit: str = ""
) -> Metric:
    """Return a metric with these names of dimensions."""
    return Metric(
        namespace=namespace, name=name, statistic=statistic, unit=unit,
        dimensions={one: "canary" if one == "Path" else "one" for one in dimensions.split()},
    )  # fmt: skip


@cases("given, hint", {
    "the balancer's own 5XX by target group": (
        metric(ALB, "HTTPCode_ELB_5XX_Count", "LoadBalancer TargetGroup"),
        "it publishes HTTPCode_Target_5XX_Count",
    ),
    "the 5XX of targets by target group alone": (
        metric(ALB, "HTTPCode_Target_5XX_Count", "TargetGroup"), "{LoadBalancer, TargetGroup}",
    ),
    "an HTTP API with the name of REST APIs":
        (metric(GATEWAY, "5XXError", "ApiId"), "it publishes 5xx"),
    "a REST API with the name of HTTP APIs":
        (metric(GATEWAY, "5xx", "ApiName Stage"), "it publishes 5XXError"),
    "a version without its alias":
        (metric(LAMBDA, "Errors", "FunctionName ExecutedVersion"), "ExecutedVersion, FunctionName"),
    "a path without the name of its flag": (
        metric("rolloutctl", "Failures", "Path"),
        "the flag publishes no Failures with the dimensions {Path}, only with {Flag, Path}",
    ),
    "a flag without a path": (metric("rolloutctl", "Failures", "Flag"), "only with {Flag, Path}"),
})  # fmt: skip
def test_dimensions_that_are_not_published_are_a_mistake_at_their_place(
    given: Metric, hint: str
) -> None:
    assert hint in aws_metrics.dimensions_problem(given)
    ((place, message),) = mistakes(changed(metrics__errors=given.model_dump(exclude_none=True)))
    assert (place, hint in message) == ("metrics.errors.dimensions", True)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda one: one.kind)
def test_what_init_drafts_is_no_mistake_and_no_warning(family: RequestMetrics) -> None:
    dimensions = " ".join(family.dimensions)
    drafted = [
        metric(family.namespace, name, dimensions)
        for name in (family.requests, family.failures, family.client_errors)
        if name
    ]
    drafted.append(metric(family.namespace, family.latency, dimensions, "p95", family.unit))
    for one in drafted:
        assert not aws_metrics.dimensions_problem(one)
        assert not list(aws_metrics.warnings(one))
        assert aws_metrics.is_documented(one) is aws_metrics.has_one_publisher(family.namespace)


@pytest.mark.parametrize("name", ["Requests", "5xxError", "HTTPCode_ELB_599_Count"])
def test_a_name_that_aws_does_not_document_is_no_mistake(name: str) -> None:
    assert not aws_metrics.dimensions_problem(metric(ALB, name, "TargetGroup"))


@cases("given, field, hint", {
    "the sum of a latency":
        (metric(ALB, "TargetResponseTime", "LoadBalancer"), "statistic", "take Average"),
    "the sum of a duration": (metric(LAMBDA, "Duration", "FunctionName"), "statistic", "Sum of"),
    "the average of requests":
        (metric(ALB, "RequestCount", "LoadBalancer", "Average"), "statistic", "take Sum"),
    "a percentile of errors":
        (metric(LAMBDA, "Errors", "FunctionName", "p95"), "statistic", "take Sum"),
    "the samples of errors, which are all invocations":
        (metric(LAMBDA, "Errors", "FunctionName", "SampleCount"), "statistic", "take Sum"),
    "milliseconds of what is in seconds": (
        metric(ALB, "TargetResponseTime", "LoadBalancer", "p95", "milliseconds"), "unit", "is in s",
    ),
    "milliseconds of a count":
        (metric(LAMBDA, "Errors", "FunctionName", unit="ms"), "unit", "a count"),
    "a misspelt name": (metric(GATEWAY, "5xxError", "ApiName"), "name", "mean 5XXError?"),
    "a misspelt name of an HTTP API": (metric(GATEWAY, "5xxError", "ApiId"), "name", "mean 5xx?"),
})  # fmt: skip
def test_a_warning_is_at_the_field_that_is_probably_wrong(
    given: Metric, field: str, hint: str
) -> None:
    ((place, message),) = aws_metrics.warnings(given)
    assert (place, hint in message) == (field, True)


@pytest.mark.parametrize("given", [
    metric(GATEWAY, "5XXError", "ApiName", "Average"),
    metric(GATEWAY, "Count", "ApiName", "SampleCount"),
    metric(LAMBDA, "Duration", "FunctionName", "SampleCount"),
    metric(ALB, "TargetResponseTime", "LoadBalancer", "p99.9", "seconds"),
    metric(ALB, "RequestCount", "LoadBalancer", unit="requests"),
    metric(LAMBDA, "ConcurrentExecutions", "FunctionName", "Maximum"),
    metric("Shop", "Latency", "", "Sum", "ms"),
])  # fmt: skip
def test_what_aws_documents_as_useful_is_no_warning(given: Metric) -> None:
    assert not list(aws_metrics.warnings(given))


@pytest.mark.parametrize(
    ("namespace", "name", "statistic", "expected"),
    [
        (ALB, "TargetResponseTime", "p95", True),
        (ALB, "TargetResponseTime", "SampleCount", False),  # a number of requests
        (ALB, "RequestCount", "Sum", False),
        ("AWS/Lambda", "Duration", "p95", False),  # milliseconds
    ],
)
def test_a_value_in_seconds_is_told_from_a_count(
    namespace: str, name: str, statistic: str, expected: bool
) -> None:
    given = metric(namespace, name, "LoadBalancer", statistic)
    assert aws_metrics.is_in_seconds(given) is expected


def test_the_unit_of_a_time_is_the_documented_one_before_the_stated_one() -> None:
    def unit(*given: Any) -> str:
        return aws_metrics.time_unit(metric(*given))

    assert unit(ALB, "TargetResponseTime", "LoadBalancer", "p95", "ms") == "s"
    assert unit("Shop", "Latency", "", "p95", "Milliseconds") == "ms"
    assert unit("Shop", "Latency", "", "p95") == ""
    assert unit(ALB, "RequestCount", "LoadBalancer", "Sum", "ms") == ""
