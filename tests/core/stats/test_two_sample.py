"""The two-sample test of slow requests: fair at any level, and percentiles read as shares."""

from math import comb, exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.two_sample import (
    ODDS_RATIOS,
    PairedCounts,
    baseline_share_bound,
    log_ratios,
    share_above,
)

SHARES = st.floats(0.001, 0.999)


def binomial(requests: int, hits: int, share: float) -> float:
    return comb(requests, hits) * share**hits * (1 - share) ** (requests - hits)


@given(st.integers(1, 9), st.integers(1, 9), SHARES, SHARES, st.floats(0, 1))
def test_while_the_canary_is_no_slower_the_mean_ratio_is_at_most_one(
    requests: int, control: int, theta: float, level: float, part: float
) -> None:
    """By enumeration, for any true level, and any idea of it."""
    means = [0.0] * len(ODDS_RATIOS)
    for slow in range(requests + 1):
        for control_slow in range(control + 1):
            chance = binomial(requests, slow, part * level) * binomial(control, control_slow, level)
            ratios = log_ratios(PairedCounts(requests, slow, control, control_slow), theta)
            means = [mean + chance * exp(one) for mean, one in zip(means, ratios, strict=True)]
    assert max(means) <= 1 + 1e-9


@given(st.integers(0, 1), SHARES)
def test_a_minute_in_which_one_path_had_no_request_is_worth_nothing(
    canary: int, theta: float
) -> None:
    counts = PairedCounts(canary * 50.0, 0.0, (1 - canary) * 50.0, 0.0)
    assert log_ratios(counts, theta) == (0.0,) * len(ODDS_RATIOS)


def test_a_path_without_a_request_says_nothing_and_one_with_a_single_request_does() -> None:
    for empty in (PairedCounts(0, 0, 50, 2), PairedCounts(50, 2, 0, 0), PairedCounts(0, 0, 0, 0)):
        assert log_ratios(empty, 0.05) == (0.0,) * len(ODDS_RATIOS)
    for single in (PairedCounts(1, 1, 50, 2), PairedCounts(50, 2, 1, 0)):
        assert 0.0 not in log_ratios(single, 0.05)


@given(st.integers(2, 500), st.integers(1, 500), SHARES, st.data())
def test_another_slow_request_of_the_canary_is_never_better_news(
    requests: int, control: int, theta: float, data: st.DataObject
) -> None:
    slow = data.draw(st.integers(0, requests - 1))
    control_slow = data.draw(st.integers(0, control))
    better, worse = (
        log_ratios(PairedCounts(requests, k, control, control_slow), theta)
        for k in (slow, slow + 1)
    )
    assert all(a <= b for a, b in zip(better, worse, strict=True))


@given(st.floats(0.001, 0.5), st.integers(1, 10**6), st.floats(1, 20))
def test_a_baseline_allows_more_the_less_is_known_of_it(
    share: float, requests: int, dispersion: float
) -> None:
    allowed = baseline_share_bound(share, requests, dispersion)
    assert share <= allowed <= 1
    assert allowed <= baseline_share_bound(share, requests / 2, dispersion)
    assert allowed <= baseline_share_bound(share, requests, dispersion * 2)


@pytest.mark.parametrize(
    ("requests", "dispersion", "allowed"),
    [
        pytest.param(0, 1.0, 1.0, id="nothing is known, and everything allowed"),
        pytest.param(1, 1.0, 0.1 + 2.58 * 0.3, id="one request"),
        pytest.param(900, 1.0, 0.1 + 2.58 * 0.01, id="nine hundred"),
        pytest.param(900, 4.0, 0.1 + 2.58 * 0.02, id="that vary four times as much as chance"),
        pytest.param(2, 100.0, 1.0, id="no more than all of them"),
    ],
)
def test_a_baseline_allows_by_number(requests: int, dispersion: float, allowed: float) -> None:
    assert baseline_share_bound(0.1, requests, dispersion) == pytest.approx(allowed)


