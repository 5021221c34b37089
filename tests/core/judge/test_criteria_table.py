"""The scorecard: a row for each criterion, in the unit of its kind, and lines of one width."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.core import Finding, Label, Verdict, rows, table
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
ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ABSENT = {"kind": "log_events", "absent": "fallback", "control": "check"}
PRESENT = {"kind": "log_events", "present": "gateway", "min": 3, "control": "check"}
ATTESTATION = {"kind": "attestation", "statement": "It looks right."}


def finding_of(measured: float | None, bound: float, **fields: Any) -> Finding:
    return a_finding("C", measured=measured, bound=bound, **fields)


@pytest.mark.parametrize(
    ("criterion", "measured", "bound", "value", "target"),
    [
        pytest.param(RATE, 0.99954, 0.999, "99.954%", "≥ 99.9%", id="a rate"),
        pytest.param(RATE, 0.9989996, 0.999, "99.89996%", "≥ 99.9%", id="just below its bound"),
        pytest.param(RATE, None, 0.999, "–", "≥ 99.9%", id="nothing measured"),
        pytest.param(SLOWER, 0.0312, 0.05, "+3.1%", "≤ +5%", id="slower"),
        pytest.param(SLOWER, -0.02, 0.05, "-2%", "≤ +5%", id="faster"),
        pytest.param(RATIO, 0.002, 0.001, "0.2%", "≤ 0.1%", id="a ratio"),
        pytest.param(AT_MOST, 412.5, 500, "412.5", "≤ 500 ms", id="a number with a unit"),
        pytest.param(AT_LEAST, 8214, 1, "8 214", "≥ 1", id="a number without one"),
        pytest.param(TRAFFIC, 0, 1, "0", "≥ 1", id="traffic"),
        pytest.param(SHARE, 0.1008, 0.1, "10.08%", "10% ± 2%", id="a share"),
        pytest.param(BURN, 3.456, 14.4, "3.46x", "≤ 14.4x", id="a budget"),
        pytest.param(ALARM, 0, 0, "OK", "OK", id="an alarm that is OK"),
        pytest.param(ALARM, 1, 0, "ALARM", "OK", id="an alarm in ALARM"),
        pytest.param(ALARM, None, 0, "–", "OK", id="an alarm without a reading"),
        pytest.param(ABSENT, 2, 0, "2", "≤ 0 events", id="an event too many"),
        pytest.param(PRESENT, 2, 3, "2", "≥ 3 events", id="an event too few"),
        pytest.param(ATTESTATION, 1, 1, "signed", "signed", id="a signature"),
        pytest.param(ATTESTATION, 0, 1, "refused", "signed", id="a refusal"),
    ],
)
def test_a_finding_is_written_in_the_unit_of_its_kind(
    criterion: Mapping[str, Any], measured: float | None, bound: float, value: str, target: str
) -> None:
    found = (finding_of(measured, bound),)
    (row,) = rows(a_rollout(policy=policy_of(criterion), findings=found))
    assert (row.measured, row.target) == (value, target)


@pytest.mark.parametrize(
    ("criterion", "target"),
    [
        (RATE, "≥ 99.9%"), (SLOWER, "≤ +5%"), (RATIO, "≤ 0.1%"), (AT_MOST, "≤ 500 ms"),
        (AT_LEAST, "≥ 1"), (TRAFFIC, "≥ 1"), (SHARE, "weight ± 2%"), (BURN, "≤ 14.4x and ≤ 6x"),
        (ALARM, "OK"), (ABSENT, "≤ 0 events"), (PRESENT, "≥ 3 events"), (ATTESTATION, "signed"),
    ],
)  # fmt: skip
def test_before_anything_is_judged_a_row_has_the_target_of_the_policy(
    criterion: Mapping[str, Any], target: str
) -> None:
    rollout = a_rollout(policy=policy_of(criterion))
    (row,) = rows(rollout)
    assert (row.target, row.measured, row.samples) == (target, "–", "–")
    assert row.label == Label.NOT_JUDGED
    assert table(rollout) == []


def test_the_table_has_one_width_and_says_what_only_reports() -> None:
    policy = policy_of({**ALARM, "gates": False})
    red = finding_of(1, 0, verdict=Verdict.FAIL, label=Label.REFUTED, samples=0, gates=False)
    assert table(a_rollout(policy=policy, findings=(red,))) == [
        "      criterion  target  measured  samples  shown    role",
        "FAIL  C          OK         ALARM        –  refuted  report",
    ]


def test_the_newest_finding_of_a_criterion_counts() -> None:
    older, newer = finding_of(1, 0, verdict=Verdict.FAIL), finding_of(0, 0)
    (row,) = rows(a_rollout(policy=policy_of(ALARM), earlier=(older,), findings=(newer,)))
    assert row.measured == "OK"
    (row,) = rows(a_rollout(policy=policy_of(ALARM), earlier=(older,)))
    assert row.measured == "ALARM"
