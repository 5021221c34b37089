"""Requests that hang: fair against a bound and a control, whichever is the larger share."""

from math import comb, exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.hangs import MIN_ALLOWED_SHARE, log_ratios, paired_log_ratios
from controller.core.stats.two_sample import PairedCounts


def chance(requests: int, hits: int, share: float) -> float:
    return comb(requests, hits) * share**hits * (1 - share) ** (requests - hits)


@pytest.mark.parametrize("above", ["the bound", "the control"])
@given(
    requests=st.integers(1, 9),
    control=st.integers(1, 9),
    allowed=st.floats(0.01, 0.5),
    theta=st.floats(0.001, 0.999),
    level=st.floats(0.001, 0.999),
    other=st.floats(0.0, 1.0),
)
def test_the_mean_ratio_is_at_most_one_while_one_of_both_allows_the_share(
    above: str,
    requests: int,
    control: int,
    allowed: float,
    theta: float,
    level: float,
    other: float,
) -> None:
    """By enumeration, for any true level of the control, and any idea of it."""
    share, stable = (level, max(level, other)) if above == "the bound" else (allowed, other)
    means = [0.0] * len(log_ratios(1, 0, allowed))
    for hung in range(requests + 1):
        for stable_hung in range(control + 1):
            both = chance(requests, hung, share) * chance(control, stable_hung, stable)
            counts = PairedCounts(requests, hung, control, stable_hung)
            ratios = paired_log_ratios(counts, allowed, theta)
            means = [mean + both * exp(one) for mean, one in zip(means, ratios, strict=True)]
    assert max(means) <= 1 + 1e-9


def test_hangs_that_the_control_shares_are_no_evidence() -> None:
    alone, shared = (
        max(paired_log_ratios(PairedCounts(600, 30, 600, hung), MIN_ALLOWED_SHARE, 0.001))
        for hung in (0, 30)
    )
    assert alone > 10
    assert shared < 0
