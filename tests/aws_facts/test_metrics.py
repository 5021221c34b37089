"""Metrics and dimensions that AWS publishes: the product knows them, and the fakes have them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from controller.core.policy import Metric, aws_metrics
from controller.operations.checks import CheckLevel
from controller.operations.start import check_start
from controller.tools.init.survey import FAMILIES, SourceKind
from controller.tools.simulation.world import World
from tests.aws_facts.published import facts
from tests.aws_facts.test_request_counts import measured
from tests.support.stage import open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, MINUTE, POLICY, START, read, scenario

GATEWAY: Final = facts("apigateway")
NAMESPACES: Final = {facts(one)["namespace"] for one in ("alb", "lambda", "apigateway")}


def published() -> Iterator[tuple[str, str, list[str]]]:
    """Yield each namespace, metric and set of dimensions."""
    for service in ("alb", "lambda"):
        known = facts(service)
        for name, sets in known["dimensions"]["of"].items():
            yield from ((known["namespace"], name, one) for one in sets)
    for api in GATEWAY["metrics"]:
        for name in api["names"]:
            yield from ((GATEWAY["namespace"], name, one) for one in api["dimensions"])


PUBLISHED: Final = [
    pytest.param(*one, id=f"{one[0]} {one[1]} by {' and '.join(one[2])}") for one in published()
]


def metric(namespace: str, name: str, dimensions: list[str], **values: str) -> Metric:
    """Return a metric with these dimensions."""
    named = {dimension: values.get(dimension, "a") for dimension in dimensions}
    return Metric(namespace=namespace, name=name, statistic="Sum", dimensions=named)


@pytest.mark.parametrize(("namespace", "name", "dimensions"), PUBLISHED)
def test_the_product_knows_each_metric_by_the_dimensions_that_aws_publishes(
    namespace: str, name: str, dimensions: list[str]
) -> None:
    assert aws_metrics.dimensions_problem(metric(namespace, name, dimensions)) == ""


@pytest.mark.parametrize(("namespace", "name", "dimensions"), PUBLISHED)
def test_dimensions_that_aws_does_not_publish_are_a_mistake(
    namespace: str, name: str, dimensions: list[str]
) -> None:
    """A set with one more name, and the names of another service."""
    for wrong in ([*dimensions, "InstanceId"], ["QueueName"]):
        assert "publishes no" in aws_metrics.dimensions_problem(metric(namespace, name, wrong))


@pytest.mark.parametrize("api", GATEWAY["metrics"], ids=lambda one: one["api"])
def test_the_drafts_of_an_api_read_its_metrics(api: Mapping[str, Any]) -> None:
    family = FAMILIES[SourceKind(f"{api['api'].lower()}-api")]
    named = {family.requests, family.failures, family.client_errors, family.latency}
    assert named <= set(api["names"])
    assert list(family.dimensions) in api["dimensions"]
    assert family.namespace in NAMESPACES


# --- what a metric adds up ------------------------------------------------------------------------


def api_dimensions(names: list[str], stage: str) -> dict[str, str]:
    """Return the dimensions of one API, at a stage."""
    return {name: stage if name == "Stage" else "Execution Layer API" for name in names}


@pytest.mark.parametrize("stages", [["prod"], ["dev", "prod"]], ids=" and ".join)
@pytest.mark.parametrize(
    "fact", GATEWAY["adds_up"], ids=lambda one: " and ".join(one["dimensions"])
)
def test_a_metric_that_adds_up_several_stages_is_a_warning(
    tmp_path: Path, fact: Mapping[str, Any], stages: list[str]
) -> None:
    names = fact["dimensions"]
    requests = {
        **POLICY["metrics"]["requests"], "dimensions": api_dimensions(names, "prod"),
        "counts": "both",
    }  # fmt: skip
    busy = {"kind": "traffic", "judge": "threshold", "metric": "requests", "window": "1m"}
    policy = short_policy(metrics={"requests": requests}, criteria={"busy": busy})

    def lists(service: str, operation: str, request: Any, proceed: Any) -> Any:
        if operation != "ListMetrics":
            return proceed()
        named = [*([names[:1]]), *([[names[0], "Stage"]] * len(stages))]
        return {
            "Metrics": [
                {
                    "Namespace": request["Namespace"],
                    "MetricName": request["MetricName"],
                    "Dimensions": [
                        {"Name": name, "Value": value}
                        for name, value in api_dimensions(one, stage).items()
                    ],
                }
                for one, stage in zip(named, ["", *stages], strict=True)
            ]
        }

    with open_stage(tmp_path, policy=policy) as stage:
        stage.world.interceptors.append(lists)
        found = check_start(stage.runner, stage.policy).checks
    warnings = [one for one in found if "adds up the stages" in one.detail]
    if "Stage" in names or len(stages) == 1:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.level is CheckLevel.WARN
        assert warning.detail == f"{names[0]} Execution Layer API adds up the stages dev and prod"
        assert "name the one that the callers use" in warning.remedy


@pytest.mark.parametrize("fact", GATEWAY["api_names"], ids=lambda one: str(one["published"]))
def test_a_name_of_which_api_gateway_drops_characters_is_a_warning(fact: Mapping[str, Any]) -> None:
    found = list(
        aws_metrics.warnings(metric("AWS/ApiGateway", "Count", ["ApiName"], ApiName=fact["name"]))
    )
    if fact["published"] == fact["name"]:
        assert found == []
    else:
        ((field, message),) = found
        assert field == "dimensions"
        assert message.endswith(
            "the id of the API stands there"
            if fact["published"] == "id"
            else f"there it is {fact['published']}"
        )


# --- the time of a datapoint ----------------------------------------------------------------------


@pytest.mark.parametrize("fact", facts("lambda")["timestamps"], ids=lambda one: one["stamped"])
def test_the_fake_counts_an_invocation_in_the_minute_of_its_start(fact: Mapping[str, Any]) -> None:
    policy = measured("lambda")
    slow = {"median_ms": 1_000 * fact["duration_s"]}
    played = scenario(canary=slow, function={"weight": 100})
    account = World.for_policy(policy, played, seed=1, start=START)
    account.clock.advance(2 * HOUR)
    series = read(
        account, "AWS/Lambda/Invocations", dimensions=policy.metrics["Invocations"].dimensions,
        start=START, end=START + HOUR,
    )  # fmt: skip
    assert min(series) == START
    assert len(series) == HOUR // MINUTE


def test_the_page_of_policies_says_when_a_slow_invocation_is_counted() -> None:
    text = Path("docs/policy.md").read_text(encoding="utf-8")
    assert "in the minute in which it started" in text
    assert "adds up all stages" in text
