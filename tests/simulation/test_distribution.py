from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.simulation.distribution import Distribution, merged, percentile, thinned

VALUES = st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=200)


def distribution(values: list[float]) -> Distribution:
    return merged(tuple(Distribution.of({value: 1}) for value in values))


def exact(values: list[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed."""
    return sorted(values)[max(0, ceil(percent / 100 * len(values)) - 1)]


@pytest.mark.parametrize("percent", [50, 90, 95, 99, 99.9])
def test_a_percentile_is_within_one_percent_of_the_exact_one(percent: float) -> None:
    rng = Random(7)
    values = [rng.lognormvariate(5, 0.4) for _ in range(20_000)]
    found = percentile(distribution(values), percent)
    assert found == pytest.approx(exact(values, percent), rel=0.01)


@given(VALUES, st.floats(min_value=0, max_value=100))
def test_a_percentile_never_strays_further_than_one_bin(
    values: list[float], percent: float
) -> None:
    found = percentile(distribution(values), percent)
    assert found == pytest.approx(exact(values, percent), rel=0.0201)
    assert min(values) <= found <= max(values)


@given(VALUES)
def test_count_total_lowest_and_highest_are_exact(values: list[float]) -> None:
    whole = distribution(values)
    assert whole.count == len(values)
    assert whole.total == pytest.approx(sum(values))
    assert (whole.low, whole.high) == (min(values), max(values))


@given(VALUES, st.lists(st.floats(min_value=0.01, max_value=0.99), min_size=2, max_size=5))
def test_with_more_values_arrived_nothing_shrinks(
    values: list[float], fractions: list[float]
) -> None:
    whole = distribution(values)
    shown = [thinned(whole, fraction) for fraction in sorted(fractions)] + [whole]
    assert [part.count for part in shown] == sorted(part.count for part in shown)
    totals = [part.total for part in shown]
    assert totals == pytest.approx(sorted(totals))


def test_zeros_and_ones_are_counted_exactly() -> None:
    errors = Distribution.of({0.0: 990, 1.0: 10})
    assert (errors.count, errors.total, errors.low, errors.high) == (1_000, 10, 0, 1)
    assert percentile(errors, 50) == 0
    assert percentile(errors, 99.5) == 1
    assert thinned(errors, 0.8).total == pytest.approx(8)
