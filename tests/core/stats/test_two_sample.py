"""The two-sample test of slow requests: fair at any level, and percentiles read as shares."""

from math import comb, exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.two_sample import (
    ODDS_RATIOS,
    PairedCounts,
    Percentiles,
    baseline_share_bound,
    latency_curve,
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


def test_a_path_without_a_request_says_nothing_and_one_with_a_single_request_does() -> None:
    for empty in (PairedCounts(0, 0, 50, 2), PairedCounts(50, 2, 0, 0), PairedCounts(0, 0, 0, 0)):
        assert log_ratios(empty, 0.05) == (0.0,) * len(ODDS_RATIOS)
    for single in (PairedCounts(1, 1, 50, 2), PairedCounts(50, 2, 1, 0)):
        assert 0.0 not in log_ratios(single, 0.05)


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
    curve = latency_curve(((0.5, 100.0), (0.9, 200.0)))
    assert share_above(limit, curve) == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize(
    ("percentiles", "highest"),
    [
        pytest.param((), 0.0, id="none"),
        pytest.param(((0.95, 400.0),), 400.0, id="one"),
        pytest.param(((0.5, 300.0), (0.95, 300.0)), 300.0, id="a fixed time-out: both the same"),
        pytest.param(((0.5, 0.0), (0.95, 300.0)), 300.0, id="a zero"),
    ],
)
def test_with_too_few_distinct_percentiles_all_requests_are_alike(
    percentiles: Percentiles, highest: float
) -> None:
    curve = latency_curve(percentiles)
    assert share_above(highest, curve) == 0.0
    assert share_above(highest - 1, curve) == 1.0


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
    known = ((0.5, 110.0), (0.9, 300.0), (0.95, 300.0), (0.99, 300.0))
    assert share_above(limit, latency_curve(known)) == pytest.approx(share, rel=0.01)
