"""Windows, findings and gates: what is judged of a step, and what a gate makes of its findings."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.cases import cases
from tests.support.core import Label, Observation, Observed, Reason, Rollout, SignOff, decide
from tests.support.judging import (
    SETTLE,
    START,
    a_step,
    datapoints,
    judged,
    judged_minutes,
    policy_of,
)
from tests.support.rollouts import MINUTE, NOON, a_reading, with_facts

RATE: dict[str, Any] = {
    "kind": "success_rate", "judge": "threshold", "total": "requests", "failures": ["errors"],
    "min": "99.9%", "window": "5m", "min_samples": 300,
}  # fmt: skip


@cases(
    "begin, closed, windows, samples",
    {
        "both windows of ten minutes": (0, 10, (0, 10), 30),
        "not one that began before the step": (1, 10, (5, 10), 20),
        "not one that is open": (0, 9, (0, 5), 10),
        "one that begins with the step": (5, 10, (5, 10), 20),
        "none yet": (3, 9, (5, 5), 0),
    },
)
def test_judged_are_the_closed_windows_that_lie_wholly_in_the_step(
    begin: int, closed: int, windows: tuple[int, int], samples: int
) -> None:
    series = datapoints({"requests": [10, 20, 40], "errors": [0, 0, 0]}, every=5)
    finding = judged(RATE, series, closed=closed, begin=begin)
    assert (judged_minutes(finding), finding.samples) == (windows, samples)


# --- Gates ----------------------------------------------------------------------------------------

TRAFFIC: dict[str, Any] = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
HOLDS, OPEN = TRAFFIC, {**TRAFFIC, "min": 9}
FAILS = {**TRAFFIC, "metric": "rejects", "control": "stable"}


ONE_MINUTE = datapoints({"requests": [1], "rejects": [None], "stable": [9_000]})


def decided(criteria: Sequence[Mapping[str, Any]]) -> Rollout:
    """Return the rollout after the bake of its first step; one request has reached the canary."""
    named = {f"C{number}": criterion for number, criterion in enumerate(criteria)}
    steps = [{"weight": 10, "bake": "1m"}, {"weight": 100, "bake": "1m"}]
    step = a_step(policy_of(HOLDS, criteria=named, steps=steps, warmup="0s"))
    signed = {name: SignOff("ada", START, "seen") for name in named}
    observed = Observed(Observation(a_reading(10), ONE_MINUTE))
    return decide(
        with_facts(step, sign_offs=signed), observed, NOON + (1 + SETTLE) * MINUTE
    ).rollout


@cases(
    "criteria, reason",
    {
        "all pass": ([HOLDS, HOLDS], Reason.GATE_PASSED),
        "one is open": ([HOLDS, OPEN], Reason.INCONCLUSIVE),
        "one fails": ([HOLDS, OPEN, FAILS], Reason.GATE_FAILED),
        "what only reports neither fails nor blocks": (
            [HOLDS, {**OPEN, "gates": False}, {**FAILS, "gates": False}], Reason.GATE_PASSED,
        ),
        "nothing gates at all": ([{**HOLDS, "gates": False}], Reason.INCONCLUSIVE),
    },
)  # fmt: skip
def test_a_gate_is_as_good_as_its_worst_finding(
    criteria: list[Mapping[str, Any]], reason: Reason
) -> None:
    assert decided(criteria).reason is reason


SIGNED = {"kind": "attestation", "statement": "It looks right."}


@cases(
    "criteria, label",
    {
        "a signature": ([SIGNED], Label.ATTESTED),
        "a signature, and what is no regression detected": ([SIGNED, HOLDS], Label.NO_REGRESSION),
    },
)
def test_a_step_that_passed_is_shown_as_well_as_by_its_weakest_finding(
    criteria: list[Mapping[str, Any]], label: Label
) -> None:
    assert decided(criteria).evidence.label == label
