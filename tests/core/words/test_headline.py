"""The headline: what a person reads at a glance, in one line that fits a phone."""

import pytest

from controller.core.words.headline import MAX_HEADLINE, headline
from tests.support.core import Message, Phase, Severity, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import NOON, a_rollout, a_state

LONG = "x" * 60


def line_of(text: str) -> str:
    message = Message("k", NOON, Severity.INFO, "notice", text, "progressing", 10, 0, "baking")
    return headline(a_rollout(), message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "checkout#1: the gate at 10% passed; going to 50%",
            "checkout#1: the gate at 10% passed; going to 50%",
            id="a short message is its own headline",
        ),
        pytest.param(
            "checkout#1 is paused: drift (75%, expected 10%). To go on: rolloutctl resume",
            "checkout#1 is paused: drift (75%, expected 10%)",
            id="the first sentence",
        ),
        pytest.param(
            "checkout#1 is complete\n\n  criterion", "checkout#1 is complete", id="a table"
        ),
        pytest.param(
            f"checkout#1 is on hold at 10%, waiting for data: {LONG}; {LONG}",
            f"checkout#1 is on hold at 10%, waiting for data: {LONG}",
            id="up to the last clause that fits",
        ),
        pytest.param(
            f"checkout#1 could not read any metric for 15m (GetMetricData: {LONG}, {LONG}): no",
            "checkout#1 could not read any metric for 15m",
            id="not in the middle of brackets",
        ),
    ],
)
def test_a_headline_ends_with_a_clause(text: str, expected: str) -> None:
    assert line_of(text) == expected


def test_a_text_without_a_clause_is_cut() -> None:
    line = line_of("y" * 500)
    assert len(line) == MAX_HEADLINE
    assert line.endswith("y...")


def test_a_rollback_names_each_criterion_that_fails_with_its_value_and_target() -> None:
    failing = a_finding("works", reason="breached", verdict=Verdict.FAIL, measured=0.95)
    rollout = a_rollout(
        state=a_state(Phase.ROLLED_BACK), findings=(failing, a_finding("fast", measured=0.01))
    )
    text = "checkout#1 is rolled back, 0% is applied: works was below 99.9% from 12:00 to 12:05."
    message = Message(
        "k", NOON, Severity.WARNING, "rolled_back", text, "rolled_back", 0, 0, "gate_failed"
    )
    assert headline(rollout, message) == (
        "checkout#1 is rolled back, 0% is applied: works fails, 95% measured, target ≥ 99.9%"
    )
