"""A count against a bound: fair ratios, how soon too many are noticed, and what is unlikely."""

from collections.abc import Callable
from math import comb, exp, inf, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.eprocess import EProcessState, cap_for, update_e_process
from controller.core.stats.poisson import RATE_RATIOS, is_above, log_ratios, tail_bound

# "More than 10 in 5 minutes", by the minute.
ALLOWED = 2.0
# Far above every mean below, even after the largest multiple has tilted it.
ENOUGH = 1_000
MEANS = st.floats(0.01, 20)


def log_poisson(count: int, mean: float) -> float:
    if mean == 0:
        return 0.0 if count == 0 else -inf
    return count * log(mean) - mean - lgamma(count + 1)


def expected(log_chance: Callable[[int], float], most: int, allowed: float) -> list[float]:
    """Return the mean of each e-value, by enumeration over counts up to `most`."""
    means = [0.0] * len(RATE_RATIOS)
    for count in range(most + 1):
        chance, ratios = log_chance(count), log_ratios(count, allowed)
        means = [mean + exp(chance + one) for mean, one in zip(means, ratios, strict=True)]
    return means


@pytest.mark.parametrize("allowed", [0.01, 0.5, ALLOWED, 20.0])
def test_at_the_bound_the_mean_ratio_is_one(allowed: float) -> None:
    means = expected(lambda count: log_poisson(count, allowed), ENOUGH, allowed)
    assert means == pytest.approx([1.0] * len(RATE_RATIOS))


@given(MEANS, st.floats(0, 1))
def test_below_the_bound_the_mean_ratio_is_at_most_one(allowed: float, part: float) -> None:
    means = expected(lambda count: log_poisson(count, part * allowed), ENOUGH, allowed)
    assert max(means) <= 1 + 1e-9


@given(st.integers(1, 60), st.floats(0, 1), st.floats(1, 2))
def test_rejections_of_few_requests_have_a_mean_ratio_of_at_most_one_too(
    requests: int, share: float, room: float
) -> None:
    """A count that cannot exceed the requests is binomial, and no Poisson count."""

    def log_binomial(count: int) -> float:
        chance = comb(requests, count) * share**count * (1 - share) ** (requests - count)
        return log(chance) if chance else -inf

    means = expected(log_binomial, requests, room * requests * share)
    assert max(means) <= 1 + 1e-9


def test_where_none_is_allowed_none_is_no_evidence_and_one_is() -> None:
    assert log_ratios(0, 0) == (0.0,) * len(RATE_RATIOS)
    assert min(log_ratios(1, 0)) > 0


def minutes_to_reject(count: int, limit: int = 600) -> float:
    """Return after how many minutes of `count` each the bound is rejected at 1%; inf: never."""
    capital = EProcessState()
    for minute in range(limit):
        prior_share = 0.5 if minute == 0 else 0.2 / limit
        capital = update_e_process(
            capital, log_ratios(count, ALLOWED), prior_share, cap=cap_for(0.01, 2)
        )
        if capital.e_value >= 100:
            return minute + 1
    return inf


@pytest.mark.parametrize(
    ("count", "minutes"),
    [
        pytest.param(0, inf, id="none"),
        pytest.param(2, inf, id="exactly what is allowed"),
        pytest.param(4, 9, id="twice as many"),
        pytest.param(6, 3, id="three times as many"),
        pytest.param(20, 2, id="ten times as many"),
        pytest.param(2_000, 2, id="a flood, which one minute alone does not prove"),
    ],
)
def test_more_than_ten_in_five_minutes_are_noticed_within(count: int, minutes: float) -> None:
    assert minutes_to_reject(count) == minutes


# --- How unlikely a count is ----------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.5, 7, 40])
@pytest.mark.parametrize("count", [0, 1, 5, 30, 90])
def test_no_count_is_likelier_than_its_bound(count: int, mean: float) -> None:
    side = range(count + 1) if count < mean else range(count, 400)
    exact, bound = sum(exp(log_poisson(one, mean)) for one in side), tail_bound(count, mean)
    assert exact <= bound * (1 + 1e-9)
    assert bound <= 1
    if count == 0:
        assert bound == pytest.approx(exact)


def test_a_count_of_what_cannot_happen_is_impossible() -> None:
    assert tail_bound(3, inf) == tail_bound(0, inf) == tail_bound(3, 0) == 0


@pytest.mark.parametrize("allowed", [0.0, 0.01, 2.0, 20.0, 900.0])
def test_a_mean_that_is_kept_is_called_exceeded_at_most_once_in_twenty(allowed: float) -> None:
    above = [k for k in range(2 * ENOUGH) if is_above(k, allowed)]
    assert sum(exp(log_poisson(k, allowed)) for k in above) <= 0.05 + 1e-9
    assert above == list(range(above[0], 2 * ENOUGH))
    assert (
        exp(log_poisson(above[0] - 1, allowed)) + sum(exp(log_poisson(k, allowed)) for k in above)
        > 0.05
    ), "no smaller count is as unlikely"
