from math import ceil
from random import Random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from controller.simulation.traffic.histogram import (
    Distribution,
    count_above,
    merge,
    percentile,
    thin,
)

VALUES = st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=200)
LIMITS = st.floats(min_value=0, max_value=1e6)


def distribution(values: list[float]) -> Distribution:
    return merge(tuple(Distribution.of({value: 1}) for value in values))


def exact(values: list[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, ceil(percent / 100 * len(values)) - 1)]


@pytest.mark.parametrize("percent", [50, 90, 95, 99, 99.9])
def test_a_percentile_is_within_one_percent_of_the_exact_one(percent: float) -> None:
    rng = Random(7)
    values = [rng.lognormvariate(5, 0.4) for _ in range(20_000)]
    estimate = percentile(distribution(values), percent)
    assert estimate == pytest.approx(exact(values, percent), rel=0.01)


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
    fewest, most = (sum(one > limit * by for one in values) for by in (1.0201, 1 / 1.0201))
    assert 0 <= fewest <= estimate <= most <= len(values)


@given(VALUES, LIMITS, LIMITS)
def test_fewer_are_above_a_higher_limit(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert count_above(distribution(values), low) >= count_above(distribution(values), high)


@given(VALUES, LIMITS, st.sampled_from([50, 90, 95, 99]))
def test_a_percentile_is_above_a_limit_iff_more_than_the_rest_of_the_values_are(
    values: list[float], limit: float, percent: int
) -> None:
    histogram = distribution(values)
    above, rest = count_above(histogram, limit), (1 - percent / 100) * len(values)
    assume(above != pytest.approx(rest, abs=1e-6))  # a limit at the percentile, but for rounding
    assert (percentile(histogram, percent) > limit) == (above > rest)


def test_the_count_above_a_limit_is_cut_out_of_its_bin() -> None:
    """Ten values share a bin that reaches from 100.9 to 102.9; 102 is a little above its middle."""
    values = distribution([10.0] * 10 + [101.0, 102.8] * 5)
    assert count_above(values, 100.0) == 10
    assert count_above(values, 102.0) == pytest.approx(4.5, abs=0.1)


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (249, 1), (250, 0), (251, 0)])
def test_a_lone_value_is_above_a_limit_or_not(limit: float, count: int) -> None:
    assert count_above(distribution([250.0]), limit) == count


@given(
    VALUES,
    LIMITS,
    st.lists(st.floats(min_value=0.01, max_value=0.99), min_size=2, max_size=5),
)
@example([101.0, 102.8] * 5, 101.5, [0.5, 0.9])  # all of them in one bin, and the limit too
def test_with_more_values_arrived_nothing_shrinks(
    values: list[float], limit: float, fractions: list[float]
) -> None:
    histogram = distribution(values)
    growing = [thin(histogram, fraction) for fraction in sorted(fractions)] + [histogram]
    assert [part.count for part in growing] == sorted(part.count for part in growing)
    over = [count_above(part, limit) for part in growing]
    assert over == sorted(over)
    totals = [part.total for part in growing]
    assert totals == pytest.approx(sorted(totals))


def test_zeros_and_ones_are_counted_exactly() -> None:
    errors = Distribution.of({0.0: 990, 1.0: 10})
    assert (errors.count, errors.total, errors.low, errors.high) == (1_000, 10, 0, 1)
    assert percentile(errors, 50) == 0
    assert percentile(errors, 99.5) == 1
    assert (count_above(errors, 0), count_above(errors, 0.5), count_above(errors, 1)) == (10, 10, 0)
    assert thin(errors, 0.8).total == pytest.approx(8)
