"""How far the evidence for a criterion is towards failing, and towards passing."""

from math import isclose
from typing import Any

import pytest

from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.progress import Distance, Progress, ProgressUnit
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.eprocess import EProcessState
from tests.support.cases import cases
from tests.support.core import Finding, Policy, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import LADDER, a_policy
from tests.support.sequential_rollouts import (
    AN_HOUR,
    a_sequential_policy,
    an_hour_of,
    rate,
)

SEQUENTIAL = a_sequential_policy("rate", **AN_HOUR)


def progress(policy: Policy, name: str, finding: Finding, **stored: Any) -> Progress:
    judge = judge_of(name, policy.criteria[name], policy)
    return judge.progress(finding, SequentialState(**stored))


def capital(odds: float) -> EProcessState:
    return EProcessState(bets=(odds,), unspent=0.0)


def test_the_test_that_is_nearest_to_its_limit_counts() -> None:
    finding = an_hour_of(rate(600, 1), SEQUENTIAL)
    quiet = progress(SEQUENTIAL, "rate", finding, through=60)
    assert quiet.fail is None, "there is no checkpoint"
    found = progress(
        SEQUENTIAL, "rate", finding, through=60,
        capitals={"rate/breaker": capital(0.4), "rate/objective": capital(13.0)},
    ).fail  # fmt: skip
    assert found is not None
    assert (found.amount, found.unit) == (13.0, ProgressUnit.LIKELIHOOD_RATIO)
    assert 0.3 < found.share < 0.6


def test_a_ratio_below_one_is_no_step_towards_failing_and_its_logarithm_counts() -> None:
    finding = an_hour_of(rate(600, 0), SEQUENTIAL)
    found = {
        odds: progress(SEQUENTIAL, "rate", finding, capitals={"rate/objective": capital(odds)}).fail
        for odds in (0.2, 4.0, 16.0)
    }
    shares = {odds: one.share for odds, one in found.items() if one is not None}
    assert shares[0.2] == 0
    assert isclose(shares[16.0], 2 * shares[4.0])


def test_evidence_of_another_version_of_the_judge_is_none() -> None:
    finding = an_hour_of(rate(600, 0), SEQUENTIAL)
    old = {"version": 1, "through": 60, "capitals": {"rate/objective": capital(13.0)}}
    assert progress(SEQUENTIAL, "rate", finding, **old).fail is None


def test_a_failed_criterion_is_all_the_way_there_and_has_no_way_to_a_pass() -> None:
    found = progress(SEQUENTIAL, "rate", an_hour_of(rate(600, 60), SEQUENTIAL))
    assert found.fail is not None
    assert (found.fail.share, found.passing) == (1.0, None)


def test_samples_are_beside_those_that_a_pass_or_a_proof_needs() -> None:
    few = progress(SEQUENTIAL, "rate", an_hour_of(rate(1, 0), SEQUENTIAL)).passing
    assert few is not None
    assert (few.amount, few.needed) == (60, 300)
    proven = a_sequential_policy("rate", **AN_HOUR, rate={"assurance": "proven"})
    some = progress(proven, "rate", an_hour_of(rate(10, 0), proven)).passing
    assert some is not None
    assert some.amount == 600 < some.needed


def test_more_samples_make_no_pass_while_the_value_is_beyond_its_limit() -> None:
    assert not progress(SEQUENTIAL, "rate", an_hour_of(rate(600, 1), SEQUENTIAL)).keeps_limit
    assert progress(SEQUENTIAL, "rate", an_hour_of(rate(600, 0), SEQUENTIAL)).keeps_limit


@cases("finding, fail", {
    "within the bound": (a_finding(), Distance(0.0, 0, 3, ProgressUnit.BREACHES)),
    "two breaches in a row": (
        a_finding(
            verdict=Verdict.INCONCLUSIVE, reason="breaching",
            facts={"breaches": 2, "failure_limit": 3},
        ),
        Distance(2 / 3, 2, 3, ProgressUnit.BREACHES),
    ),
    "it fails": (a_finding(verdict=Verdict.FAIL), Distance(1.0, 3, 3, ProgressUnit.BREACHES)),
    "nothing was read": (a_finding(verdict=Verdict.INCONCLUSIVE, samples=0), None),
})  # fmt: skip
def test_windows_count_their_breaches_in_a_row(finding: Finding, fail: Distance | None) -> None:
    works = {**LADDER["criteria"]["works"], "failure_limit": 3}
    policy = a_policy(criteria={"works": works})
    assert progress(policy, "works", finding).fail == fail


@pytest.mark.parametrize(("verdict", "share"), [(Verdict.PASS, 0.5), (Verdict.FAIL, 1.0)])
def test_a_budget_shows_how_fast_it_burns(verdict: Verdict, share: float) -> None:
    burn = {
        "kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99%",
        "windows": [{"long": "1h", "short": "5m", "factor": 10}],
    }  # fmt: skip
    policy = a_policy(criteria={"budget": burn})
    finding = a_finding("budget", verdict=verdict, measured=5.0, bound=10.0)
    fail = progress(policy, "budget", finding).fail
    assert fail is not None
    assert (fail.share, fail.unit) == (share, ProgressUnit.BURN_RATE)
