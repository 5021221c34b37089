"""The bound of a failure rate: known values, and the definition itself."""

from fractions import Fraction
from math import comb

import pytest

from controller.core.stats.binomial import rules_out, upper_bound, zero_failure_sample_size


@pytest.mark.parametrize(
    ("failures", "samples", "bound"),
    [
        pytest.param(0, 20, 0.139108, id="20 without a failure: 13.9 %"),
        pytest.param(0, 300, 0.0099361, id="300 without a failure: 0.99 %"),
        pytest.param(0, 2_995, 0.00099974, id="2 995 without a failure: just below 0.1 %"),
        pytest.param(0, 2_994, 0.00100008, id="one less: just above"),
        pytest.param(1, 10, 0.394163, id="1 of 10, as in the tables"),
        pytest.param(2, 20, 0.282619, id="2 of 20, as in the tables"),
        pytest.param(5, 10, 0.777559, id="5 of 10, as in the tables"),
        pytest.param(9, 10, 0.95**0.1, id="all but one: p^10 = 0.95"),
        pytest.param(1, 10_000_000, 4.743865e-7, id="1 in ten million: Poisson's 4.744"),
        pytest.param(10, 10_000_000, 1.6962e-6, id="10 in ten million: Poisson's 16.96"),
    ],
)
def test_the_bound_is_that_of_clopper_and_pearson(
    failures: int, samples: int, bound: float
) -> None:
    assert upper_bound(samples, failures) == pytest.approx(bound, rel=1e-4)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("failures", "samples"), [(0, 7), (1, 12), (17, 200), (120, 130)])
def test_at_the_bound_so_few_failures_have_the_probability_that_is_left(
    failures: int, samples: int, confidence: float
) -> None:
    rate = Fraction(upper_bound(samples, failures, confidence))
    so_few = sum(
        comb(samples, k) * rate**k * (1 - rate) ** (samples - k) for k in range(failures + 1)
    )
    assert float(so_few) == pytest.approx(1 - confidence, rel=1e-9)


@pytest.mark.parametrize(
    ("failures", "samples"), [(0, 0), (1, 1), pytest.param(5, 3, id="more failures than requests")]
)
def test_nothing_is_ruled_out_without_a_success(failures: int, samples: int) -> None:
    assert upper_bound(samples, failures) == 1.0


@pytest.mark.parametrize("failures", [1, 1_000, 5_000_000, 9_999_999])
def test_ten_million_requests_have_a_bound_above_what_was_seen(failures: int) -> None:
    assert failures / 10_000_000 < upper_bound(10_000_000, failures) < 1


@pytest.mark.parametrize("samples", [1, 20, 300, 2_994, 2_995, 100_000])
@pytest.mark.parametrize("failures", [0, 1, 7, 150])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.02, 0.5, 1.0])
def test_a_rate_is_ruled_out_exactly_when_the_bound_is_not_above_it(
    samples: int, failures: int, rate: float
) -> None:
    assert rules_out(rate, failures, samples) is (upper_bound(samples, failures) <= rate)


@pytest.mark.parametrize(
    ("rate", "needed"),
    [
        pytest.param(0.001, 2_995, id="0.1 %"),
        pytest.param(1 - 0.999, 2_995, id="0.1 % as binary fractions have it"),
        pytest.param(0.01, 299, id="1 %"),
        pytest.param(0.95, 1, id="one is enough, exactly"),
        pytest.param(0.9, 2, id="one is not enough"),
        pytest.param(1e-6, 2_995_731, id="one in a million: the rule of three"),
    ],
)
def test_it_takes_so_many_without_a_failure(rate: float, needed: int) -> None:
    assert zero_failure_sample_size(rate) == needed


@pytest.mark.parametrize("rate", [0.3, 0.01, 0.001, 0.000_37])
def test_one_request_less_would_not_be_enough(rate: float) -> None:
    needed = zero_failure_sample_size(rate)
    assert upper_bound(needed, 0) <= rate < upper_bound(needed - 1, 0)
