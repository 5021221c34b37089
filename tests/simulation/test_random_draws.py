from collections.abc import Callable
from math import exp, sqrt
from random import Random
from statistics import fmean, pvariance

import pytest

from controller.simulation.traffic.histogram import merge, percentile
from controller.simulation.traffic.random_draws import binomial, lognormal, poisson

DRAWS = 4_000


@pytest.mark.parametrize(
    ("draw", "mean", "variance"),
    [
        (lambda rng: poisson(rng, 0.2), 0.2, 0.2),
        (lambda rng: poisson(rng, 12), 12, 12),
        (lambda rng: poisson(rng, 3_000), 3_000, 3_000),
        (lambda rng: binomial(rng, 3_000, 0.0001), 0.3, 0.3),
        (lambda rng: binomial(rng, 20, 0.3), 6, 4.2),
        (lambda rng: binomial(rng, 20, 0.9), 18, 1.8),
        (lambda rng: binomial(rng, 3_000, 0.4), 1_200, 720),
    ],
    ids=["rare", "some", "many", "rare failures", "few trials", "mostly true", "many trials"],
)
def test_counts_have_the_mean_and_spread_of_their_law(
    draw: Callable[[Random], int], mean: float, variance: float
) -> None:
    rng = Random(3)
    drawn = [draw(rng) for _ in range(DRAWS)]
    assert fmean(drawn) == pytest.approx(mean, abs=5 * sqrt(variance / DRAWS))
    assert pvariance(drawn) == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_what_is_certain_is_not_left_to_chance(chance: float) -> None:
    assert binomial(Random(1), 500, chance) == 500 * chance


@pytest.mark.parametrize("count", [1, 5, 40, 41, 3_000])
def test_as_many_latencies_are_drawn_as_asked_for(count: int) -> None:
    assert lognormal(Random(1), count, 100, 0.3).count == count


@pytest.mark.parametrize(("count", "times"), [(30, 2_000), (3_000, 20)], ids=["single", "in bins"])
def test_latencies_follow_their_lognormal(count: int, times: int) -> None:
    rng = Random(5)
    drawn = merge(tuple(lognormal(rng, count, 100, 0.3) for _ in range(times)))
    assert percentile(drawn, 50) == pytest.approx(100, rel=0.01)
    assert percentile(drawn, 95) == pytest.approx(100 * exp(1.6449 * 0.3), rel=0.01)
    assert drawn.total / drawn.count == pytest.approx(100 * exp(0.3**2 / 2), rel=0.01)
