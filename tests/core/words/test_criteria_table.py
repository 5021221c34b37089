"""The scorecard: a row for each criterion, in the unit of its kind, and lines of one width."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.units import time_range_text
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import BaselineMeasurement, Finding, rows, table
from tests.support.findings import a_finding
from tests.support.judging import policy_of
from tests.support.rollouts import a_rollout

WINDOWED = {"judge": "threshold"}
RATE = {
    **WINDOWED, "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%",
}  # fmt: skip
SLOWER = {
    **WINDOWED, "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
    "baseline": {"concurrent": "direct"},
}  # fmt: skip
RATIO = {**WINDOWED, "kind": "threshold", "metric": "errors", "per": "requests", "max": "0.1%"}
AT_MOST = {**WINDOWED, "kind": "threshold", "metric": "latency", "max": 500}
AT_LEAST = {**WINDOWED, "kind": "threshold", "metric": "requests", "min": 1}
TRAFFIC = {**WINDOWED, "kind": "traffic", "metric": "requests"}
SHARE = {"kind": "share", "metric": "requests", "control": "stable"}
BURN = {"kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%"}
STORED = {**SLOWER, "judge": "sequential", "baseline": {"frozen": "direct", "window": "24h"}}
SLOW_FIXED = {**SLOWER, "judge": "sequential", "baseline": {"fixed": 400}}
SLOW_LIMIT = {**AT_MOST, "judge": "sequential"}
ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ABSENT = {"kind": "log_events", "absent": "fallback", "control": "check"}
PRESENT = {"kind": "log_events", "present": "gateway", "min": 3, "control": "check"}
ATTESTATION = {"kind": "attestation", "statement": "It looks right."}


def finding_of(measured: float | None, bound: float, **fields: Any) -> Finding:
    return a_finding("C", measured=measured, bound=bound, **fields)


@cases(
    "criterion, measured, bound, value, target",
    {
        "a rate": (RATE, 0.99954, 0.999, "99.95%", "≥ 99.9%"),
        "just below its bound": (RATE, 0.9989996, 0.999, "99.89996%", "≥ 99.9%"),
        "nothing measured": (RATE, None, 0.999, "–", "≥ 99.9%"),
        "slower": (SLOWER, 0.0312, 0.05, "+3.12%", "≤ +5%"),
        "faster": (SLOWER, -0.02, 0.05, "-2%", "≤ +5%"),
        "a ratio": (RATIO, 0.002, 0.001, "0.2%", "≤ 0.1%"),
        "a number with a unit": (AT_MOST, 412.5, 500, "412.5 ms", "≤ 500 ms"),
        "a number without one": (AT_LEAST, 8214, 1, "8,214", "≥ 1"),
        "traffic": (TRAFFIC, 0, 1, "0", "≥ 1"),
        "a share of slow requests": (SLOW_FIXED, 0.052, 0.05, "5.2%", "≤ 5% take > 420 ms"),
        "a share above a limit": (
            SLOW_LIMIT,
            0.3,
            0.0518,
            "30%",
            "≤ 5.18% take > 500 ms",
        ),
        "a share": (SHARE, 0.1008, 0.1, "10.08%", "10% ± 2%"),
        "a budget": (BURN, 3.456, 14.4, "3.46x", "burn ≤ 14.4x in 1h"),
        "an alarm that is OK": (ALARM, 0, 0, "OK", "OK"),
        "an alarm in ALARM": (ALARM, 1, 0, "ALARM", "OK"),
        "an alarm without a reading": (ALARM, None, 0, "–", "OK"),
        "an event too many": (ABSENT, 2, 0, "2", "≤ 0 events"),
        "an event too few": (PRESENT, 2, 3, "2", "≥ 3 events"),
        "a signature": (ATTESTATION, 1, 1, "signed", "signed"),
        "a refusal": (ATTESTATION, 0, 1, "refused", "signed"),
    },
)
def test_a_finding_is_written_in_the_unit_of_its_kind(
    criterion: Mapping[str, Any], measured: float | None, bound: float, value: str, target: str
) -> None:
    found = (finding_of(measured, bound),)
    (row,) = rows(a_rollout(policy=policy_of(criterion), findings=found))
    assert (row.measured, row.target) == (value, target)


@cases(
    "criterion, facts, measured, value",
    {
        "a mean": ({**STORED, **WINDOWED}, {"baseline": 400.0}, 0.031, "412.4 ms (+3.1%)"),
        "a mean of an earlier step": ({**STORED, **WINDOWED}, {}, 0.031, "412.4 ms (+3.1%)"),
    },
)
def test_a_latency_has_its_limit_in_milliseconds_and_the_increase(
    criterion: Mapping[str, Any], facts: Mapping[str, Any], measured: float, value: str
) -> None:
    baselines = {"C": BaselineMeasurement(400.0, 10_000, 0, 86_400)}
    found = (replace(finding_of(measured, 0.05), facts=facts),)
    policy = policy_of(criterion)
    for findings, shown in (((), "–"), (found, value)):
        (row,) = rows(a_rollout(policy=policy, findings=findings, baselines=baselines))
        assert (row.target, row.measured) == ("≤ 420 ms (+5%)", shown)


@pytest.mark.parametrize(
    ("criterion", "target"),
    [
        (RATE, "≥ 99.9%"), (SLOWER, "≤ +5%"), (RATIO, "≤ 0.1%"), (AT_MOST, "≤ 500 ms"),
        (AT_LEAST, "≥ 1"), (TRAFFIC, "≥ 1"), (SHARE, "weight ± 2%"),
        (BURN, "burn ≤ 14.4x in 1h and ≤ 6x in 6h"),
        (ALARM, "OK"), (ABSENT, "≤ 0 events"), (PRESENT, "≥ 3 events"), (ATTESTATION, "signed"),
    ],
)  # fmt: skip
def test_before_anything_is_judged_a_row_has_the_target_of_the_policy(
    criterion: Mapping[str, Any], target: str
) -> None:
    rollout = a_rollout(policy=policy_of(criterion))
    (row,) = rows(rollout)
    assert (row.target, row.measured, row.samples) == (target, "–", "–")
    assert (row.mark, row.label) == ("open", "not judged yet")
    assert table(rollout) == []


def test_a_table_says_from_when_to_when_the_samples_of_each_row_are_counted() -> None:
    begin = 1_767_603_600  # 2026-01-05 09:00 UTC
    kinds = (RATE, RATIO, TRAFFIC, ATTESTATION)
    policy = policy_of(RATE, criteria={f"C{index}": kind for index, kind in enumerate(kinds)})
    first, second, third, fourth = policy.criteria
    usual: dict[str, Any] = {"start": begin, "end": begin + 900, "samples": 10}
    findings = (
        replace(finding_of(0.9995, 0.999), criterion=first, **usual),
        replace(finding_of(0.0, 0.001), criterion=second, **usual),
        replace(finding_of(1, 1), criterion=third, start=begin + 300, end=begin + 600, samples=2),
        replace(finding_of(1, 1), criterion=fourth, **usual),
    )
    assert table(a_rollout(policy=policy, findings=findings))[-1] == (
        f"measured over all judged minutes of a step, from {time_range_text(begin, begin + 900)}; "
        f"{third} from {time_range_text(begin + 300, begin + 600)}"
    )