def test_requests_count_as_independent_by_default() -> None:
    assert baseline_share_bound(0.1, 900) == baseline_share_bound(0.1, 900, 1.0)


# A log-normal latency, whose percentiles are close to a straight line on these axes.
KNOWN = {0.5: 200.0, 0.9: 379.6, 0.95: 455.2, 0.99: 640.1}


@pytest.mark.parametrize(("share", "limit"), [(1 - one, value) for one, value in KNOWN.items()])
def test_a_percentile_is_read_back_as_what_it_says(share: float, limit: float) -> None:
    assert share_above(limit, KNOWN) == pytest.approx(share)


@given(st.floats(1, 10_000), st.floats(1.001, 10))
def test_a_higher_limit_is_exceeded_by_fewer(limit: float, factor: float) -> None:
    low, high = share_above(limit * factor, KNOWN), share_above(limit, KNOWN)
    assert low is not None
    assert high is not None
    assert 0 <= low < high <= 1


def test_between_percentiles_it_is_near_what_a_lognormal_has() -> None:
    """sigma 0.5 around 200 ms: 2.5 % of requests take more than 533 ms."""
    assert share_above(532.9, KNOWN) == pytest.approx(0.025, rel=0.08)


@pytest.mark.parametrize(
    ("limit", "odds"),
    [
        pytest.param(50.0, 9.0, id="below all"),
        pytest.param(100.0, 1.0, id="the lowest"),
        pytest.param(100.0 * 2**0.5, 1 / 3, id="half way, of logarithms"),
        pytest.param(200.0, 1 / 9, id="the highest"),
        pytest.param(400.0, 1 / 81, id="above all"),
    ],
)
def test_a_line_goes_on_at_both_ends(limit: float, odds: float) -> None:
    """From 100 to 200 the odds of being slower fall to a ninth, and with each doubling again."""
    assert share_above(limit, {0.5: 100.0, 0.9: 200.0}) == pytest.approx(odds / (1 + odds))


def test_latencies_in_seconds_are_read_as_well_as_in_milliseconds() -> None:
    seconds = {share: value / 1_000 for share, value in KNOWN.items()}
    assert share_above(0.5329, seconds) == pytest.approx(share_above(532.9, KNOWN))


def test_the_least_and_the_most_are_no_percentiles() -> None:
    assert share_above(532.9, {0.0: 10.0, **KNOWN, 1.0: 9_000.0}) == share_above(532.9, KNOWN)


def test_a_limit_of_zero_has_no_share_above_it() -> None:
    assert share_above(0.0, KNOWN) is None


@pytest.mark.parametrize(
    "percentiles",
    [
        pytest.param({}, id="none"),
        pytest.param({0.95: 400.0}, id="one"),
        pytest.param({0.5: 300.0, 0.95: 300.0}, id="a fixed time-out: both the same"),
        pytest.param({0.5: 0.0, 0.95: 300.0}, id="a zero"),
    ],
)
def test_too_few_distinct_percentiles_have_no_share(percentiles: dict[float, float]) -> None:
    assert share_above(100.0, percentiles) is None


def test_three_times_the_latency_is_certain_within_three_minutes_of_six_requests() -> None:
    total = 0.0
    for _ in range(3):
        total += max(log_ratios(PairedCounts(6, 5, 54, 3), 0.05))
    assert total > log(1_000)


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        pytest.param(299.9, 0.1, id="just below what the slowest tenth takes"),
        pytest.param(300, 0.01, id="what the slowest tenth takes, but for one in a hundred"),
        pytest.param(110, 0.5, id="a percentile by itself"),
    ],
)
def test_many_requests_that_take_equally_long_are_above_every_limit_below_that(
    limit: float, share: float
) -> None:
    known = {0.5: 110.0, 0.9: 300.0, 0.95: 300.0, 0.99: 300.0}
    assert share_above(limit, known) == pytest.approx(share, rel=0.01)


def test_of_requests_that_take_equally_long_none_is_above_that() -> None:
    assert share_above(110.0, {0.3: 110.0, 0.5: 110.0, 0.9: 300.0}) == pytest.approx(0.5)
