"""Metrics of other sources than CloudWatch: what `validate` finds, and what a rollout stores."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.policy import Policy
from controller.core.policy.kind_registry import STORED
from controller.core.policy.sources import MissingSource
from controller.policy_file.loader import check
from tests.support.prometheus_policies import SERVER, prometheus_policy


def mistakes(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the mistakes of a policy by their places."""
    return {".".join(map(str, one.place)): one.message for one in check(data)[1]}


def test_a_policy_of_a_prometheus_server_has_no_mistake() -> None:
    assert mistakes(prometheus_policy()) == {}


def test_its_labels_tell_the_paths_as_dimensions_do() -> None:
    policy = Policy.model_validate(prometheus_policy())
    assert policy.counts == {
        "requests": "canary", "failures": "canary", "latency": "canary", "usual": "stable",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        pytest.param(
            {"requests": {"statistic": "Average"}}, "metrics.requests.statistic",
            "a counter has Sum, not Average", id="a counter has only a sum",
        ),
        pytest.param(
            {"latency": {"statistic": "Maximum"}}, "metrics.latency.statistic",
            "a histogram has Average or SampleCount or a percentile, not Maximum",
            id="a histogram knows no largest value",
        ),
        pytest.param(
            {"latency": {"source": {**SERVER, "type": "gauge"}}}, "metrics.latency.statistic",
            "a gauge has Average or Minimum or Maximum, not p95. http_request_duration_seconds is "
            "taken for a gauge as its source says", id="a gauge has no percentile",
        ),
        pytest.param(
            {"latency": {"name": "http_request_duration_seconds_bucket"}}, "metrics.latency.name",
            "name the histogram: http_request_duration_seconds", id="buckets are not named",
        ),
        pytest.param(
            {"requests": {"dimensions": {"http-code": "200"}}}, "metrics.requests.dimensions",
            "http-code is no name of a label", id="a label has no dash",
        ),
        pytest.param(
            {"failures": {"dimensions": {"code": "~5(.."}}}, "metrics.failures.dimensions",
            "code: ~5(.. is no regular expression", id="a pattern is one",
        ),
        pytest.param(
            {"fast": {"exceedance": "percentiles"}}, "criteria.fast.exceedance",
            "its source counts the requests above a limit", id="no shares between percentiles",
        ),
        pytest.param(
            {"failures": {"source": {"prometheus": "https://other.example.com"}}},
            "criteria.success.failures.0",
            "http_requests_total is of prometheus other.example.com and http_requests_total of "
            "prometheus prometheus.example.com: two sources count at other times",
            id="a rate is of one source",
        ),
        pytest.param(
            {"requests": {"namespace": "Shop"}}, "metrics.requests.namespace",
            "only CloudWatch has namespaces", id="no namespace beside a source",
        ),
        pytest.param(
            {"requests": {"source": {"prometheus": "http://plain.example.com"}}},
            "metrics.requests.source.prometheus",
            "HTTPS is needed: write https://plain.example.com", id="samples come by TLS",
        ),
        pytest.param(
            {"requests": {"source": {"prometheus": "ftp://plain.example.com"}}},
            "metrics.requests.source.prometheus", "expected a URL like https://host:9090",
            id="another scheme",
        ),
        pytest.param(
            {"requests": {"source": {**SERVER, "user": "me"}}}, "metrics.requests.source",
            "`user` needs a `token`", id="a user has a password",
        ),
        pytest.param(
            {"requests": {"source": {**SERVER, "token": "abc"}}}, "metrics.requests.source.token",
            "a webhook URL, or any other secret, never stands in a policy", id="no secret in it",
        ),
        pytest.param(
            {"requests": {"source": {"datadog": "https://api.example.com"}}},
            "metrics.requests.source.datadog", "no kind of source is called 'datadog'",
            id="a kind that no package has",
        ),
        pytest.param(
            {"requests": {"source": {}}}, "metrics.requests.source",
            "is required; one of prometheus", id="a source names its kind",
        ),
    ],
)  # fmt: skip
def test_a_mistake_says_what_to_write(changes: Mapping[str, Any], place: str, message: str) -> None:
    assert mistakes(prometheus_policy(**changes))[place].startswith(message)


SURPLUS = ["/api/v1", "/api/v1/", "/api/v1/query", "/api/v1/query?query=up", "?a=b", "/?a=b"]


@pytest.mark.parametrize("surplus", SURPLUS)
@pytest.mark.parametrize("server", ["https://mimir.example.com:9090", "https://h.example.com/prom"])
def test_a_url_of_a_request_is_refused_with_that_of_the_server(server: str, surplus: str) -> None:
    found = mistakes(prometheus_policy({"prometheus": server + surplus}))
    message = found["metrics.requests.source.prometheus"]
    assert message.removesuffix("/").endswith(f"/api/v1 out: write {server}")


def test_a_proxy_may_have_an_api_before_the_server() -> None:
    proxied = "https://k8s.example.com/api/v1/namespaces/m/services/prometheus:9090/proxy"
    assert mistakes(prometheus_policy({"prometheus": proxied})) == {}


def test_a_workspace_of_amazon_is_signed_for_and_takes_no_token() -> None:
    workspace = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1a2b"
    source = {"prometheus": workspace, "token": {"secret": "t"}}
    found = mistakes(prometheus_policy(source))
    assert "leave `token` out" in found["metrics.requests.source"]


def test_a_stored_policy_is_the_same_again() -> None:
    policy = Policy.model_validate(prometheus_policy({**SERVER, "token": {"secret": "t"}}))
    assert Policy.model_validate_json(policy.snapshot()) == policy


def test_a_stored_source_of_a_missing_package_keeps_its_rollout_from_every_raise() -> None:
    stored = prometheus_policy({"datadog": "https://api.example.com"})
    policy = Policy.model_validate(stored, context=STORED)
    assert isinstance(policy.metrics["requests"].source, MissingSource)
    assert "no installed package has the source kind 'datadog'" in policy.missing_kinds[0]
    assert policy.model_dump(mode="json")["metrics"]["requests"]["source"] == {
        "datadog": "https://api.example.com"
    }
