"""Metric roles: path and measure of each metric, inferred from the policy."""

from typing import Any

import pytest

from controller.errors import PolicyError
from controller.tools.simulation.scenario.metric_roles import (
    Identity,
    Measure,
    Role,
    TrafficPath,
    roles_of,
)
from tests.support.core import Policy
from tests.tools.simulation.worlds import FUNCTION, POLICY

CANARY_LATENCY = Role(path=TrafficPath.CANARY, measure=Measure.LATENCY)


def policy(baseline: dict[str, Any], **metrics: dict[str, Any]) -> Policy:
    """A policy that compares `latency` with a baseline and bounds every other metric."""
    other_metrics = [
        name for name in metrics if name not in ("latency", *map(str, baseline.values()))
    ]
    bounded = {
        name: {"kind": "threshold", "judge": "threshold", "metric": name, "max": 1}
        for name in other_metrics
    }
    compared = {
        "kind": "latency_increase",
        "judge": "threshold",
        "metric": "latency",
        "max_increase": "5%",
        "baseline": baseline,
    }
    return Policy.model_validate(
        {
            **POLICY,
            "metrics": metrics,
            "criteria": {"fast": compared, **bounded},
            "steps": [{"weight": 100, "bake": "1h"}],
        }
    )


def metric(namespace: str, name: str, statistic: str = "p95", **dimensions: str) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": name,
        "statistic": statistic,
        "dimensions": dimensions,
    }


def caller(name: str, **dimensions: str) -> dict[str, Any]:
    return metric("rolloutctl", name, **dimensions)


def role(of: Policy, name: str, **named: Role) -> tuple[TrafficPath, Measure]:
    found = roles_of(of, named)[Identity.of(of.metrics[name])]
    return found.path, found.measure


GATEWAY = metric("AWS/ApiGateway", "Latency", ApiName="orders")
FIXED = {"fixed": 100}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (metric("AWS/ApiGateway", "Count"), (TrafficPath.CANARY, Measure.REQUESTS)),
        (metric("AWS/ApiGateway", "4XXError"), (TrafficPath.CANARY, Measure.CLIENT_ERRORS)),
        (metric("AWS/ApiGateway", "5xx"), (TrafficPath.CANARY, Measure.SERVER_ERRORS)),
        (
            metric("AWS/ApiGateway", "IntegrationLatency"),
            (TrafficPath.CANARY, Measure.INTEGRATION_LATENCY),
        ),
        (
            metric("AWS/Lambda", "Errors", FunctionName="backend"),
            (TrafficPath.CANARY, Measure.SERVER_ERRORS),
        ),
        (
            {**metric("AWS/ApiGateway", "Latency", ApiName="all"), "counts": "both"},
            (TrafficPath.BOTH, Measure.LATENCY),
        ),
        (
            metric("AWS/Lambda", "Duration", FunctionName=FUNCTION),
            (TrafficPath.BOTH, Measure.LATENCY),
        ),
    ],
    ids=[
        "gateway requests",
        "gateway 4xx",
        "HTTP API 5xx",
        "gateway integration",
        "another function",
        "as the policy says",
        "the target itself",
    ],
)
def test_the_path_is_that_of_the_policy_and_the_measure_that_of_the_name(
    measured: dict[str, Any], expected: tuple[TrafficPath, Measure]
) -> None:
    assert role(policy(FIXED, latency=GATEWAY, measured=measured), "measured") == expected


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        pytest.param(
            caller("Requests", Flag=FUNCTION, Path="canary"),
            (TrafficPath.CANARY, Measure.REQUESTS),
            id="canary",
        ),
        pytest.param(
            caller("Failures", Flag=FUNCTION, Path="canary"),
            (TrafficPath.CANARY, Measure.FAILURES),
            id="failures",
        ),
        pytest.param(
            caller("Duration", Flag=FUNCTION, Path="stable"),
            (TrafficPath.STABLE, Measure.LATENCY),
            id="stable",
        ),
        pytest.param(
            caller("Requests", Flag="checkout-search", Path="stable"),
            (TrafficPath.STABLE, Measure.REQUESTS),
            id="a flag with a name",
        ),
    ],
)
def test_what_the_flag_measures_names_its_path(
    measured: dict[str, Any], expected: tuple[TrafficPath, Measure]
) -> None:
    assert role(policy(FIXED, latency=GATEWAY, measured=measured), "measured") == expected


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(caller("Requests", Flag=FUNCTION), id="without a path"),
        pytest.param(caller("Requests", Path="canary"), id="without a flag"),
        pytest.param(caller("Requests", Flag=FUNCTION, Path="both"), id="of another path"),
        pytest.param(
            caller("Requests", Flag=FUNCTION, Path="canary", Stage="prod"), id="by more than that"
        ),
        pytest.param(caller("Errors", Flag=FUNCTION, Path="canary"), id="of another name"),
    ],
)
def test_what_no_flag_publishes_has_no_inferred_role(measured: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"metrics\.measured: it is unknown"):
        roles_of(policy(FIXED, latency=GATEWAY, measured=measured), {})


