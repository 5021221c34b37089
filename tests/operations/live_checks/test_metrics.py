"""Checks of metrics with data, without data, and with misspelt names."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.policy import Metric, Policy
from controller.operations.checks import Check, CheckLevel
from controller.operations.live_checks.metrics import (
    bound_checks,
    data_check,
    has_proven_dimensions,
    missing_data_check,
    stable_counterpart,
    typical_value,
)
from controller.policy_file.loader import load
from controller.ports.metrics import MetricListing
from tests.support.cases import cases
from tests.support.core import QueryStatus, Series
from tests.support.rollouts import NOON
from tests.support.stage import short_policy
from tests.tools.monitoring.watched import a_watched

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


def check_without_data(
    metric: Metric = LATENCY, *, idle: bool = False, proven: bool = False, **listed: Any
) -> Check:
    listing = MetricListing(**listed)
    return missing_data_check("latency", metric, listing, idle=idle, proven=proven)


def test_a_metric_without_data_needs_the_listed_metrics() -> None:
    assert check_with_data(series()) is None
    assert check_with_data(series(0, 0)) is None


@pytest.mark.parametrize("answer", [QueryStatus.FORBIDDEN, QueryStatus.ERROR])
def test_a_metric_that_cannot_be_read_fails(answer: QueryStatus) -> None:
    check = check_with_data(series(20), series(answer=answer, message="not you"))
    assert check is not None
    assert (check.level, check.detail) == (CheckLevel.FAIL, "cannot be read: not you")
    assert "cloudwatch:GetMetricData" in check.remedy


def test_samples_without_their_percentile_are_published_wrongly() -> None:
    check = check_with_data(series(20), series())
    assert check is not None
    assert check.level is CheckLevel.FAIL
    assert "no p95: its publisher sends statistic sets" in check.detail


# A metric of AWS's that it documents, one in its namespace that it does not, and one of ours.
ERRORS: dict[str, Any] = {"namespace": "AWS/ApiGateway", "statistic": "Sum", "dimensions": API}
DOCUMENTED = Metric(name="5XXError", **ERRORS)
MISSPELT = Metric(name="5xxError", **ERRORS)
OURS = Metric(namespace="Shop", name="Failures", statistic="Sum", dimensions=API)


@cases(
    "metric, listed, level, text",
    {
        "a quiet day": (
            DOCUMENTED,
            {"dimensions": [API]},
            CheckLevel.WARN,
            "it had some in the last two weeks",
        ),
        "other dimensions, the nearest first": (
            DOCUMENTED,
            {"dimensions": [{"ApiName": "other"}, STAGE]},
            CheckLevel.WARN,
            "it had some with {ApiName: shop, Stage: prod} or {ApiName: other}",
        ),
        "our metric with other dimensions": (
            OURS,
            {"dimensions": [STAGE]},
            CheckLevel.WARN,
            "fine before the first request on that path",
        ),
        "a service without an error": (
            DOCUMENTED,
            {},
            CheckLevel.WARN,
            "while there is nothing to count",
        ),
        "a name in another case": (
            MISSPELT,
            {"names": ["5XXError", "Count"]},
            CheckLevel.FAIL,
            "there is 5XXError: correct",
        ),
        "a typing mistake": (OURS, {"names": ["Failure"]}, CheckLevel.FAIL, "there is Failure"),
        "a documented name that had no data either": (
            MISSPELT,
            {},
            CheckLevel.FAIL,
            "there is 5XXError",
        ),
        "nothing like it": (
            OURS,
            {"names": ["Count"]},
            CheckLevel.FAIL,
            "in this account and region",
        ),
        "an empty namespace": (OURS, {}, CheckLevel.FAIL, "publish it once (0 is enough)"),
        "a list that does not answer": (
            OURS,
            {"problem": "throttled"},
            CheckLevel.WARN,
            "throttled",
        ),
        "a list without the right to it": (
            OURS,
            {"problem": "denied", "missing_right": "cloudwatch:ListMetrics"},
            CheckLevel.WARN,
            "not checked: grant cloudwatch:ListMetrics",
        ),
    },
)
def test_a_metric_without_data(
    metric: Metric, listed: dict[str, Any], level: CheckLevel, text: str
) -> None:
    check = check_without_data(metric, **listed)
    assert (check.what, check.level) == ("metric latency", level)
    assert text in check.text


@cases(
    "metric, idle, proven, listed, level",
    {
        "a canary at 0% that had requests": (
            OURS,
            True,
            False,
            {"dimensions": [API]},
            CheckLevel.OK,
        ),
        "no error yet, and requests with the same dimensions": (
            DOCUMENTED,
            False,
            True,
            {},
            CheckLevel.OK,
        ),
        "AWS counts the target by these dimensions": (
            DOCUMENTED,
            True,
            True,
            {"dimensions": [STAGE]},
            CheckLevel.OK,
        ),
        "a path whose dimensions are right": (
            OURS,
            True,
            True,
            {"dimensions": [STAGE]},
            CheckLevel.OK,
        ),
        "a canary at 0% whose dimensions nothing confirms": (
            DOCUMENTED,
            True,
            False,
            {"dimensions": [STAGE]},
            CheckLevel.WARN,
        ),
        "a misspelt name beside the right dimensions": (MISSPELT, True, True, {}, CheckLevel.FAIL),
    },
)
def test_no_data_where_none_is_expected(
    metric: Metric, idle: bool, proven: bool, listed: dict[str, Any], level: CheckLevel
) -> None:
    assert check_without_data(metric, idle=idle, proven=proven, **listed).level is level


@pytest.mark.parametrize("shipped", ["alb-weights", "lambda-alias"])
def test_the_dimensions_by_which_aws_counts_the_target_are_right(shipped: str) -> None:
    policy = load(Path(f"policies/{shipped}.yaml"))
    policy = policy.resolved(policy.target.rehearsed())
    requests = policy.metrics["requests"]
    assert has_proven_dimensions(policy, requests, [])
    other = requests.model_copy(update={"dimensions": {"FunctionName": "other"}})
    assert not has_proven_dimensions(policy, other, [requests])
    assert has_proven_dimensions(policy, other, [other])


def test_a_path_of_the_flag_is_right_where_the_other_one_is_listed() -> None:
    policy = load(Path("policies/execution-api.yaml"))
    calls = policy.metrics["calls"]
    listed = {**calls.dimensions, "Path": "stable"}
    assert has_proven_dimensions(policy, calls, [], [listed])
    assert not has_proven_dimensions(policy, calls, [], [{"Path": "stable"}])
    mistyped = calls.model_copy(update={"dimensions": {**listed, "Path": "canry"}})
    assert not has_proven_dimensions(policy, mistyped, [], [listed])


@pytest.mark.parametrize("path", ["canary", "stable"])
def test_the_flag_of_another_function_proves_nothing(path: str) -> None:
    policy = load(Path("policies/execution-api.yaml"))
    other = {"Flag": "shop", "Path": path}
    assert not has_proven_dimensions(policy, policy.metrics["calls"], [], [other])


def test_the_stable_path_is_measured_where_the_canary_has_no_requests_yet() -> None:
    policy = load(Path("policies/alb-weights.yaml"))
    policy = policy.resolved(policy.target.rehearsed())
    latency, stable = policy.metrics["latency"], policy.metrics["blue_latency"]
    assert stable_counterpart(policy, latency) == stable
    assert stable_counterpart(policy, stable) is None
    alias = load(Path("policies/lambda-alias.yaml"))
    alias = alias.resolved(alias.target.rehearsed())
    counterpart = stable_counterpart(alias, alias.metrics["duration"])
    assert counterpart is not None
    assert counterpart.dimensions == alias.metrics["live_duration"].dimensions  # as AWS has it at 0


@pytest.mark.parametrize("shipped", ["alb-weights", "lambda-alias"])
def test_a_metric_of_another_namespace_is_not_counted_by_the_target(shipped: str) -> None:
    """An application may use AWS's dimensions for metrics that are counted in another way."""
    policy = load(Path(f"policies/{shipped}.yaml"))
    policy = policy.resolved(policy.target.rehearsed())
    own = policy.metrics["requests"].model_copy(update={"namespace": "Shop"})
    assert stable_counterpart(policy, own) is None
    assert not has_proven_dimensions(policy, own, [])


