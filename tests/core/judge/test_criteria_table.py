"""The scorecard: a row for each criterion, in the unit of its kind, and lines of one width."""

from typing import Any

import pytest

from controller.core.judge.criteria_table import bound_text, measured_text, rows, table, target_text
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.policy import Policy
from tests.core.judge.kinds import policy_of
from tests.support.rollouts import a_rollout

SHARE = {"kind": "share", "metric": "canary", "control": "stable"}
BURN = {"kind": "burn_rate", "total": "canary", "failures": ["errors"], "slo": "99.9%"}
ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ABSENT = {"kind": "log_events", "absent": "fallback", "control": "check"}
PRESENT = {"kind": "log_events", "present": "gateway", "min": 3, "control": "check"}
ATTESTATION = {"kind": "attestation", "statement": "It looks right."}


def finding_of(measured: float | None, bound: float, **fields: Any) -> Finding:
    defaults: dict[str, Any] = {
        "criterion": "C", "verdict": Verdict.PASS, "label": Label.NOT_REFUTED, "samples": 1_000,
        "start": 0, "end": 60, "sentence": "C holds.",
    }  # fmt: skip
    return Finding(measured=measured, bound=bound, **{**defaults, **fields})


@pytest.mark.parametrize(
    ("criterion", "measured", "bound", "expected_value", "expected_bound", "expected_target"),
    [
        pytest.param(SHARE, 0.1008, 0.1, "10.08%", "10% ± 2%", "weight ± 2%", id="a share"),
        pytest.param(BURN, 3.456, 14.4, "3.46x", "≤ 14.4x", "≤ 14.4x and ≤ 6x", id="a budget"),
        pytest.param(ALARM, 0.0, 0.0, "OK", "OK", "OK", id="an alarm that is OK"),
        pytest.param(ALARM, 1.0, 0.0, "ALARM", "OK", "OK", id="an alarm in ALARM"),
        pytest.param(ALARM, None, 0.0, "–", "OK", "OK", id="an alarm without a reading"),
        pytest.param(ABSENT, 2.0, 0.0, "2", "≤ 0 events", "≤ 0 events", id="an event too many"),
        pytest.param(PRESENT, 2.0, 3.0, "2", "≥ 3 events", "≥ 3 events", id="an event too few"),
        pytest.param(ATTESTATION, 1.0, 1.0, "signed", "signed", "signed", id="a signature"),
        pytest.param(ATTESTATION, 0.0, 1.0, "refused", "signed", "signed", id="a refusal"),
    ],
)  # fmt: skip
def test_each_kind_is_written_in_its_own_unit(
    criterion: dict[str, Any],
    measured: float,
    bound: float,
    expected_value: str,
    expected_bound: str,
    expected_target: str,
) -> None:
    policy: Policy = policy_of(criterion)
    finding = finding_of(measured, bound)
    assert measured_text(finding, policy) == expected_value
    assert bound_text(finding, policy) == expected_bound
    assert target_text(policy.criteria["C"], policy) == expected_target


def test_the_table_has_one_width_and_says_what_only_reports() -> None:
    policy = policy_of({**ALARM, "gates": False})
    finding = finding_of(
        1.0, 0.0, verdict=Verdict.FAIL, label=Label.REFUTED, samples=0, gates=False
    )
    assert table(a_rollout(policy=policy, findings=(finding,))) == [
        "      criterion  target  measured  samples  shown    role",
        "FAIL  C          OK         ALARM        –  refuted  report",
    ]


def test_there_is_no_table_before_anything_was_judged() -> None:
    rollout = a_rollout(policy=policy_of(ALARM))
    assert table(rollout) == []
    assert [(one.label, one.measured, one.samples) for one in rows(rollout)] == [
        ("not judged yet", "–", "–")
    ]


def test_the_newest_finding_of_a_criterion_counts() -> None:
    older, newer = finding_of(1.0, 0.0, verdict=Verdict.FAIL), finding_of(0.0, 0.0)
    (row,) = rows(a_rollout(policy=policy_of(ALARM), earlier=(older,), findings=(newer,)))
    assert row.measured == "OK"
    (row,) = rows(a_rollout(policy=policy_of(ALARM), earlier=(older,)))
    assert row.measured == "ALARM"
