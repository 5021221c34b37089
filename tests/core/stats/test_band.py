"""The acceptance region of a share: by definition, and against scipy."""

import pytest
import scipy  # it imports its parts when they are used

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


@pytest.mark.parametrize("trials", [7, 288, 1_000, 20_000, 1_000_000])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.37, 0.5, 0.98])
def test_it_is_the_interval_of_scipy(trials: int, share: float) -> None:
    assert acceptance_region(trials, share, 0.99) == tuple(
        map(int, scipy.stats.binom.interval(0.99, trials, share))
    )
