"""The e-process of a test against that of ville, an independent library of sequential tests."""

from itertools import pairwise
from math import log
from random import Random

import pytest

from controller.core.stats.binomial import Effects, log_ratios
from controller.core.stats.eprocess import EProcessState, update_e_process

pytestmark = pytest.mark.slow

ALLOWED = 0.02
ALPHA = 0.01


def failures(share: float, requests: int, seed: int) -> list[int]:
    """Return 1 for each request that fails, and 0 for each that does not."""
    draw = Random(seed)
    return [int(draw.random() < share) for _ in range(requests)]


@pytest.mark.parametrize("share", [0.002, 0.02, 0.05, 0.3])
def test_many_effects_are_a_mixture_over_all_shares(share: float) -> None:
    """Of which 5,000 effects in equal distances are the sum, up to the grid."""
    from ville import BernoulliTest  # slow to import

    effects = Effects.of(ALLOWED, tuple((number + 0.5) / 5_000 for number in range(5_000)))
    requests = failures(share, 600, seed=1)
    capital = EProcessState()
    for begin, end in pairwise(range(0, 601, 60)):
        failed = sum(requests[begin:end])
        first = 1.0 if begin == 0 else 0.0
        capital = update_e_process(capital, log_ratios(60, failed, effects), first)
    other = BernoulliTest(ALLOWED, alpha=ALPHA).fit(requests)
    assert log(capital.e_value) == pytest.approx(other.log_e_values_[-1], abs=0.01)


@pytest.mark.parametrize("share", [0.06, 0.1, 0.3])
def test_a_fault_takes_no_more_requests_than_with_bets_on_a_bounded_mean(share: float) -> None:
    """Another construction (Waudby-Smith and Ramdas 2024), of the same one-sided rule."""
    from ville import BettingTest  # slow to import

    multiples = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
    effects = Effects.of(ALLOWED, tuple(ALLOWED * one for one in multiples))
    ours = others = 0
    for seed in range(20):
        requests, capital = failures(share, 3_000, seed), EProcessState()
        other = BettingTest(ALLOWED, alternative="greater", alpha=ALPHA).fit(requests)
        others += other.stopping_time()
        for number, failed in enumerate(requests):
            first = 0.0 if number else 1.0
            capital = update_e_process(capital, log_ratios(1, failed, effects), first)
            if capital.e_value >= 1 / ALPHA:
                ours += number + 1
                break
        else:
            pytest.fail(f"seed {seed} is not found")
    assert ours <= others
