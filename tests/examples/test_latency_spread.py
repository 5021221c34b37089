"""A criterion of another package, in one file: validated, judged, and shown."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner

from controller.cli import rolloutctl
from controller.core.judge.findings import Label, Verdict
from controller.core.words.findings import sentence_of
from controller.errors import PolicyError
from controller.policy_file.loader import loads
from controller.policy_file.schema import policy_schema
from controller.testing import Rehearsal, installed, rehearse
from tests.examples.latency_spread import LatencySpread
from tests.support.parsed import parse

POLICY = """\
version: 1
name: checkout
target: {kind: lambda-env, function: handler, percentage: PERCENT}
metrics:
  p99: {namespace: AWS/ApiGateway, name: Latency, statistic: p99, dimensions: {ApiName: shop}}
  p50: {namespace: AWS/ApiGateway, name: Latency, statistic: p50, dimensions: {ApiName: shop}}
criteria:
  spread: {kind: latency_spread, judge: threshold, metric: p99, usual: p50, max: 3, window: 1m}
steps:
  - {weight: 10, bake: 10m}
  - {weight: 50, bake: 10m}
  - {weight: 100, bake: 30m}
"""

COUNTS = """\
metrics:
  requests: {namespace: AWS/ApiGateway, name: Count, statistic: Sum, dimensions: {ApiName: shop}}
  errors: {namespace: AWS/ApiGateway, name: 5XXError, statistic: Sum, dimensions: {ApiName: shop}}
"""
WORKS = """\
  works: {kind: success_rate, judge: sequential, total: requests, failures: [errors], min: 99.9%}
"""

WORLD = """\
name: spread
summary: The sigma of the canary says how far its slowest requests are from the usual ones.
traffic: {requests_per_minute: 3000}
stable: {median_ms: 150, sigma: 0.3}
canary: {median_ms: 150, sigma: SIGMA}
"""


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with installed(
        "rolloutctl.criteria", {"latency_spread": "tests.examples.latency_spread:LatencySpread"}
    ):
        yield


def rehearsed(tmp_path: Path, sigma: str) -> Rehearsal:
    scenario = tmp_path / "spread.yaml"
    scenario.write_text(WORLD.replace("SIGMA", sigma), encoding="utf-8")
    return rehearse(POLICY, str(scenario))


def test_a_canary_within_the_bound_takes_all_traffic(tmp_path: Path) -> None:
    healthy = rehearsed(tmp_path, "0.3")
    assert (healthy.phase, healthy.weights) == ("succeeded", (10, 50, 100))
    (finding,) = healthy.outcome.rollout.evidence.findings
    assert (finding.verdict, finding.bound) == (Verdict.PASS, 3.0)
    assert finding.measured == pytest.approx(2.0, abs=0.2)
    assert "p99 per p50 was 2.0" in sentence_of(finding)


def test_a_canary_beyond_it_goes_back_to_0(tmp_path: Path) -> None:
    slow = rehearsed(tmp_path, "0.8")
    assert (slow.phase, slow.weights, slow.weight) == ("rolled_back", (10,), 0)
    (finding,) = slow.outcome.rollout.evidence.findings
    assert finding.verdict is Verdict.FAIL
    assert "p99 per p50 was above 3 times in 3 windows of 1m in a row" in sentence_of(finding)


def test_plan_says_what_it_demands(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY, encoding="utf-8")
    shown = CliRunner().invoke(rolloutctl, ["plan", str(path)])
    assert "p99 per p50 at most 3 times; windows of 1m, 3 breaches in a row fail" in shown.output


def test_the_schema_for_editors_has_it() -> None:
    required = policy_schema()["definitions"]["LatencySpread"]["required"]
    assert required == ["kind", "metric", "usual", "max"]


def test_a_mistake_in_it_is_one_line_with_its_place() -> None:
    with pytest.raises(PolicyError) as caught:
        loads(POLICY.replace("max: 3", "max: 1"), "p.yaml")
    assert str(caught.value) == "p.yaml:8:82: criteria.spread.max: must be above 1, not 1"


def test_a_snapshot_is_read_back_as_it_was() -> None:
    policy = loads(POLICY, "p.yaml")
    assert parse(policy.model_dump(mode="json", by_alias=True, exclude_none=True)) == policy


class Faulty(LatencySpread):
    """The same criterion with a fault in its package."""

    kind: Literal["faulty"]  # type: ignore[assignment] # another kind, on purpose

    def value(self, points: Mapping[str, float]) -> tuple[float, float] | None:
        return points["no such metric"], 1.0


def test_a_fault_of_the_package_stops_no_other_criterion(tmp_path: Path) -> None:
    both = POLICY.replace("steps:", WORKS + "steps:").replace("metrics:\n", COUNTS)
    both = both.replace("latency_spread", "faulty")
    scenario = tmp_path / "errors.yaml"
    errors = "events: [{kind: errors, at: {step: 1, after: 4m}, path: canary, server_errors: 5%}]"
    scenario.write_text(WORLD.replace("SIGMA", "0.3") + errors, encoding="utf-8")
    with installed("rolloutctl.criteria", {"faulty": f"{__name__}:Faulty"}):
        failing = rehearse(both, str(scenario))
    findings = {finding.criterion: finding for finding in failing.outcome.rollout.evidence.findings}
    assert findings["spread"].label is Label.BAD_DATA
    assert (failing.phase, failing.weight) == ("rolled_back", 0)
    assert findings["works"].verdict is Verdict.FAIL
