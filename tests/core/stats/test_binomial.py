"""A share against a bound: fair ratios, proofs, and how many requests a proof takes."""

from collections.abc import Callable
from math import comb, exp, inf, log
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.binomial import (
    cdf,
    censored_log_ratios,
    effects,
    log_e_value_below,
    log_ratios,
    requests_to_prove,
    upper_bound,
)
from controller.core.stats.eprocess import Capital, update_capital

ALLOWED = 0.001
Ratios: TypeAlias = Callable[[float, float, float, tuple[float, ...]], tuple[float, ...]]
SHARES = st.floats(0.001, 0.3)


def expected(requests: int, share: float, e_values: list[float]) -> float:
    """Return the mean of `e_values`, by failures, over a binomial count."""
    return sum(
        comb(requests, k) * share**k * (1 - share) ** (requests - k) * e_values[k]
        for k in range(requests + 1)
    )


@pytest.mark.parametrize("ratios_of", [log_ratios, censored_log_ratios])
@given(st.integers(1, 40), SHARES, st.floats(0, 1))
def test_while_the_rule_is_kept_the_mean_ratio_is_at_most_one(
    ratios_of: Ratios, requests: int, allowed: float, part: float
) -> None:
    shares = effects(allowed)
    for index in range(len(shares)):
        ratios = [exp(ratios_of(requests, k, allowed, shares)[index]) for k in range(requests + 1)]
        assert expected(requests, part * allowed, ratios) <= 1 + 1e-9


@given(st.integers(0, 5_000), st.integers(0, 100))
def test_a_censored_minute_says_no_more_and_another_failure_no_less(
    requests: int, failed: int
) -> None:
    requests, shares = requests + failed + 1, effects(ALLOWED)
    whole = log_ratios(requests, failed, ALLOWED, shares)
    one, more = (censored_log_ratios(requests, k, ALLOWED, shares) for k in (failed, failed + 1))
    assert all(a <= b for a, b in zip(one, whole, strict=True))
    assert all(a <= b for a, b in zip(one[:-1], more[:-1], strict=True))


def test_a_burst_is_the_less_proof_of_an_effect_the_more_failures_it_has_than_that() -> None:
    """600 requests at 0.15 % have 0.9 failures on average, hardly ever more than 3."""
    burst, usual = (
        censored_log_ratios(600, k, ALLOWED, effects(ALLOWED)) for k in (18, 0.9 + 2.5 * 0.9**0.5)
    )
    whole = log_ratios(600, 18, ALLOWED, effects(ALLOWED))
    assert burst[0] == pytest.approx(usual[0], abs=0.02)
    assert burst[0] < whole[0] / 5
    assert burst[-1] == whole[-1]


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_a_failure_or_two_count_in_full_however_little_traffic_there_is(failed: int) -> None:
    shares = effects(ALLOWED)
    assert censored_log_ratios(6, failed, ALLOWED, shares) == log_ratios(6, failed, ALLOWED, shares)


@given(st.integers(1, 40), SHARES, st.floats(0, 1))
def test_while_the_rule_is_broken_the_mean_e_value_of_a_proof_is_at_most_one(
    requests: int, allowed: float, part: float
) -> None:
    share = allowed + part * (1 - allowed)
    proofs = [exp(log_e_value_below(requests, k, allowed)) for k in range(requests + 1)]
    assert expected(requests, share, proofs) <= 1 + 1e-9


@given(st.integers(0, 5_000), st.integers(0, 50), st.integers(0, 5_000), st.integers(0, 50))
def test_a_minute_in_two_halves_is_worth_as_much_as_in_one(
    first: int, failed: int, second: int, failed_later: int
) -> None:
    one, other = (first + failed, failed), (second + failed_later, failed_later)
    shares = effects(ALLOWED)
    whole = log_ratios(one[0] + other[0], one[1] + other[1], ALLOWED, shares)
    halves = zip(
        log_ratios(*one, ALLOWED, shares), log_ratios(*other, ALLOWED, shares), strict=True
    )
    assert whole == pytest.approx([a + b for a, b in halves], rel=1e-9, abs=1e-9)


@given(st.integers(1, 5_000), st.integers(0, 49))
def test_another_failure_is_never_better_news(requests: int, failed: int) -> None:
    requests += failed + 1
    better, worse = (
        log_ratios(requests, k, ALLOWED, effects(ALLOWED)) for k in (failed, failed + 1)
    )
    assert all(a < b for a, b in zip(better, worse, strict=True))
    assert log_e_value_below(requests, failed, ALLOWED) > log_e_value_below(
        requests, failed + 1, ALLOWED
    )


@pytest.mark.parametrize(
    ("failed", "requests"),
    [(0, 3_807), (1, 6_866), (2, 9_009), (3, 10_914), (5, 14_383), (10, 22_166)],
)  # fmt: skip
def test_requests_that_prove_99_9_percent(failed: int, requests: int) -> None:
    assert requests_to_prove(ALLOWED, failed) == requests
    assert (
        log_e_value_below(requests - 1, failed, ALLOWED)
        < log(20)
        <= log_e_value_below(requests, failed, ALLOWED)
    )


@pytest.mark.parametrize("allowed", [0.0, 1.0])
def test_what_cannot_be_proved_takes_for_ever(allowed: float) -> None:
    assert requests_to_prove(allowed) == inf


@pytest.mark.parametrize(
    ("requests", "failed", "bound"),
    [
        pytest.param(288, 0, 0.010348, id="the rule of three, exactly"),
        pytest.param(0, 0, 1.0, id="nothing seen"),
        pytest.param(20, 20, 1.0, id="all failed"),
        pytest.param(2_995, 0, 0.00099974, id="99.9 % in one look"),
        pytest.param(10_511, 5, 0.0010, id="and with five failures"),
    ],
)
def test_the_share_that_a_count_leaves_possible(requests: int, failed: int, bound: float) -> None:
    assert upper_bound(requests, failed) == pytest.approx(bound, rel=1e-4)


@given(st.integers(1, 60), st.floats(0, 1), st.data())
def test_the_chance_of_at_most_so_many_failures(
    requests: int, share: float, data: st.DataObject
) -> None:
    failed = data.draw(st.integers(0, requests))
    ones = [1.0 if k <= failed else 0.0 for k in range(requests + 1)]
    assert cdf(failed, requests, share) == pytest.approx(expected(requests, share, ones))


def test_the_chance_is_the_same_on_both_sides_of_its_two_formulas() -> None:
    assert cdf(3, 1_000, 0.002) == pytest.approx(cdf(3, 1_001, 0.002), rel=0.01)


@given(SHARES)
def test_every_effect_is_worse_than_what_is_allowed_and_possible(allowed: float) -> None:
    assert all(allowed < one < 1 for one in effects(allowed))


@pytest.mark.parametrize("allowed", [0.5, 0.96, 0.999])
def test_a_generous_rule_has_an_effect_to_test_for_too(allowed: float) -> None:
    assert all(allowed < one < 1 for one in effects(allowed))


def test_twenty_percent_errors_are_certain_within_three_minutes_of_sixty_requests() -> None:
    capital, shares = Capital(), effects(ALLOWED)
    for _ in range(3):
        capital = update_capital(capital, log_ratios(60, 12, ALLOWED, shares), 0.1)
    assert capital.e_value > 1_000