@pytest.mark.parametrize(
    ("namespace", "name", "measure"),
    [
        ("AWS/ApplicationELB", "TargetResponseTime", Measure.LATENCY),
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", Measure.SERVER_ERRORS),
    ],
)
def test_a_load_balancer_measures_the_canary(namespace: str, name: str, measure: Measure) -> None:
    measured = metric(namespace, name, LoadBalancer="app/a/1", TargetGroup="targetgroup/b/2")
    found = policy(FIXED, latency=GATEWAY, measured=measured)
    assert role(found, "measured") == (TrafficPath.CANARY, measure)


def test_a_stated_role_overrides_every_inferred_one() -> None:
    stated = Role(path=TrafficPath.STABLE, measure=Measure.REQUESTS)
    measured = policy(FIXED, latency=GATEWAY)
    assert role(measured, "latency", latency=stated) == (TrafficPath.STABLE, Measure.REQUESTS)


SHOP = {
    name: {"namespace": "Shop", "name": name, "statistic": statistic, "dimensions": {"Side": side}}
    for name, statistic, side in [
        ("requests", "Sum", "new"), ("errors", "Sum", "new"), ("answers", "Sum", "new"),
        ("time", "p95", "new"), ("carts", "Sum", "new"), ("lost", "Sum", "new"),
        ("depth", "Maximum", "new"), ("old_requests", "Sum", "old"), ("old_errors", "Sum", "old"),
        ("old_time", "p95", "old"),
    ]
}  # fmt: skip
OF_SHOP = {
    "works": {
        "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%",
        "control": {"total": "old_requests", "failures": ["old_errors"]},
    },
    "answers": {
        "kind": "success_rate", "total": "requests", "successes": ["answers"], "min": "99%",
    },
    "fast": {
        "kind": "latency_increase", "metric": "time", "max_increase": "5%",
        "baseline": {"concurrent": "old_time"},
    },
    "limit": {"kind": "threshold", "metric": "time", "max": 500},
    "carts": {"kind": "threshold", "metric": "lost", "per": "carts", "max": "1%"},
    "traffic": {"kind": "traffic", "metric": "requests", "control": "old_requests"},
}  # fmt: skip


def shop(*criteria: str, **more: dict[str, Any]) -> Policy:
    """A policy on metrics of an application, with some of these criteria."""
    used = {**{name: OF_SHOP[name] for name in criteria}, **more}
    return Policy.model_validate(
        {**POLICY, "metrics": SHOP, "criteria": used, "steps": [{"weight": 50, "bake": "1h"}]}
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("requests", (TrafficPath.CANARY, Measure.REQUESTS)),
        ("errors", (TrafficPath.CANARY, Measure.FAILURES)),
        ("answers", (TrafficPath.CANARY, Measure.SUCCESSES)),
        ("time", (TrafficPath.CANARY, Measure.LATENCY)),
        ("old_requests", (TrafficPath.STABLE, Measure.REQUESTS)),
        ("old_errors", (TrafficPath.STABLE, Measure.FAILURES)),
        ("old_time", (TrafficPath.STABLE, Measure.LATENCY)),
        ("carts", (TrafficPath.CANARY, Measure.REQUESTS)),
        ("lost", (TrafficPath.CANARY, Measure.FAILURES)),
    ],
)
def test_the_measure_of_an_applications_metric_is_what_criteria_use_it_for(
    name: str, expected: tuple[TrafficPath, Measure]
) -> None:
    unused = Role(path=TrafficPath.CANARY, measure=Measure.DIED)
    assert role(shop(*OF_SHOP), name, depth=unused) == expected


def test_a_metric_whose_use_does_not_tell_is_named_with_what_to_write() -> None:
    deep = {"kind": "threshold", "judge": "threshold", "metric": "depth", "max": 9}
    both = {"kind": "success_rate", "total": "errors", "failures": ["errors"], "min": "99%"}
    with pytest.raises(PolicyError) as error:
        roles_of(shop(*OF_SHOP, deep=deep, odd=both), {})
    lines = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["metrics.errors", "metrics.depth"]
    assert "metrics: {errors: {path: canary, measure: requests}}" in lines[0]


def test_a_role_for_a_metric_that_the_policy_does_not_have_is_a_mistake() -> None:
    with pytest.raises(PolicyError, match=r"metrics\.latencies: the policy has no such metric"):
        roles_of(policy(FIXED, latency=GATEWAY), {"latencies": CANARY_LATENCY})


def test_two_roles_for_one_cloudwatch_metric_are_a_mistake() -> None:
    twice = policy(FIXED, latency=GATEWAY, again={**GATEWAY, "statistic": "p50"})
    stated = Role(path=TrafficPath.STABLE, measure=Measure.LATENCY)
    with pytest.raises(
        PolicyError, match=r"metrics\.again: the same CloudWatch metric measures latency of canary"
    ):
        roles_of(twice, {"again": stated})
