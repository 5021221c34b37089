"""Checks of metrics with data, without data, and with misspelt names."""

from pathlib import Path
from typing import Any

import pytest

from controller.operations.checks import Check, Level
from controller.operations.live_checks.metrics import (
    data_check,
    missing_data_check,
)
from controller.policy_file.loader import load
from controller.ports.metrics import MetricListing
from tests.operations.monitoring.watched import a_watched
from tests.support.cases import cases
from tests.support.core import QueryStatus, Series
from tests.support.rollouts import NOON

NOON_S = int(NOON.timestamp())
POLICY = a_watched("beside")
LATENCY = POLICY.metrics["latency"]

API, STAGE = {"ApiName": "shop"}, {"ApiName": "shop", "Stage": "prod"}


def series(*counts: float, answer: QueryStatus = QueryStatus.COMPLETE, message: str = "") -> Series:
    """Return a series of `counts` in the periods before noon, the last one ten minutes old."""
    first = NOON_S - 600 - 300 * (len(counts) - 1)
    points = {first + 300 * number: count for number, count in enumerate(counts)}
    return Series(points, answer, message)


def check_with_data(samples: Series, values: Series | None = None) -> Check | None:
    return data_check("latency", LATENCY, samples, samples if values is None else values, NOON)


def check_without_data(**listed: Any) -> Check:
    return missing_data_check("latency", POLICY, MetricListing(**listed))


def test_a_metric_without_data_needs_the_listed_metrics() -> None:
    assert check_with_data(series()) is None
    assert check_with_data(series(0, 0)) is None


@pytest.mark.parametrize("answer", [QueryStatus.FORBIDDEN, QueryStatus.ERROR])
def test_a_metric_that_cannot_be_read_fails(answer: QueryStatus) -> None:
    check = check_with_data(series(20), series(answer=answer, message="not you"))
    assert check is not None
    assert (check.level, check.detail) == (Level.FAIL, "cannot be read: not you")
    assert "cloudwatch:GetMetricData" in check.remedy


def test_samples_without_their_percentile_are_published_wrongly() -> None:
    check = check_with_data(series(20), series())
    assert check is not None
    assert check.level is Level.FAIL
    assert "no p95: its publisher sends statistic sets" in check.detail


@cases("listed, level, text", {
    "a quiet day": ({"dimensions": [API]}, Level.WARN, "it had some in the last two weeks"),
    "other dimensions, the nearest first": (
        {"dimensions": [{"ApiName": "other"}, STAGE]}, Level.FAIL,
        "it has {ApiName: shop, Stage: prod} or {ApiName: other}: correct the policy",
    ),
    "a name in another case":
        ({"names": ["latency", "Count"]}, Level.FAIL, "it has latency: correct the policy"),
    "a typing mistake": ({"names": ["Latencies"]}, Level.FAIL, "it has Latencies"),
    "nothing like it":
        ({"names": ["Count"]}, Level.WARN, "fine before the first request on that path"),
    "an empty namespace": ({}, Level.WARN, "fine before the first request"),
    "a list that is denied":
        ({"problem": "denied (cloudwatch:ListMetrics)"}, Level.WARN, "(cloudwatch:ListMetrics)"),
})  # fmt: skip
def test_a_metric_without_data(listed: dict[str, Any], level: Level, text: str) -> None:
    check = check_without_data(**listed)
    assert check.level is level
    assert text in f"{check.detail}; {check.remedy}"


def test_a_path_without_requests_yet_is_no_mistake_because_the_other_path_is_listed() -> None:
    """Before the first start, the canary's metric is listed under the stable path alone."""
    path = {"namespace": "Shop", "name": "Calls", "statistic": "Sum"}
    metrics = {
        "requests": {**path, "dimensions": {"Path": "canary"}},
        "direct": {**path, "dimensions": {"Path": "stable"}},
    }
    traffic = {"kind": "traffic", "judge": "threshold", "metric": "requests", "control": "direct"}
    policy = a_watched("traffic", metrics=metrics, criteria={"traffic": traffic})
    quiet = missing_data_check("requests", policy, MetricListing([{"Path": "stable"}]))
    assert quiet.level is Level.WARN
    mistyped = missing_data_check(
        "requests", policy, MetricListing([{"Path": "stable"}, {"Path": "new"}])
    )
    assert (mistyped.level, mistyped.remedy) == (
        Level.FAIL,
        "it has {Path: new}: correct the policy",
    )


@pytest.mark.parametrize("shipped", ["alb-weights", "lambda-alias"])
def test_a_path_that_aws_counts_by_itself_has_no_mistake_before_its_first_request(
    shipped: str,
) -> None:
    policy = load(Path(f"policies/{shipped}.yaml"))
    policy = policy.resolved(policy.target.rehearsed())
    dimensions = policy.metrics["requests"].dimensions
    others = [{"FunctionName": "checkout"}, {**dimensions, "LoadBalancer": "app/other/1"}]
    check = missing_data_check("requests", policy, MetricListing(others))
    assert (check.level, check.remedy) == (
        Level.WARN, "fine before the first request on that path; else check the name and the region"
    )  # fmt: skip
