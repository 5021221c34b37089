"""A share against a bound: fair ratios, proofs, what failures rule out, and what is chance."""

from collections.abc import Callable
from math import comb, exp, inf, log
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.binomial import (
    Effects,
    acceptance_region,
    censored_log_ratios,
    effects,
    is_above,
    log_e_value_below,
    log_ratios,
    requests_to_prove,
    rules_out,
    upper_bound,
    zero_failure_sample_size,
)

ALLOWED = 0.001
Ratios: TypeAlias = Callable[[float, float, Effects], tuple[float, ...]]
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
    tested = effects(allowed)
    for index in range(len(tested.shares)):
        ratios = [exp(ratios_of(requests, k, tested)[index]) for k in range(requests + 1)]
        assert expected(requests, part * allowed, ratios) <= 1 + 1e-9


@given(st.integers(0, 5_000), st.integers(0, 100))
def test_a_censored_minute_says_no_more_and_another_failure_no_less(
    requests: int, failed: int
) -> None:
    requests, tested = requests + failed + 1, effects(ALLOWED)
    whole = log_ratios(requests, failed, tested)
    one, more = (censored_log_ratios(requests, k, tested) for k in (failed, failed + 1))
    assert all(a <= b for a, b in zip(one, whole, strict=True))
    assert all(a <= b for a, b in zip(one[:-1], more[:-1], strict=True))


def test_a_burst_is_the_less_proof_of_an_effect_the_more_failures_it_has_than_that() -> None:
    """600 requests at 0.15% have 0.9 failures on average, hardly ever more than 3."""
    burst, usual = (
        censored_log_ratios(600, k, effects(ALLOWED)) for k in (18, 0.9 + 2.5 * 0.9**0.5)
    )
    whole = log_ratios(600, 18, effects(ALLOWED))
    assert burst[0] == pytest.approx(usual[0], abs=0.02)
    assert burst[0] < whole[0] / 5
    assert burst[-1] == whole[-1]


@given(st.integers(1, 40), SHARES, st.floats(0, 1))
def test_while_the_rule_is_broken_the_mean_e_value_of_a_proof_is_at_most_one(
    requests: int, allowed: float, part: float
) -> None:
    share = allowed + part * (1 - allowed)
    proofs = [exp(log_e_value_below(requests, k, allowed)) for k in range(requests + 1)]
    assert expected(requests, share, proofs) <= 1 + 1e-9


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


@given(SHARES)
def test_every_effect_is_worse_than_what_is_allowed_and_possible(allowed: float) -> None:
    assert all(allowed < effect < 1 for effect in effects(allowed).shares)


# --- What a number of failures rules out ----------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "samples"), [(0, 0), (1, 1), pytest.param(5, 3, id="more failures than requests")]
)
def test_nothing_is_ruled_out_without_a_success(failures: int, samples: int) -> None:
    assert upper_bound(samples, failures) == 1.0


@pytest.mark.parametrize("samples", [1, 20, 300, 2_994, 2_995, 100_000])
@pytest.mark.parametrize("failures", [0, 1, 7, 150])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.02, 0.5, 1.0])
def test_a_rate_is_ruled_out_exactly_when_the_bound_is_not_above_it(
    samples: int, failures: int, rate: float
) -> None:
    assert rules_out(rate, failures, samples) is (upper_bound(samples, failures) <= rate)


@pytest.mark.parametrize(
    ("rate", "needed"),
    [
        pytest.param(0.001, 2_995, id="0.1%"),
        pytest.param(1 - 0.999, 2_995, id="0.1% as binary fractions have it"),
        pytest.param(0.01, 299, id="1%"),
        pytest.param(0.95, 1, id="one is enough, exactly"),
        pytest.param(0.9, 2, id="one is not enough"),
        pytest.param(1e-6, 2_995_731, id="one in a million: the rule of three"),
    ],
)
def test_it_takes_so_many_without_a_failure(rate: float, needed: int) -> None:
    assert zero_failure_sample_size(rate) == needed


# --- The acceptance region ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trials", "share", "confidence", "expected"),
    [
        pytest.param(0, 0.1, 0.99, (0, 0), id="without requests nothing is unlikely"),
        pytest.param(1_000, 0.1, 0.99, (76, 125), id="10% of a thousand"),
        pytest.param(600, 0.5, 0.95, (276, 324), id="half of six hundred"),
        pytest.param(20, 0.1, 0.99, (0, 6), id="of twenty, none is no wonder"),
        pytest.param(500, 0.0, 0.99, (0, 0), id="0% is none at all"),
        pytest.param(500, 1.0, 0.99, (500, 500), id="100% is every one"),
    ],
)
def test_a_band_by_number(
    trials: int, share: float, confidence: float, expected: tuple[int, int]
) -> None:
    assert acceptance_region(trials, share, confidence) == expected


@given(st.integers(1, 40), SHARES)
def test_a_bound_that_is_kept_is_called_exceeded_at_most_once_in_twenty(
    requests: int, allowed: float
) -> None:
    above = [float(is_above(allowed, k, requests)) for k in range(requests + 1)]
    assert expected(requests, allowed, above) <= 0.05 + 1e-9
    assert above == sorted(above)
    assert above[0] == 0
