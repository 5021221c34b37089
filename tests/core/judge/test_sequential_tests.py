"""The sequential tests of a policy: their budget, when they begin, and what a minute counts."""

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from controller.core.judge import sequential_evidence
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import criterion_of
from controller.core.judge.facts import odds_limit
from controller.core.units import number_text
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import SequentialState
from tests.support.sequential_rollouts import (
    BASELINE,
    CRITERIA,
    ONE_STEP,
    QUIET,
    RATE,
    Minute,
    a_sequential_policy,
    beside,
    fold_after,
    limit,
    minutes_to_fail,
    rate,
    rate_minutes,
    rejects,
    stored,
)

ALL = a_sequential_policy(**ONE_STEP)


# --- Budget ---------------------------------------------------------------------------------------

# A minute of 600 requests in which all of them fail or are too slow.
WORST: Mapping[str, Minute] = {
    "rate": rate(600, 600, 600, 0),
    "beside": beside(600, 600, 600, 0),
    "stored": stored(600, 600, 600),
    "limit": limit(600, 600),
    "share": rejects(600),
    "count": rejects(600),
}


def test_the_parts_of_all_tests_add_up_to_the_budget() -> None:
    parts = [one.part for one in sequential_evidence.tests_of(ALL).by_name.values()]
    assert sum(parts) == pytest.approx(ALL.budget)


def test_a_criterion_says_the_limit_of_each_of_its_tests() -> None:
    tests = sequential_evidence.tests_of(ALL).by_name
    for name, criterion in ALL.criteria.items():
        text = judge_of(name, criterion, ALL).rule_text
        own = [test.part for test in tests.values() if criterion_of(test.name) == name]
        for part in own:
            assert number_text(odds_limit(1 / part)) in text


@pytest.mark.parametrize(
    ("name", "fewest"),
    [("rate", 2), ("beside", 3), ("stored", 3), ("limit", 5), ("share", 5), ("count", 5)],
)
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with all other criteria"])
def test_however_bad_no_fewer_minutes_roll_back_and_no_more_are_needed(
    name: str, fewest: int, shared: bool
) -> None:
    """A part of the budget is as small as there are criteria, and no criterion is slower for it."""
    others = {criterion for criterion in CRITERIA if shared and WORST[criterion] != WORST[name]}
    policy = a_sequential_policy(*sorted({name, *others}), **ONE_STEP)
    assert minutes_to_fail(policy, [{**QUIET, **WORST[name]}] * 10) == fewest


# --- Warm-up --------------------------------------------------------------------------------------


def test_in_the_warm_up_only_the_breaker_is_tested() -> None:
    """Nor is anything learned of the control of a latency."""
    warm, past = (fold_after(ALL, [QUIET] * minutes, warmup_s=120) for minutes in (2, 3))
    assert warm.capitals.keys() == {"rate/breaker"}
    assert "beside" not in warm.controls
    assert past.capitals.keys() == fold_after(ALL, [QUIET]).capitals.keys()


@cases(
    "minute, minutes",
    {
        "half of all requests fail": ((600, 300), 2),
        "one in five": ((600, 120), 2),
        "one in twenty: an objective that is missed": ((600, 30), inf),
        "one in five, on both paths": ((600, 120, 600, 120), inf),
        "one in five, on the canary alone": ((600, 120, 600, 0), 2),
    },
)
def test_a_release_that_is_broken_is_rolled_back_in_its_warm_up(
    minute: tuple[float, ...], minutes: float
) -> None:
    assert minutes_to_fail(RATE, rate_minutes([minute] * 10), warmup_s=600) == minutes


# --- What a minute counts -------------------------------------------------------------------------


def slow_minute(name: str, requests: float, share: float = 0.1, control: float = 0) -> Minute:
    """Return a minute with a share of slow requests, and one in twenty on the control."""
    slow, other = share * requests, control or requests
    if name == "beside":
        return beside(slow, requests, other, other / 20)
    return stored(slow, slow, requests)


def evidence(name: str, requests: float, *, control: float = 0, **parts: Any) -> float:
    """Return the e-value of ten minutes of slow requests; parts: of the baseline."""
    policy = a_sequential_policy(name, **ONE_STEP)
    baselines = {name: replace(BASELINE, **parts)}
    minutes = [slow_minute(name, requests, control=control)] * 10
    return fold_after(policy, minutes, baselines=baselines).capitals[name].e_value


# Minutes after a raise in which cold starts explain a canary that is a little slower.
WARMING = 5

LATENCIES = pytest.mark.parametrize("name", ["beside", "stored"])


@LATENCIES
def test_what_a_baseline_varied_by_itself_is_no_evidence(name: str) -> None:
    steady, varied, wild = (evidence(name, 200, dispersion=one) for one in (1.0, 2.0, 4.0))
    assert steady > varied > wild


STORED = a_sequential_policy("stored", **ONE_STEP)


def test_the_usual_share_of_a_control_is_learned_from_it() -> None:
    """A fifth of its requests is slow: a canary twice as slow is noticed sooner then."""
    policy = a_sequential_policy("beside", **ONE_STEP)
    known = fold_after(policy, [beside(12, 60, 600, 120)] * 120).controls
    assert known["beside"].slow / known["beside"].requests == pytest.approx(0.2)
    twice_as_slow: list[Minute] = [{}] * WARMING + [beside(24, 60, 600, 120)] * 3
    learned, assumed = (
        fold_after(policy, twice_as_slow, fold=SequentialState(controls=controls))
        .capitals["beside"]
        .e_value
        for controls in (known, {})
    )
    assert learned > 1.2 * assumed


def test_what_may_be_drift_keeps_a_step_from_passing_and_rolls_nothing_back() -> None:
    """Slower than 420 ms, and not slower than the 441 ms that 5% of drift leave."""
    few, as_few, fewer = (
        fold_after(STORED, [stored(slow, slower)] * 10)
        for slow, slower in ((19, 14), (50, 14), (19, 4))
    )
    assert few == as_few
    assert few.capitals["stored"].e_value > fewer.capitals["stored"].e_value
