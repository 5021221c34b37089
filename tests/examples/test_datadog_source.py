"""The example of a source of metrics: installed, named by a policy, and read from a fake."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.metrics.sources import MetricSources, opener
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.core.units import from_unix
from controller.policy_file.loader import check
from controller.ports.account import Egress
from controller.testing import installed, rehearse
from controller.tools.simulation.clock import VirtualClock
from tests.adapters.contracts.source_benches import CloudWatchBench
from tests.support.accounts import OneClientAccount
from tests.support.https_stub import Host, Responder, certificate, host, responds
from tests.support.prometheus_policies import prometheus_policy

NOON = 1_795_521_600
SPAN = Span(NOON, NOON + 600)
SOURCE = {"datadog": "localhost", "keys": {"secret": "datadog"}}


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the package of the example be installed."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with installed("rolloutctl.sources", {"datadog": "datadog_source:DatadogSource"}):
        yield


def policy(**changes: Mapping[str, Any]) -> dict[str, Any]:
    percentiles = {"exceedance": "percentiles"}
    failures = {"dimensions": {"path": "canary", "status": "500"}}
    latency = {"name": "http.request.duration"}
    plain: dict[str, Mapping[str, Any]] = {
        "fast": percentiles, "no_slower": percentiles, "failures": failures,
        "latency": latency, "usual": latency,
    }  # fmt: skip
    return prometheus_policy(SOURCE, **{**plain, **changes})


def answer(values: list[float | None]) -> bytes:
    times = [1_000 * (NOON + 60 * minute) for minute in range(len(values))]
    return json.dumps({"data": {"attributes": {"times": times, "values": [values]}}}).encode()


@pytest.fixture
def datadog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A fake of Datadog's API, on the port of https."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path)))
    with host(tmp_path / "localhost.pem") as running:
        monkeypatch.setattr("controller.adapters.http._PORT", running.port)
        yield running


def read(statistic: str, name: str = "requests") -> Series:
    """Return the series of a metric of the policy, as a tick reads it."""
    metric = Policy.model_validate(policy()).metrics[name]
    query = MetricQuery(
        "", metric.name, statistic, 60, tuple(metric.dimensions.items()), metric.source
    )
    account = OneClientAccount(
        secret=lambda _: "api app",
        egress=Egress(private_names=frozenset({"localhost"})),
        clock=VirtualClock(from_unix(NOON + 3_600)),
    )
    sources = MetricSources(CloudWatchBench().source(), opener(account), account.clock)
    return sources.read([query], SPAN)[query]


def test_validate_knows_it_and_a_rehearsal_plays_it() -> None:
    assert not check(policy())[1]
    assert rehearse(Policy.model_validate(policy())).phase == "succeeded"


def test_a_source_without_counts_above_a_limit_takes_percentiles() -> None:
    mistakes = check(policy(fast={"exceedance": None}))[1]
    assert [one.message for one in mistakes] == [
        "its source does not count the requests above a limit: write `exceedance: percentiles`"
    ]


@pytest.mark.parametrize(
    ("statistic", "name", "asked"),
    [
        ("Sum", "requests", "sum:http_requests_total{job:checkout,path:canary}.as_count()"),
        ("p95", "latency", "p95:http.request.duration{job:checkout,path:canary}"),
        ("Average", "latency", "avg:http.request.duration{job:checkout,path:canary}"),
    ],
)
def test_a_statistic_is_an_aggregation_of_datadog(
    datadog: Host, statistic: str, name: str, asked: str
) -> None:
    datadog.answer = responds(200, answer([3, None, 5]))
    assert read(statistic, name) == Series({NOON: 3, NOON + 120: 5})
    (request,) = datadog.requests
    attributes = json.loads(request.body)["data"]["attributes"]
    assert attributes["queries"][0]["query"] == asked
    assert (request.headers["DD-API-KEY"], attributes["interval"]) == ("api", 60_000)


@pytest.mark.parametrize(
    ("responder", "status"),
    [
        (responds(403, b"{}"), QueryStatus.FORBIDDEN),
        (responds(500, b""), QueryStatus.ERROR),
        (responds(200, b"{}"), QueryStatus.ERROR),
        (responds(200, answer([1]).replace(b"600000]", b"607000]")), QueryStatus.ERROR),
    ],
)
def test_what_is_no_answer_is_no_empty_series(
    datadog: Host, responder: Responder, status: QueryStatus
) -> None:
    datadog.answer = responder
    assert read("Sum").status is status
