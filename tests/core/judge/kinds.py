"""Helpers for tests of one criterion, called C, in a step that began at noon."""

from collections.abc import Mapping
from typing import Any

from controller.core.judge.evidence import NonMetricEvidence, Tally
from controller.core.judge.findings import Finding
from controller.core.judge.gate import judge
from controller.core.judge.gate_evidence import Evidence
from controller.core.observation import Series
from controller.core.policy import Policy
from controller.core.units import MINUTE_S
from tests.support.rollouts import NOON, a_policy

START = int(NOON.timestamp())
METRICS = {
    "canary": {"namespace": "Shop", "name": "Canary", "statistic": "Sum"},
    "stable": {"namespace": "Shop", "name": "Stable", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
}


def policy_of(criterion: Mapping[str, Any], **parts: Any) -> Policy:
    """Return a policy whose one criterion is `criterion`, called C."""
    return a_policy(metrics=METRICS, criteria={"C": criterion}, **parts)


def evidence_of(
    criterion: Mapping[str, Any],
    series: Mapping[str, Series],
    *,
    closed: int,
    bake_over: bool = True,
    weight: int = 10,
    non_metric: NonMetricEvidence | None = None,
    tallies: Mapping[str, Tally] | None = None,
) -> Evidence:
    """Return the evidence of `criterion`, called C, `closed` minutes after noon."""
    policy = policy_of(criterion)
    return Evidence(
        policy=policy,
        gate=policy.criteria,
        series=series,
        tallies=tallies or {},
        start=START,
        closed_end=START + closed * MINUTE_S,
        open_end=START + (closed + 4) * MINUTE_S,
        bake_over=bake_over,
        weight=weight,
        baselines={},
        non_metric=non_metric or NonMetricEvidence(),
    )


def judge_criterion(
    criterion: Mapping[str, Any], series: Mapping[str, Series], **fields: Any
) -> Finding:
    """Return the finding of `criterion`, called C."""
    (finding,) = judge(evidence_of(criterion, series, **fields))
    return finding
