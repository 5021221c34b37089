"""The sequential tests of a policy: their budget, when they begin, and their dispersion."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from math import comb, exp, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.judge import sequential_tests
from controller.core.judge.evidence import StepInterval
from controller.core.judge.sequential_tests import allowed_slow_share, criterion_of, gate_tests
from controller.core.judge.series import Window, measure_for
from controller.core.observation import Series
from controller.core.stats import two_sample
from controller.core.stats.combined_tests import ControlState, Fold, fold_minute
from controller.core.stats.success_rate import SHARED_OUTAGE_MINUTES
from controller.core.stats.two_sample import PairedCounts
from controller.core.units import MINUTE_S
from tests.support.sequential_rollouts import (
    BASELINE,
    BASELINES,
    BUDGET,
    CRITERIA,
    ONE_STEP,
    RATE,
    a_sequential_policy,
    failure_window,
    fold_after,
    latency_window,
    minute_evidence,
    minutes_to_fail,
    rate_minutes,
)

ALL = a_sequential_policy(steps=[{"weight": 100, "bake": "24h"}])
CRITERIA_NAMES = st.lists(st.sampled_from(sorted(CRITERIA)), min_size=1, unique=True)
# The window of each criterion in a minute of 600 requests, none of which is too slow or fails.
QUIET: Mapping[str, Window] = {
    "rate": failure_window(600, 0, 600, 0),
    "beside": latency_window(600, 0.05, 600, 0.05),
    "stored": latency_window(600, 0.05),
    "limit": latency_window(600, 0.05),
    "share": Window(600, 0, 0.0),
    "count": Window(600, 0, 0.0),
}


# --- Budget ---------------------------------------------------------------------------------------


@given(CRITERIA_NAMES)
def test_all_tests_of_a_policy_share_one_budget(names: list[str]) -> None:
    tests = sequential_tests.tests_of(
        a_sequential_policy(*names, steps=[{"weight": 100, "bake": "1h"}])
    )
    assert sum(one.weight for one in tests) == pytest.approx(1)
    assert {criterion_of(one.name) for one in tests} == set(names)
    assert len({one.name for one in tests}) == len(tests)


def test_a_success_rate_is_two_tests_and_any_other_criterion_one() -> None:
    names = [one.name for one in sequential_tests.tests_of(ALL)]
    assert sorted(names) == [
        "beside", "count", "limit", "rate/breaker", "rate/objective", "share", "stored",
    ]  # fmt: skip


def test_what_is_judged_window_by_window_takes_no_part_of_the_budget() -> None:
    threshold = {"rate": {**CRITERIA["rate"], "control": None, "judge": "threshold"}}
    sequential = a_sequential_policy("limit", steps=[{"weight": 100, "bake": "1h"}])
    mixed = sequential.model_validate(
        {
            **sequential.model_dump(),
            "criteria": {**sequential.model_dump()["criteria"], **threshold},
        }
    )
    assert [one.name for one in sequential_tests.tests_of(mixed)] == ["limit"]
    assert set(gate_tests(mixed, 0, {})) == {"limit"}


@given(CRITERIA_NAMES)
def test_a_test_rejects_in_as_many_minutes_whatever_shares_the_budget(names: list[str]) -> None:
    """Its cap is as large as its part of the budget is small."""
    fewest = {"rate/breaker": 2, "rate/objective": 5, "beside": 3, "stored": 3}
    for one in sequential_tests.tests_of(
        a_sequential_policy(*names, steps=[{"weight": 100, "bake": "1h"}])
    ):
        minutes, needed = fewest.get(one.name, 5), 1 / (BUDGET * one.weight)
        assert exp((minutes - 1) * one.cap) < needed < exp(minutes * one.cap)


# --- Warm-up and prior ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_in_the_warm_up_only_the_breaker_is_tested(name: str) -> None:
    in_warm_up = [one.test for one in minute_evidence(ALL, name, QUIET[name], minute=1)]
    after_warm_up = [one.test for one in minute_evidence(ALL, name, QUIET[name], minute=2)]
    assert in_warm_up == (["rate/breaker"] if name == "rate" else [])
    assert after_warm_up == (["rate/breaker", "rate/objective"] if name == "rate" else [name])


def test_a_release_that_is_broken_is_rolled_back_in_its_warm_up() -> None:
    assert minutes_to_fail(RATE, rate_minutes([(600, 300)] * 10), warmup_s=600) == 2
    assert minutes_to_fail(RATE, rate_minutes([(600, 60)] * 10), warmup_s=600) == 2
    assert minutes_to_fail(RATE, rate_minutes([(600, 30)] * 10), warmup_s=600) == inf


def test_a_shared_outage_of_the_warm_up_rolls_nothing_back() -> None:
    assert minutes_to_fail(RATE, rate_minutes([(600, 60, 600, 60)] * 10), warmup_s=600) == inf
    assert minutes_to_fail(RATE, rate_minutes([(600, 60, 600, 0)] * 10), warmup_s=600) == 2


def test_an_outage_of_the_warm_up_excuses_for_a_quarter_of_an_hour_too() -> None:
    counts = rate_minutes([(600, 60, 600, 60)] * 20)
    assert SHARED_OUTAGE_MINUTES + 2 <= minutes_to_fail(RATE, counts, warmup_s=1_200) <= 18


def test_the_warm_up_does_not_change_what_is_known_of_a_control() -> None:
    known = ControlState(100, 5)
    criterion_tests, fold = (
        gate_tests(ALL, 0, BASELINES)["beside"],
        Fold(controls={"beside": known}),
    )
    assert criterion_tests.likelihood_ratios(
        QUIET["beside"], fold, StepInterval(0, 0, 120), 60
    ) == (
        [],
        known,
    )


def test_a_step_has_its_prior_in_its_first_minute_with_data() -> None:
    """Where a request comes every five minutes, most minutes have none."""
    criterion_tests, quiet = gate_tests(ALL, 0, BASELINES)["limit"], QUIET["limit"]
    (late,), _ = criterion_tests.likelihood_ratios(
        quiet, Fold(), StepInterval(0, 0, 0), 20 * MINUTE_S
    )
    (at_once,), _ = criterion_tests.likelihood_ratios(quiet, Fold(), StepInterval(0, 0, 0), 0)
    assert late.prior_share == at_once.prior_share > 0.5


STEPS = [{"weight": weight, "bake": f"{bake}m"} for weight, bake in [(10, 20), (50, 5), (100, 40)]]
WHOLE = a_sequential_policy(steps=STEPS)
VISITS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(VISITS, st.integers(0, 3))
def test_no_rollout_spends_more_than_the_whole_prior(
    visits: list[tuple[int, int]], warmup: int
) -> None:
    """However long each step takes, and however often it is taken again."""
    spent: dict[str, float] = defaultdict(float)
    fold, all_tests, begin = Fold(), sequential_tests.tests_of(WHOLE), 0
    for step, length in visits:
        end = begin + length * MINUTE_S
        interval = StepInterval(step, begin, begin + warmup * MINUTE_S, end)
        gate = gate_tests(WHOLE, step, BASELINES)
        for minute in range(begin, end, MINUTE_S):
            ratios = [
                one
                for name, criterion_tests in gate.items()
                for one in criterion_tests.likelihood_ratios(QUIET[name], fold, interval, minute)[0]
            ]
            for one in ratios:
                spent[one.test] += one.prior_share
            fold = fold_minute(fold, minute + MINUTE_S, ratios, {}, all_tests)
        begin = end
    assert max(spent.values()) <= 1 + 1e-9


# --- Dispersion and shares ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["beside", "stored"])
@pytest.mark.parametrize(
    ("requests", "dispersion"), [(30, 1.0), (300, 1.0), (600, 2.0), (60_000, 200.0)]
)
def test_a_minute_counts_as_300_requests_at_most_for_a_latency(
    name: str, requests: int, dispersion: float
) -> None:
    (one,) = minute_evidence(ALL, name, latency_window(requests, 0.1, requests, 0.05), minute=2)
    assert one.dispersion == pytest.approx(dispersion)


def test_beside_a_control_the_path_with_fewer_requests_says_how_many_count() -> None:
    for window in (latency_window(600, 0.1, 5_400, 0.05), latency_window(5_400, 0.1, 600, 0.05)):
        (one,) = minute_evidence(ALL, "beside", window, minute=2)
        assert one.dispersion == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["beside", "stored"])
def test_what_a_baseline_varied_by_itself_weighs_more_the_more_requests_a_minute_has(
    name: str,
) -> None:
    baselines = {name: replace(BASELINE, dispersion=4.0)}
    few, usual, many = (
        gate_tests(ALL, 0, baselines)[name]
        .likelihood_ratios(
            latency_window(requests, 0.05, requests, 0.05), Fold(), StepInterval(0, 0, 0), 0
        )[0][0]
        .dispersion
        for requests in (1, 60, 240)
    )
    assert 1 < few < usual < many
    assert (many - 1) == pytest.approx(4 * (usual - 1))


@pytest.mark.parametrize("name", ["beside", "stored"])
def test_a_minute_as_busy_as_those_of_its_baseline_varies_as_its_blocks_did(name: str) -> None:
    requests = BASELINE.samples / (24 * 60)
    criterion_tests = gate_tests(ALL, 0, {name: replace(BASELINE, dispersion=4.0)})[name]
    (one,), _ = criterion_tests.likelihood_ratios(
        latency_window(requests, 0.05, requests, 0.05), Fold(), StepInterval(0, 0, 0), 0
    )
    assert one.dispersion == pytest.approx(4.0)


@given(st.integers(100, 10**7), st.floats(0.01, 0.3), st.floats(1, 20))
def test_a_stored_baseline_allows_for_its_uncertainty(
    requests: int, share: float, dispersion: float
) -> None:
    baseline = replace(BASELINE, samples=requests, share=share, dispersion=dispersion)
    stored = ALL.criteria["stored"]
    allowed = allowed_slow_share(0.95, stored, baseline)
    assert share < allowed <= 0.9
    assert allowed <= allowed_slow_share(0.95, stored, replace(baseline, samples=requests / 2))
    assert allowed <= allowed_slow_share(0.95, stored, replace(baseline, dispersion=dispersion * 2))


def test_at_the_share_that_a_baseline_allows_the_mean_ratio_is_one() -> None:
    baseline = replace(BASELINE, samples=2_000)
    criterion_tests = gate_tests(ALL, 0, {"stored": baseline})["stored"]
    allowed, requests = allowed_slow_share(0.95, ALL.criteria["stored"], baseline), 40
    assert allowed > 0.06
    mean = 0.0
    for slow in range(requests + 1):
        (one,), _ = criterion_tests.likelihood_ratios(
            latency_window(requests, slow / requests), Fold(), StepInterval(0, 0, 0), 0
        )
        chance = comb(requests, slow) * allowed**slow * (1 - allowed) ** (requests - slow)
        mean += chance * sum(map(exp, one.log_ratios)) / len(one.log_ratios)
    assert mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        pytest.param("beside", 0.05, id="what a p95 leaves above it, before the control has data"),
        pytest.param("limit", 0.05, id="what a p95 leaves above it"),
        pytest.param("stored", 0.0518, id="what was slower then, and its doubt"),
    ],
)
def test_the_share_of_slow_requests_that_is_usual(name: str, share: float) -> None:
    assert allowed_slow_share(0.95, ALL.criteria[name], BASELINE) == pytest.approx(share, abs=1e-4)


def test_the_usual_share_of_a_control_is_learned_from_it() -> None:
    """A fifth of its requests turned slow: a canary twice as slow is noticed sooner then."""
    minute = {"beside": latency_window(60, 0.2, 600, 0.2)}
    known = fold_after(a_sequential_policy("beside", **ONE_STEP), [minute] * 120).controls["beside"]
    assert known.slow / known.requests == pytest.approx(0.2)
    window = latency_window(60, 0.4, 600, 0.2)
    learned, unlearned = (
        max(minute_evidence(ALL, "beside", window, minute=2, control=one)[0].log_ratios)
        for one in (known, ControlState())
    )
    assert learned > unlearned + 1


def test_the_prior_of_a_control_weighs_as_much_as_fifty_requests() -> None:
    """95 of 950 requests were slow, and 2.5 of 50 by the prior."""
    (one,) = minute_evidence(
        ALL,
        "beside",
        latency_window(60, 0.4, 600, 0.2),
        minute=2,
        control=ControlState(950, 95),
    )
    assert one.log_ratios == pytest.approx(
        two_sample.log_ratios(PairedCounts(60, 24, 600, 120), 0.0975)
    )


def test_a_latency_has_the_dispersion_of_its_baseline() -> None:
    """A day of 100 000 requests is 69.4 a minute; of a fixed value no dispersion is measured."""
    quiet = latency_window(60, 0.05)
    baselines = {"stored": replace(BASELINE, dispersion=3.0)}
    (measured,), _ = gate_tests(ALL, 0, baselines)["stored"].likelihood_ratios(
        quiet, Fold(), StepInterval(0, 0, 0), 0
    )
    assert measured.dispersion == pytest.approx(1 + 2 * 60 / (100_000 / 1_440))
    parts = ALL.model_dump(mode="json", exclude_none=True)
    fixed = {**parts["criteria"]["stored"], "baseline": {"fixed": 400}}
    policy = ALL.model_validate({**parts, "criteria": {"stored": fixed}})
    (unmeasured,), _ = gate_tests(policy, 0, {})["stored"].likelihood_ratios(
        quiet, Fold(), StepInterval(0, 0, 0), 0
    )
    assert unmeasured.dispersion == 3.0


def test_rejected_requests_are_tested_by_the_minute() -> None:
    """More than 10 in 5 minutes: 2 a minute are no evidence, 20 are."""
    fine, many = (
        minute_evidence(ALL, "count", Window(600, count, count), minute=2)[0].log_ratios
        for count in (2, 20)
    )
    assert max(fine) <= 0
    assert max(many) > 5


def test_a_count_adds_up_as_it_is_however_many_datapoints_it_was_made_from() -> None:
    series = {"rejects:Sum@60": Series({0: 4.0}), "rejects:SampleCount@60": Series({0: 600.0})}
    count = ALL.criteria["count"]
    window = measure_for(count, ALL.metrics, series, has_traffic=True)(0)
    assert window is not None
    assert (window.amount, window.value) == (4, 4)


def test_a_share_of_rejects_cannot_exceed_its_requests() -> None:
    """Two metrics may count differently."""
    more, all_of_them = (
        minute_evidence(ALL, "share", Window(10, count, 1.0), minute=2)[0].log_ratios
        for count in (12, 10)
    )
    assert more == all_of_them


def test_the_objective_allows_what_the_policy_says() -> None:
    (_, even), (_, more) = (
        minute_evidence(ALL, "rate", failure_window(10_000, k), minute=2) for k in (10, 30)
    )
    assert max(even.log_ratios) < 0 < max(more.log_ratios)


def test_what_may_be_drift_keeps_a_step_from_passing_and_rolls_nothing_back() -> None:
    """Slower than 420 ms, and not slower than the 441 ms that 5 % of drift leave."""
    series = {
        "latency:SampleCount@60": Series({0: 100.0}),
        "latency:TC(420:)@60": Series({0: 9.0}),
        "latency:TC(441:)@60": Series({0: 4.0}),
    }
    stored = ALL.criteria["stored"]
    window = measure_for(stored, ALL.metrics, series, has_traffic=True, baseline=BASELINE)(0)
    assert window is not None
    assert (window.samples, window.amount, window.fail_amount) == (100, 9, 4)
    (one,) = minute_evidence(ALL, "stored", window, minute=2)
    (less,) = minute_evidence(ALL, "stored", window._replace(fail_amount=0.0), minute=2)
    (same,) = minute_evidence(ALL, "stored", window._replace(amount=50.0), minute=2)
    assert max(one.log_ratios) > max(less.log_ratios)
    assert same.log_ratios == one.log_ratios
