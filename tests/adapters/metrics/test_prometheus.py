"""Answers of Prometheus: limits, refusals and credentials, each by a host that is none."""

import gzip
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import pytest

from controller.adapters.http import HttpsError
from controller.adapters.metrics.prometheus import client
from controller.adapters.metrics.prometheus.source import PrometheusMetrics
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import SecretReference
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.units import from_unix
from controller.errors import DeliveryError, MetricsError
from controller.ports.account import Egress
from controller.tools.simulation.clock import VirtualClock
from tests.support.accounts import OneClientAccount
from tests.support.core import QueryStatus
from tests.support.https_stub import Host, Responder, breaks_off, in_turn, responds

NOON = 1_795_521_600
SPAN = Span(NOON, NOON + 600)
LOCAL = Egress(private_names=frozenset({"localhost"}))


def answer(*series: dict[str, Any], **more: Any) -> bytes:
    data = {"resultType": "matrix", "result": list(series)}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def counter(**labels: str) -> dict[str, Any]:
    """Return a counter that grows by 5 every 15 s."""
    values = [[NOON - 60 + 15 * index, str(5 * index)] for index in range(45)]
    return {"metric": {"__name__": "http_requests_total", **labels}, "values": values}


def read(
    url: str,
    *,
    name: str = "http_requests_total",
    statistic: str = "Sum",
    dimensions: tuple[tuple[str, str], ...] = (),
    egress: Egress = LOCAL,
    span: Span = SPAN,
    **source: Any,
) -> Series:
    """Return the series of one query, an hour after noon."""
    spec = PrometheusSource(prometheus=url, **source)
    account = OneClientAccount(
        secret=lambda _: "abc", egress=egress, clock=VirtualClock(from_unix(NOON + 3_600))
    )
    query = MetricQuery("", name, statistic, 60, dimensions, spec)
    return PrometheusMetrics(spec, account).read([query], span)[query]


def asked(stub: Host, number: int = 0) -> dict[str, str]:
    """Return the parameters of a request that arrived."""
    parameters = parse_qs(stub.requests[number].body.decode())
    return {name: values[0] for name, values in parameters.items()}


def test_raw_samples_are_requested_from_before_the_span_to_after_it(stub: Host) -> None:
    stub.answer = responds(200, answer(counter()))
    dimensions = (("code", "~5.."), ("path", 'a"b'), ("zone", "!x"))
    series = read(stub.url(""), dimensions=dimensions)
    assert stub.requests[0].path == "/api/v1/query"
    assert asked(stub)["query"] == (
        '{__name__="http_requests_total",code=~"5..",path="a\\"b",zone!="x"}[960s]'
    )
    assert float(asked(stub)["time"]) == NOON + 660
    assert set(series.points.values()) == {20.0}


def test_a_compressed_answer_is_read(stub: Host) -> None:
    stub.answer = responds(200, gzip.compress(answer(counter())))
    assert len(read(stub.url("")).points) == 10
    assert stub.requests[0].headers["Accept-Encoding"] == "gzip"


def test_what_a_server_warns_of_makes_the_answer_partial(stub: Host) -> None:
    stub.answer = responds(200, answer(counter(), warnings=["a store was not reached"]))
    series = read(stub.url(""))
    assert (series.status, series.message) == (QueryStatus.PARTIAL, "a store was not reached")
    assert series.points


def test_a_warning_of_a_server_is_a_short_line(stub: Host) -> None:
    warnings = [f"\x1b[31m{number} " + "x" * 10_000 for number in range(9)]
    stub.answer = responds(200, answer(counter(), warnings=warnings))
    message = read(stub.url("")).message
    assert len(message) < 1_000
    assert message.isprintable()


def test_a_percentile_without_a_bound_below_it_is_no_number_and_no_pass(stub: Host) -> None:
    """A classic histogram whose one bucket has no bound: everything is in it."""
    bucket = {**counter(le="+Inf")}
    bucket["metric"]["__name__"] = "seconds_bucket"
    stub.answer = responds(200, answer(bucket))
    series = read(stub.url(""), name="seconds", statistic="p95", type="histogram")
    assert (series.status, series.points) == (QueryStatus.ERROR, {})
    assert series.message == "some of its values are no numbers"


REFUSED = b'{"status": "error", "errorType": "execution", "error": "too many\\nsamples"}'
SCALAR = b'{"status": "success", "data": {"resultType": "scalar", "result": []}}'
NO_ANSWER = "what it answered is no answer of Prometheus' HTTP API"


@pytest.mark.parametrize(
    ("responder", "message"),
    [
        (responds(302, b"", Location="/"), "the answer was 302; redirects are not followed"),
        (responds(502, b"<html>"), "the answer was 502"),
        (responds(200, b"<html>"), NO_ANSWER),
        (responds(200, b"\x1f\x8bno"), "its answer cannot be unpacked"),
        (responds(200, gzip.compress(answer())[:-9]), "its answer broke off"),
        (breaks_off(answer()), "localhost broke off in the middle of its answer"),
        (responds(422, REFUSED), "it answered 422, execution: too many samples"),
        (responds(200, SCALAR), "its result is no series"),
        (
            responds(200, answer({"metric": {}, "values": [[NOON, "x"]]})),
            "an answer of it has a value that is no number",
        ),
    ],
)
def test_what_is_no_whole_result_is_no_empty_series(
    stub: Host, responder: Responder, message: str
) -> None:
    stub.answer = responder
    series = read(stub.url(""))
    expected = Series(status=QueryStatus.ERROR, message=f"prometheus localhost: {message}")
    assert series == expected


