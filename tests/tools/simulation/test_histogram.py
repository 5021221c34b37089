from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.tools.simulation.histogram import (
    Distribution,
    count_above,
    merge,
    percentile,
)

VALUES = st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=200)
LIMITS = st.floats(min_value=0, max_value=1e6)


def distribution(values: list[float]) -> Distribution:
    return merge(tuple(Distribution.of({value: 1}) for value in values))


def exact(values: list[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, ceil(percent / 100 * len(values)) - 1)]


@given(VALUES, st.floats(min_value=0, max_value=100))
def test_a_percentile_never_strays_further_than_one_bin(
    values: list[float], percent: float
) -> None:
    estimate = percentile(distribution(values), percent)
    assert estimate == pytest.approx(exact(values, percent), rel=0.0201)
    assert min(values) <= estimate <= max(values)


@given(VALUES)
def test_count_total_lowest_and_highest_are_exact(values: list[float]) -> None:
    histogram = distribution(values)
    assert histogram.count == len(values)
    assert histogram.total == pytest.approx(sum(values))
    assert (histogram.low, histogram.high) == (min(values), max(values))


@given(VALUES, LIMITS)
def test_the_count_above_a_limit_never_strays_further_than_one_bin(
    values: list[float], limit: float
) -> None:
    estimate = count_above(distribution(values), limit)
    fewest, most = (sum(value > limit * by for value in values) for by in (1.0201, 1 / 1.0201))
    assert 0 <= fewest <= estimate <= most <= len(values)
