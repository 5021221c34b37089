"""Listed metrics: the dimensions or names that a policy could have meant."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.metrics.cloudwatch import MetricList
from controller.core.policy import Metric
from tests.support.emulator import Emulator

ACTION = "cloudwatch:ListMetrics"
LATENCY = Metric(namespace="Shop", name="Latency", statistic="p95", dimensions={"Path": "canary"})


def with_metrics(client: Any) -> Any:
    """Return `client`, after a latency of two paths, and of another namespace."""
    for path in ("stable", "new"):
        datum = {"MetricName": "Latency", "Value": 1.0}
        client.put_metric_data(
            Namespace="Shop",
            MetricData=[{**datum, "Dimensions": [{"Name": "Path", "Value": path}]}],
        )
    client.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "Count", "Value": 1.0}])
    return client


def test_a_metric_is_listed_with_its_dimensions_and_a_wrong_name_with_what_there_is(
    ministack: Emulator, account: str
) -> None:
    client = with_metrics(ministack.client("cloudwatch", account))
    listing = MetricList(lambda: client)
    result = listing.similar(LATENCY)
    assert sorted(dimension["Path"] for dimension in result.dimensions) == ["new", "stable"]
    assert (result.names, result.problem) == ([], "")
    renamed = listing.similar(LATENCY.model_copy(update={"name": "latency"}))
    assert (renamed.dimensions, renamed.names) == ([], ["Latency"])
    assert sorted(
        dimension["Path"] for dimension in listing.named("Shop", "Latency", {"Path": ""}).dimensions
    ) == [
        "new",
        "stable",
    ]
    assert listing.named("Shop", "Latency", {"Path": "new"}).dimensions == [{"Path": "new"}]
    assert listing.named("Shop", "Latency", {"Stage": ""}).dimensions == []


class Pages:
    """A client that gives a list in pages, the first one empty; or refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def list_metrics(self, **request: str) -> dict[str, Any]:
        if self._error is not None:
            raise self._error
        if "NextToken" not in request:
            return {"Metrics": [], "NextToken": "more"}
        pair = {"Name": "Path", "Value": "canary"}
        return {"Metrics": [{"MetricName": "Latency", "Dimensions": [pair]}]}


def test_every_page_is_read() -> None:
    assert MetricList(Pages).similar(LATENCY).dimensions == [{"Path": "canary"}]


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_a_list_that_is_refused_says_why(code: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "ListMetrics")
    refused = MetricList(lambda: Pages(error))
    for listing in (refused.similar(LATENCY), refused.named("Shop", "Latency", {})):
        start = f"metrics could not be listed ({ACTION}): {code}: no; "
        assert listing.problem.startswith(start)
        assert listing.missing_right == (ACTION if code == "AccessDenied" else "")