def test_an_answer_that_is_too_long_is_requested_in_parts(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_BYTES", 5_000)
    long, short = (gzip.compress(answer(counter(), more=" " * size)) for size in (9_000, 9))
    stub.answer = in_turn(*(responds(200, one) for one in (long, short, short)))
    assert len(read(stub.url("")).points) == 10
    assert [asked(stub, number)["query"][-6:] for number in range(3)] == [
        "[960s]", "[480s]", "[480s]",
    ]  # fmt: skip


def test_answers_that_are_too_long_for_minutes_name_the_labels(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_SENT", 1_000)
    stub.answer = responds(200, answer(counter()))
    assert read(stub.url("")).message == (
        "prometheus localhost: the samples of http_requests_total are too many: name more of its "
        "labels"
    )


def test_no_more_time_is_taken_than_a_read_has(stub: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.adapters.metrics.prometheus.source.READ_S", 0.0)
    assert "no time was left for all of its queries" in read(stub.url("")).message
    assert not stub.requests


# --- the budget of a read -------------------------------------------------------------------------


def read_many(stub: Host, names: Sequence[str], span: Span = SPAN) -> list[Series]:
    """Return the series of several metrics of one read."""
    source = PrometheusSource(prometheus=stub.url(""))
    clock = VirtualClock(from_unix(NOON + 3_600))
    account = OneClientAccount(egress=LOCAL, clock=clock)
    queries = [MetricQuery("", name, "Sum", 60, (), source) for name in names]
    answers = PrometheusMetrics(source, account).read(queries, span)
    return [answers[query] for query in queries]


@pytest.mark.parametrize("most", ["MOST_SENT_A_DAY", "MOST_BYTES_A_DAY"])
def test_answers_that_are_too_long_together_end_as_no_data(
    stub: Host, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    stub.answer = responds(200, answer(counter()))
    monkeypatch.setattr(client, most, 3 * len(answer(counter())))
    series = read_many(stub, [f"part{number}_total" for number in range(20)])
    statuses = [one.status for one in series]
    assert statuses.count(QueryStatus.COMPLETE) >= 3
    assert statuses.count(QueryStatus.ERROR) >= 10
    assert len(stub.requests) < 10
    messages = {one.message for one in series if one.status is QueryStatus.ERROR}
    (message,) = messages
    assert message.startswith("prometheus localhost: no data: its answers together are longer than")
    assert not any(one.points for one in series if one.status is QueryStatus.ERROR)


def test_answers_that_are_too_long_to_be_used_count_as_well(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.answer = responds(200, answer(counter()))
    monkeypatch.setattr(client, "MOST_SENT", 1_000)
    monkeypatch.setattr(client, "MOST_SENT_A_DAY", 1_000)
    assert "no data: its answers together" in read(stub.url("")).message
    assert len(stub.requests) == 1


def test_each_day_that_is_read_has_its_own_bytes(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A baseline of a week is read for each metric by 24 queries a day."""
    stub.answer = responds(200, answer(counter()))
    monkeypatch.setattr(client, "MOST_SENT_A_DAY", 30 * len(answer(counter())))
    week = Span(NOON - 7 * 86_400 + 600, NOON + 600)
    assert [one.status for one in read_many(stub, ["a_total"], week)] == [QueryStatus.COMPLETE]


def test_a_rollout_that_used_its_share_blinds_no_other(
    stub: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.answer = responds(200, answer(counter()))
    monkeypatch.setattr(client, "MOST_SENT_A_DAY", 3 * len(answer(counter())))
    greedy = read_many(stub, [f"part{number}_total" for number in range(20)])
    assert greedy[-1].status is QueryStatus.ERROR
    modest = read_many(stub, ["few_total"])
    assert [one.status for one in modest] == [QueryStatus.COMPLETE]


def test_a_tick_of_ten_criteria_is_far_from_the_budget() -> None:
    """docs/prometheus.md: one instance and 15 metrics take 76 kB a tick as sent."""
    assert client.MOST_SENT_A_DAY > 400 * 76_000
    assert client.MOST_BYTES_A_DAY == 4 * client.MOST_SENT_A_DAY


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ({}, None),
        ({"token": SecretReference(environment="T")}, "Bearer abc"),
        ({"token": SecretReference(environment="T"), "user": "me"}, "Basic bWU6YWJj"),
    ],
)
def test_credentials_are_read_where_the_policy_names_them(
    stub: Host, source: dict[str, Any], header: str | None
) -> None:
    stub.answer = responds(200, answer())
    read(stub.url(""), **source)
    assert stub.requests[0].headers.get("Authorization") == header


def test_a_token_that_cannot_be_read_stops_the_read() -> None:
    def unset(reference: SecretReference) -> str:
        raise DeliveryError(f"{reference.display_name} is not set, or empty")

    token = SecretReference(environment="T")
    source = PrometheusSource(prometheus="https://localhost", token=token)
    metrics = PrometheusMetrics(source, OneClientAccount(secret=unset))
    with pytest.raises(MetricsError, match="the environment variable T is not set"):
        metrics.read([MetricQuery("", "a_total", "Sum", 60, (), source)], SPAN)


def test_requests_to_a_workspace_of_amazon_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def post(url: str, body: bytes, headers: Any, **_options: Any) -> Any:
        sent.append((url, headers["Authorization"]))
        raise HttpsError("no network")

    monkeypatch.setattr(client, "post", post)
    read("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1a2b/")
    assert sent == [
        (
            "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1a2b/api/v1/query",
            "signed for aps in eu-west-1",
        )
    ]


def test_a_private_host_takes_the_policy_and_the_operator(stub: Host) -> None:
    assert (
        "ROLLOUTCTL_PRIVATE_HOSTS has to allow it as well"
        in read(stub.url(""), egress=Egress()).message
    )
    assert not stub.requests
