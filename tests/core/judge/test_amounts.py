"""Measured values and bounds, in the units of their criteria."""

import pytest

from controller.core.judge.criteria_table import bound_text, measured_text
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.policy import Policy
from tests.support.rollouts import POLICY

FIELDS = POLICY.model_dump(mode="json", exclude_none=True, by_alias=True)
POLICY_OF_EACH_UNIT = Policy.model_validate(
    {
        **FIELDS,
        "metrics": {**FIELDS["metrics"], "latency": {**FIELDS["metrics"]["latency"], "unit": "ms"}},
        "criteria": {
            **FIELDS["criteria"],
            "at-most": {
                "kind": "threshold", "judge": "threshold", "metric": "latency", "max": 500,
            },
            "at-least": {
                "kind": "threshold", "judge": "threshold", "metric": "requests", "min": 1,
            },
            "traffic": {"kind": "traffic", "judge": "threshold", "metric": "requests"},
        },
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("criterion", "measured", "bound", "texts"),
    [
        pytest.param("works", 0.99954, 0.999, ("99.954%", "≥ 99.9%"), id="a share"),
        pytest.param("works", 0.9989996, 0.999, ("99.89996%", "≥ 99.9%"), id="just below"),
        pytest.param("works", None, 0.999, ("–", "≥ 99.9%"), id="nothing measured"),
        pytest.param("fast", 0.0312, 0.05, ("+3.1%", "≤ +5%"), id="slower"),
        pytest.param("fast", -0.02, 0.05, ("-2%", "≤ +5%"), id="faster"),
        pytest.param("errors-per-request", 0.002, 0.001, ("0.2%", "≤ 0.1%"), id="a ratio"),
        pytest.param("at-most", 412.5, 500.0, ("412.5", "≤ 500 ms"), id="a number with a unit"),
        pytest.param("at-least", 8214.0, 1.0, ("8 214", "≥ 1"), id="a number without one"),
        pytest.param("traffic", 0.0, 1.0, ("0", "≥ 1"), id="traffic"),
    ],
)
def test_a_value_is_written_in_the_unit_of_its_criterion(
    criterion: str, measured: float | None, bound: float, texts: tuple[str, str]
) -> None:
    finding = Finding(
        criterion, Verdict.PASS, Label.NOT_REFUTED, measured, bound, 2_000, 0, 300, "It holds."
    )
    assert (
        measured_text(finding, POLICY_OF_EACH_UNIT),
        bound_text(finding, POLICY_OF_EACH_UNIT),
    ) == texts
