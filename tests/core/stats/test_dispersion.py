"""The dispersion of counts: how far they are from independent requests."""

from collections.abc import Callable
from random import Random

import pytest

from controller.core.stats.dispersion import (
    cap_effective_samples,
    dispersion,
    local_dispersion,
    minute_dispersion,
)
from tests.support.core import BaselineMeasurement


def blocks(share_of: Callable[[int, Random], float]) -> list[tuple[float, float]]:
    """Return 400 blocks of 500 requests each, whose share of hits `share_of` says."""
    draw = Random(7)
    shares = [share_of(index, draw) for index in range(400)]
    return [(500, sum(draw.random() < share for _ in range(500))) for share in shares]


def test_a_share_that_changes_from_block_to_block_has_more() -> None:
    counts = blocks(lambda _index, draw: draw.choice((0.02, 0.08)))
    assert dispersion(counts) > 5
    assert local_dispersion(counts) > 5


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([10, 30] * 4, 50 / 7, id="neighbours that make up for each other"),
        pytest.param([10] * 4 + [30] * 4, 50 / 7 + 2 * 31.25 / 7, id="what is bad stays bad"),
        pytest.param([10, 30] * 3 + [20], 1.0, id="of seven blocks nothing is learned"),
    ],
)
def test_eight_blocks_by_number(counts: list[float], expected: float) -> None:
    """Eight squares of 2.5 deviations are 50, and seven degrees of freedom are left."""
    pairs = [(100.0, count) for count in counts]
    assert dispersion(pairs) == pytest.approx(expected)
    assert dispersion([(0.0, 0.0), *pairs, (0.0, 0.0)]) == pytest.approx(expected)


def test_what_varies_by_itself_is_the_same_share_of_however_many_requests() -> None:
    """Blocks of 100 requests a minute vary three times as much as chance."""
    baseline = BaselineMeasurement(400.0, 1_000, 600, 1_200, 0.05, 3.0)
    assert [minute_dispersion(baseline, requests) for requests in (0, 50, 100, 200)] == [1, 2, 3, 5]


def test_the_dispersion_of_a_baseline_of_unknown_length_is_taken_as_it_is() -> None:
    assert minute_dispersion(BaselineMeasurement(400.0, 1_000, 600, 600, 0.05, 3.0), 50) == 3.0
    assert minute_dispersion(BaselineMeasurement(400.0, 0, 600, 1_200, 0.05, 3.0), 50) == 3.0


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([], id="nothing"),
        pytest.param([(100.0, 50.0), (100.0, 1.0)], id="two blocks"),
        pytest.param([(100.0, 0.0)] * 20, id="no hit at all"),
        pytest.param([(100.0, 100.0)] * 20, id="nothing but hits"),
        pytest.param([(0.0, 0.0)] * 20, id="no request"),
    ],
)
def test_where_nothing_can_be_learned_requests_count_as_independent(
    counts: list[tuple[float, float]],
) -> None:
    assert dispersion(counts) == 1.0
    assert local_dispersion(counts) == 1.0


def test_a_minute_counts_as_no_more_than_a_few_hundred_requests() -> None:
    assert cap_effective_samples(1.2, 100, 300) == 1.2
    assert cap_effective_samples(1.2, 6_000, 300) == 20.0
