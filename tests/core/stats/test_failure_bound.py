"""What a number of failures rules out, and how many requests without one it takes."""

import pytest

from controller.core.stats.binomial import rules_out, upper_bound, zero_failure_sample_size


@pytest.mark.parametrize(
    ("failures", "samples"), [(0, 0), (1, 1), pytest.param(5, 3, id="more failures than requests")]
)
def test_nothing_is_ruled_out_without_a_success(failures: int, samples: int) -> None:
    assert upper_bound(samples, failures) == 1.0


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
