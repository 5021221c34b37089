"""The acceptance region of a share: by definition, and against scipy."""

from math import comb

import pytest
import scipy  # it imports its parts when they are used
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.binomial import acceptance_region


@pytest.mark.parametrize(
    ("trials", "share", "confidence", "expected"),
    [
        pytest.param(0, 0.1, 0.99, (0, 0), id="without requests nothing is unlikely"),
        pytest.param(1_000, 0.1, 0.99, (76, 125), id="10 % of a thousand"),
        pytest.param(600, 0.5, 0.95, (276, 324), id="half of six hundred"),
        pytest.param(20, 0.1, 0.99, (0, 6), id="of twenty, none is no wonder"),
        pytest.param(500, 0.0, 0.99, (0, 0), id="0 % is none at all"),
        pytest.param(500, 1.0, 0.99, (500, 500), id="100 % is every one"),
    ],
)
def test_a_band_by_number(
    trials: int, share: float, confidence: float, expected: tuple[int, int]
) -> None:
    assert acceptance_region(trials, share, confidence) == expected


@given(st.integers(1, 60), st.floats(0, 1), st.sampled_from([0.9, 0.99, 0.999]))
def test_neither_tail_is_likelier_than_it_may_be_and_the_band_is_no_wider(
    trials: int, share: float, confidence: float
) -> None:
    chances = [comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)]
    low, high = acceptance_region(trials, share, confidence)
    tail, rounding = (1 - confidence) / 2, 1e-9
    assert 0 <= low <= high <= trials
    assert sum(chances[:low]) <= tail + rounding
    assert sum(chances[high + 1 :]) <= tail + rounding
    assert sum(chances[: low + 1]) >= tail - rounding
    assert sum(chances[high:]) >= tail - rounding


@pytest.mark.parametrize("trials", [7, 288, 1_000, 20_000, 1_000_000])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.37, 0.5, 0.98])
def test_it_is_the_interval_of_scipy(trials: int, share: float) -> None:
    assert acceptance_region(trials, share, 0.99) == tuple(
        map(int, scipy.stats.binom.interval(0.99, trials, share))
    )