# --- Bounds ---------------------------------------------------------------------------------------


def a_policy(unit: str = "ms", **criterion: Any) -> Policy:
    """Return a policy with one criterion on a latency that AWS does not document."""
    latency = {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": unit}
    slow = {"metric": "latency", **criterion}
    return short_policy(metrics={"latency": latency}, criteria={"slow": slow})


BOUND = {"kind": "threshold", "judge": "threshold"}
INCREASE = {"kind": "latency_increase", "judge": "threshold", "max_increase": "5%"}


@cases(
    "policy, measured, field",
    {
        "milliseconds for seconds": (a_policy(unit="s", **BOUND, max=500), 1.2, "max 500 s"),
        "seconds for milliseconds": (a_policy(**BOUND, max=0.5), 250, "max 0.5 ms"),
        "a generous bound": (a_policy(**BOUND, max=500), 5.1, ""),
        "a minimum": (a_policy(**BOUND, min=0.001), 250, "min 0.001 ms"),
        "a baseline": (a_policy(**INCREASE, baseline={"fixed": 0.2}), 250, "baseline.fixed 0.2 ms"),
        "what is no time": (a_policy(unit="%", **BOUND, max=90), 0.2, ""),
    },
)
def test_a_bound_that_is_probably_in_another_unit(
    policy: Policy, measured: float, field: str
) -> None:
    found = list(bound_checks(policy, {"latency": measured}))
    assert [one.level for one in found] == ([CheckLevel.WARN] if field else [])
    assert all(field in one.text and one.what == "criterion slow" for one in found)
    assert not list(bound_checks(policy, {}))


def test_what_a_metric_usually_measures_is_weighted_by_samples() -> None:
    assert typical_value(series(3, 1), series(100, 200)) == 125
    assert typical_value(series(), series(100)) is None
