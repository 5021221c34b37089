"""Traffic estimates from the metrics of a policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Span
from controller.tools.plan.traffic import measured_traffic
from tests.support.cases import cases
from tests.support.core import Policy, QueryStatus, Series
from tests.tools.simulation.worlds import POLICY

NOW = datetime(2026, 1, 5, 9, 20, tzinfo=UTC)


@dataclass(slots=True)
class Source:
    """A metric source with constant requests an hour. read_spans: the spans that were read."""

    hourly: Mapping[str, float]
    answer: QueryStatus = QueryStatus.COMPLETE
    read_spans: list[Span] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        self.read_spans.append(span)
        return {query: self._series(query, span) for query in queries}

    def _series(self, query: MetricQuery, span: Span) -> Series:
        each = self.hourly.get(f"{query.name}:{query.statistic}")
        hours = range(span.start, span.end, query.period_s)
        return Series({} if each is None else dict.fromkeys(hours, each), self.answer)


def a_policy(**criteria: Any) -> Policy:
    return Policy.model_validate({**POLICY, "criteria": criteria})


RATE = {**POLICY["criteria"]["works"], "judge": "sequential"}
BESIDE = {"total": "direct_requests", "failures": ["server_errors"]}
TRAFFIC = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
SHARE = {
    "kind": "threshold", "judge": "threshold", "metric": "client_errors", "per": "requests",
    "max": "1%",
}  # fmt: skip
FAST = {**POLICY["criteria"]["fast"], "baseline": {"concurrent": "direct"}}

CANARY, STABLE, SAMPLES = "Count:Sum", "Invocations:Sum", "Duration:SampleCount"


@pytest.mark.parametrize(
    ("criteria", "hourly", "counted"),
    [
        pytest.param(
            {"works": {**RATE, "control": BESIDE}}, {CANARY: 60, STABLE: 540},
            "requests + direct_requests", id="both paths of a success rate",
        ),
        pytest.param(
            {"traffic": {**TRAFFIC, "control": "direct_requests"}}, {STABLE: 600},
            "direct_requests", id="the control of the traffic, before a start",
        ),
        pytest.param(
            {"works": RATE, "fast": FAST}, {CANARY: 60, SAMPLES: 540},
            "requests + direct", id="samples of a latency, where nothing else counts",
        ),
        pytest.param(
            {"works": {**RATE, "control": BESIDE}, "fast": FAST}, {CANARY: 60, SAMPLES: 540},
            "requests + direct", id="the first that has data",
        ),
        pytest.param(
            {"works": {**RATE, "control": BESIDE}, "fast": FAST}, {STABLE: 600, SAMPLES: 540},
            "direct_requests", id="and no path twice",
        ),
        pytest.param({"share": SHARE}, {CANARY: 600}, "requests", id="what a share is of"),
    ],
)  # fmt: skip
def test_the_traffic_is_that_of_both_paths(
    criteria: dict[str, Any], hourly: dict[str, float], counted: str
) -> None:
    found = measured_traffic(Source(hourly), a_policy(**criteria), NOW)
    assert found.per_minute == 10
    assert found.source.startswith(f"{counted} of the last 24h")


def test_what_counts_both_paths_is_not_added_to_one_of_them() -> None:
    metrics = {**POLICY["metrics"]}
    metrics["whole"] = {**metrics["requests"], "name": "All", "counts": "both"}
    criteria = {
        "works": {**RATE, "control": BESIDE},
        "works-alone": {**RATE, "total": "whole", "failures": ["whole"]},
    }
    policy = Policy.model_validate({**POLICY, "metrics": metrics, "criteria": criteria})
    source = Source({CANARY: 60, STABLE: 540, "All:Sum": 600})
    found = measured_traffic(source, policy, NOW)
    assert found[:2] == (10, "whole of the last 24h, of both paths")


@cases("criteria, counts, scope", {
    "nothing counts the other path": ({"works": RATE}, None, ", of the canary alone"),
    "a latency does": ({"works": RATE, "fast": FAST}, None, ""),
    "a count of both": ({"works": RATE}, "both", ", of both paths"),
    "a count of both, beside a latency": ({"works": RATE, "fast": FAST}, "both", ", of both paths"),
    "a count of the stable path": ({"works": RATE}, "stable", ", of the stable path"),
    "two of the stable path": ({"works": RATE, "fast": FAST}, "stable", ", of the stable path"),
})  # fmt: skip
def test_the_traffic_says_whose_requests_it_counts(
    criteria: dict[str, Any], counts: str | None, scope: str
) -> None:
    policy = a_policy(**criteria)
    requests = policy.metrics["requests"].model_copy(update={"counts": counts})
    policy = policy.model_copy(update={"metrics": {**policy.metrics, "requests": requests}})
    found = measured_traffic(Source({CANARY: 60}), policy, NOW)
    assert found[:2] == (1, f"requests of the last 24h{scope}")


def test_the_traffic_of_each_hour_is_that_of_both_paths() -> None:
    source = Source({CANARY: 60, SAMPLES: 540})
    found = measured_traffic(source, a_policy(works=RATE, fast=FAST), NOW)
    assert found.by_hour == [10] * 24


@cases("source", {
    "no requests": Source({}),
    "a partial series": Source({CANARY: 60}, QueryStatus.PARTIAL),
})  # fmt: skip
def test_what_is_no_count_leaves_the_traffic_unknown(source: Source) -> None:
    found = measured_traffic(source, a_policy(works=RATE), NOW)
    assert found.per_minute is None
    assert found.source.startswith("no metric of the policy counted a request in the last 24h")
