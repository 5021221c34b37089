"""Traffic estimates from the metrics of a policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Span
from controller.tools.plan.traffic import estimate_traffic
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
    ("criteria", "hourly", "per_minute", "metrics"),
    [
        pytest.param(
            {"works": {**RATE, "control": BESIDE}}, {CANARY: 60, STABLE: 540},
            10, ("requests", "direct_requests"), id="both paths of a success rate",
        ),
        pytest.param(
            {"traffic": {**TRAFFIC, "control": "direct_requests"}}, {STABLE: 600},
            10, ("direct_requests",), id="the control of the traffic, before a start",
        ),
        pytest.param(
            {"works": RATE, "fast": FAST}, {CANARY: 60, SAMPLES: 540},
            10, ("requests", "direct"), id="samples of a latency, where nothing else counts",
        ),
        pytest.param(
            {"works": {**RATE, "control": BESIDE}, "fast": FAST}, {CANARY: 60, SAMPLES: 540},
            10, ("requests", "direct"), id="the first that has data",
        ),
        pytest.param(
            {"works": {**RATE, "control": BESIDE}, "fast": FAST}, {STABLE: 600, SAMPLES: 540},
            10, ("direct_requests",), id="and no path twice",
        ),
        pytest.param({"share": SHARE}, {CANARY: 60}, 1, ("requests",), id="what a share is of"),
        pytest.param({"works": RATE}, {}, 0, (), id="nothing without requests"),
    ],
)  # fmt: skip
def test_the_traffic_is_that_of_both_paths(
    criteria: dict[str, Any], hourly: dict[str, float], per_minute: float, metrics: tuple[str, ...]
) -> None:
    estimate = estimate_traffic(Source(hourly), a_policy(**criteria), NOW)
    assert (estimate.per_minute, estimate.metrics) == (per_minute, metrics)


def test_what_counts_both_paths_is_not_added_to_one_of_them() -> None:
    metrics = {**POLICY["metrics"]}
    metrics["whole"] = {**metrics["requests"], "name": "All", "counts": "both"}
    criteria = {
        "works": {**RATE, "control": BESIDE},
        "works-alone": {**RATE, "total": "whole", "failures": ["whole"]},
    }
    policy = Policy.model_validate({**POLICY, "metrics": metrics, "criteria": criteria})
    source = Source({CANARY: 60, STABLE: 540, "All:Sum": 600})
    estimate = estimate_traffic(source, policy, NOW)
    assert (estimate.per_minute, estimate.metrics) == (10, ("whole",))


@cases("criteria, counts, scope", {
    "nothing counts the other path": ({"works": RATE}, None, "canary"),
    "a latency does": ({"works": RATE, "fast": FAST}, None, None),
    "a count of both": ({"works": RATE}, "both", "both"),
    "a count of both, beside a latency": ({"works": RATE, "fast": FAST}, "both", "both"),
    "a count of the stable path": ({"works": RATE}, "stable", "stable"),
    "two of the stable path": ({"works": RATE, "fast": FAST}, "stable", "stable"),
})  # fmt: skip
def test_the_traffic_says_whose_requests_it_counts(
    criteria: dict[str, Any], counts: str | None, scope: str | None
) -> None:
    policy = a_policy(**criteria)
    requests = policy.metrics["requests"].model_copy(update={"counts": counts})
    policy = policy.model_copy(update={"metrics": {**policy.metrics, "requests": requests}})
    estimate = estimate_traffic(Source({CANARY: 60}), policy, NOW)
    assert (estimate.per_minute, estimate.scope) == (1, scope)


def test_the_traffic_of_each_hour_is_that_of_both_paths() -> None:
    source = Source({CANARY: 60, SAMPLES: 540})
    estimate = estimate_traffic(source, a_policy(works=RATE, fast=FAST), NOW)
    assert estimate.by_hour == (10,) * 24


def test_a_partial_series_is_no_count() -> None:
    estimate = estimate_traffic(
        Source({CANARY: 60}, QueryStatus.PARTIAL), a_policy(works=RATE), NOW
    )
    assert (estimate.per_minute, estimate.metrics) == (0, ())
