"""The sentences of the sequential judge: short, and true of what was judged."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from scipy import stats

from controller.core.judge.evidence import StepInterval
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.gate import judge
from controller.core.judge.gate_evidence import Evidence
from controller.core.judge.queries import queries_for
from controller.core.observation import Series
from controller.core.policy import Policy
from controller.core.stats.binomial import upper_bound
from controller.core.stats.combined_tests import Fold
from controller.core.stats.eprocess import Capital
from controller.core.units import MINUTE_S
from tests.support.sequential_rollouts import BASELINES, a_sequential_policy

ONE_STEP = {"steps": [{"weight": 100, "bake": "1h"}], "warmup": "0s"}
RATE = a_sequential_policy("rate", **ONE_STEP)
# A latency gates the first step alone.
TWO_STEPS = a_sequential_policy(
    "rate",
    "beside",
    steps=[{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h", "criteria": ["rate"]}],
)


def an_hour(policy: Policy, counts: Mapping[str, float]) -> Evidence:
    """Return the evidence of an hour in the last step: each metric has one count a minute."""
    step = len(policy.steps) - 1
    minutes = range(0, 60 * MINUTE_S, MINUTE_S)
    series = {
        key: Series(dict.fromkeys(minutes, counts[name]) if name in counts else {})
        for key in queries_for(policy, policy.gate(step), BASELINES)
        for name in [key.partition(":")[0]]
    }
    return Evidence(
        policy=policy,
        gate=policy.gate(step),
        series=series,
        tallies={},
        start=0,
        closed_end=60 * MINUTE_S,
        open_end=63 * MINUTE_S,
        bake_over=True,
        weight=100,
        baselines=BASELINES,
        intervals=(StepInterval(step, 0, 0),),
    )


def the_failure(evidence: Evidence) -> Finding:
    (failure,) = [one for one in judge(evidence) if one.verdict is Verdict.FAIL]
    return failure


def test_a_huge_likelihood_ratio_is_capped() -> None:
    sentence = the_failure(an_hour(RATE, {"requests": 600, "errors": 600})).sentence
    assert "; evidence more than 1 000 000 to 1 at 1970-01-01 01:00 UTC, 100 to 1" in sentence
    assert len(sentence) < 250


@pytest.mark.parametrize(
    ("budget", "peak", "ending"),
    [
        ("1%", 100.0, "100 to 1 at 1970-01-01 00:50 UTC, 100 to 1 rolls back."),
        ("1%", 100.97, "100 to 1 at 1970-01-01 00:50 UTC, 100 to 1 rolls back."),
        ("20%", 5.9, "5 to 1 at 1970-01-01 00:50 UTC, 5 to 1 rolls back."),
        ("15%", 6.7, "6.7 to 1 at 1970-01-01 00:50 UTC, 6.7 to 1 rolls back."),
        ("15%", 8.5, "8 to 1 at 1970-01-01 00:50 UTC, 6.7 to 1 rolls back."),
        (
            "0.00001%",
            2e8,
            "more than 10 000 000 to 1 at 1970-01-01 00:50 UTC, 10 000 000 to 1 rolls back.",
        ),
        ("0.3%", 333.34, "333.3 to 1 at 1970-01-01 00:50 UTC, 333.3 to 1 rolls back."),
    ],
)
def test_the_likelihood_ratio_is_no_less_than_the_one_that_rolls_back(
    budget: str, peak: float, ending: str
) -> None:
    policy = a_sequential_policy("rate", false_rollback=budget, **ONE_STEP)
    fold = Fold(through=3_600, peak=peak, peak_at=3_000, carried="rate/objective")
    calm = an_hour(policy, {"requests": 600, "errors": 0, "stable": 0, "stable_errors": 0})
    assert the_failure(replace(calm, fold=fold)).sentence.endswith(f"; evidence {ending}")


def test_a_criterion_of_an_earlier_step_fails_for_what_the_history_has() -> None:
    """All of its evidence is sealed, and one more minute of another criterion was enough."""
    half = Capital((400.0,) * 7, 0.2)
    fold = Fold(capitals={"beside": half}, peak=150.0, peak_at=-600, carried="beside")
    calm = an_hour(TWO_STEPS, {"requests": 600, "errors": 0, "stable": 0, "stable_errors": 0})
    finding = the_failure(replace(calm, fold=fold))
    assert (finding.criterion, finding.samples, finding.measured) == ("beside", 0, None)
    assert finding.sentence == (
        "beside fails: what it showed before is sealed in the history; evidence 150 to 1 at "
        "1969-12-31 23:50 UTC, 100 to 1 rolls back."
    )


@pytest.mark.parametrize(
    ("requests", "failed"),
    [
        (300, 0),
        (1_000_000, 1_000),
        (1_000_000, 1_001),
        (1_000_000, 99_000),
        (200_000, 99_900),
        (1_002, 1_001),
        (50_000_000, 5_000_000),
    ],
)
def test_what_is_still_possible_is_that_of_clopper_and_pearson(requests: int, failed: int) -> None:
    exact = stats.beta.ppf(0.95, failed + 1, requests - failed)
    assert upper_bound(requests, failed) == pytest.approx(exact, abs=1e-3, rel=1e-3)
