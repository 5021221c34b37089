"""The sequential tests of a policy: their budget, when they begin, and what a minute counts."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.judge import sequential_evidence
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.evidence import criterion_of
from controller.core.units import number_text
from tests.support.cases import cases
from tests.support.core import Fold
from tests.support.sequential_rollouts import (
    BASELINE,
    CRITERIA,
    ONE_STEP,
    QUIET,
    RATE,
    Minute,
    a_sequential_policy,
    a_sequential_step,
    after,
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


def test_a_success_rate_and_a_latency_increase_are_two_tests_and_any_other_criterion_one() -> None:
    assert fold_after(ALL, [QUIET]).capitals.keys() == {
        "beside", "beside/hangs", "count", "limit", "rate/breaker", "rate/objective", "share",
        "stored", "stored/hangs",
    }  # fmt: skip


def test_the_parts_of_all_tests_add_up_to_the_budget() -> None:
    parts = [one.part for one in sequential_evidence.tests_of(ALL).by_name.values()]
    assert sum(parts) == pytest.approx(ALL.budget)


def test_a_criterion_says_the_limit_of_each_of_its_tests() -> None:
    tests = sequential_evidence.tests_of(ALL).by_name
    for name, criterion in ALL.criteria.items():
        text = judge_of(name, criterion, ALL).demand_text()
        own = [one.part for one in tests.values() if criterion_of(one.name) == name]
        for part in own:
            assert number_text(round(1 / part)) in text


@pytest.mark.parametrize(
    ("name", "fewest"),
    [("rate", 2), ("beside", 3), ("stored", 3), ("limit", 5), ("share", 5), ("count", 5)],
)
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with all other criteria"])
def test_however_bad_no_fewer_minutes_roll_back_and_no_more_are_needed(
    name: str, fewest: int, shared: bool
) -> None:
    """A part of the budget is as small as there are criteria, and no criterion is slower for it."""
    others = {one for one in CRITERIA if shared and WORST[one] != WORST[name]}
    policy = a_sequential_policy(*sorted({name, *others}), **ONE_STEP)
    assert minutes_to_fail(policy, [{**QUIET, **WORST[name]}] * 10) == fewest


def test_what_is_judged_window_by_window_takes_no_part_of_the_budget() -> None:
    windowed = {"judge": "threshold", "control": None}
    mixed = a_sequential_policy("limit", "rate", rate=windowed, **ONE_STEP)
    alone = a_sequential_policy("limit", **ONE_STEP)
    slow = [{**QUIET, **limit(60, 600)}] * 5
    assert fold_after(mixed, slow) == fold_after(alone, slow)


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
def test_a_minute_counts_as_300_requests_at_most_for_a_latency(name: str) -> None:
    """A deviation of one in a hundred is no proof, however many requests have it."""
    most = evidence(name, 300)
    assert 1 < evidence(name, 30) < most
    assert evidence(name, 600) == pytest.approx(most)
    assert evidence(name, 60_000) == pytest.approx(most)


def test_a_canary_of_few_requests_counts_in_full_beside_a_busy_control() -> None:
    assert evidence("beside", 300, control=60_000) > evidence("beside", 300, control=300)


@LATENCIES
def test_what_a_baseline_varied_by_itself_is_no_evidence(name: str) -> None:
    steady, varied, wild = (evidence(name, 200, dispersion=one) for one in (1.0, 2.0, 4.0))
    assert steady > varied > wild


def test_a_minute_as_busy_as_those_of_its_baseline_varies_as_its_blocks_did() -> None:
    """It counts as a quarter of its requests, where they varied four times as much."""
    usual = BASELINE.samples / (24 * 60)
    assert evidence("beside", usual, dispersion=4.0) == pytest.approx(evidence("beside", usual / 4))


def test_requests_count_as_a_third_against_a_fixed_value_of_which_nothing_was_measured() -> None:
    fixed = a_sequential_policy("stored", stored={"baseline": {"fixed": 400}}, **ONE_STEP)
    fold = fold_after(fixed, [slow_minute("stored", 60)] * 10, baselines={})
    assert fold.capitals["stored"].e_value == pytest.approx(evidence("stored", 20, share=None))


STORED = a_sequential_policy("stored", **ONE_STEP)


def allowed(**parts: Any) -> float:
    """Return the share of slow requests that a stored baseline allows."""
    step = a_sequential_step(STORED, baselines={"stored": replace(BASELINE, **parts)})
    (finding,) = after(step, [stored(5, 4)])
    return finding.bound


@settings(max_examples=40, deadline=None)
@given(st.integers(100, 10**7), st.floats(0.01, 0.3), st.floats(1, 20))
def test_a_stored_baseline_allows_for_its_uncertainty(
    samples: int, share: float, dispersion: float
) -> None:
    known = {"samples": samples, "share": share, "dispersion": dispersion}
    bound = allowed(**known)
    assert share < bound <= 0.9
    assert bound <= allowed(**{**known, "samples": samples / 2})
    assert bound <= allowed(**{**known, "dispersion": dispersion * 2})


def test_the_usual_share_of_a_control_is_learned_from_it() -> None:
    """A fifth of its requests is slow: a canary twice as slow is noticed sooner then."""
    policy = a_sequential_policy("beside", **ONE_STEP)
    known = fold_after(policy, [beside(12, 60, 600, 120)] * 120).controls
    assert known["beside"].slow / known["beside"].requests == pytest.approx(0.2)
    twice_as_slow: list[Minute] = [{}] * WARMING + [beside(24, 60, 600, 120)] * 3
    learned, assumed = (
        fold_after(policy, twice_as_slow, fold=Fold(controls=controls)).capitals["beside"].e_value
        for controls in (known, {})
    )
    assert learned > 1.2 * assumed


def test_what_may_be_drift_keeps_a_step_from_passing_and_rolls_nothing_back() -> None:
    """Slower than 420 ms, and not slower than the 441 ms that 5 % of drift leave."""
    few, as_few, fewer = (
        fold_after(STORED, [stored(slow, slower)] * 10)
        for slow, slower in ((19, 14), (50, 14), (19, 4))
    )
    assert few == as_few
    assert few.capitals["stored"].e_value > fewer.capitals["stored"].e_value


def test_more_rejects_than_requests_are_all_of_them() -> None:
    """Two metrics may count differently."""
    policy = a_sequential_policy("share", **ONE_STEP)
    assert fold_after(policy, [rejects(12, 10)]) == fold_after(policy, [rejects(10, 10)])
