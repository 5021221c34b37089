"""How unlikely a count is, against the exact sums of the Poisson distribution."""

from math import exp, inf, lgamma, log

import pytest

from controller.core.stats.poisson import tail_bound


def chance(count: int, mean: float) -> float:
    return exp(count * log(mean) - mean - lgamma(count + 1))


@pytest.mark.parametrize("mean", [0.5, 7, 40])
@pytest.mark.parametrize("count", [0, 1, 5, 30, 90])
def test_no_count_is_likelier_than_its_bound(count: int, mean: float) -> None:
    side = range(count + 1) if count < mean else range(count, 400)
    exact, bound = sum(chance(one, mean) for one in side), tail_bound(count, mean)
    assert exact <= bound * (1 + 1e-9)
    assert bound <= 1
    if count == 0:
        assert bound == pytest.approx(exact)


def test_a_count_of_what_cannot_happen_is_impossible() -> None:
    assert tail_bound(3, inf) == tail_bound(0, inf) == tail_bound(3, 0) == 0
