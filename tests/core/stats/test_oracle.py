"""The formulas of the judge against those of scipy, as an independent oracle."""

from functools import cache
from math import log
from typing import Any

import pytest
import scipy  # it imports its parts when they are used

from controller.core.stats import binomial, poisson, two_sample
from controller.core.stats.two_sample import ODDS_RATIOS, PairedCounts

pytestmark = pytest.mark.slow

REQUESTS_AND_FAILED = [
    (1, 0), (1, 1), (6, 6), (20, 1), (60, 12), (288, 0), (288, 3), (999, 999), (1_000, 17),
    (1_001, 17), (20_000, 15), (20_000, 8_000), (1_000_000, 0), (1_000_000, 1_100),
]  # fmt: skip
ALLOWED = [0.001, 0.01, 0.05, 0.3]
REQUESTS = [1, 7, 60, 288, 999, 1_000, 1_001, 20_000, 1_000_000]
SHARES = [0.0, 1e-6, 0.0005, 0.001, 0.01, 0.05, 0.3, 0.5, 0.95, 1.0]
CHANCES = [(many, share) for many in REQUESTS for share in SHARES if many * share <= 20_000]

each_count = pytest.mark.parametrize(("requests", "failed"), REQUESTS_AND_FAILED)
each_bound = pytest.mark.parametrize("allowed", ALLOWED)


def near(logs: Any) -> Any:
    """Return what equals `logs` but for rounding: scipy's are differences of ln(1,000,000!)."""
    return pytest.approx(logs, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize(("requests", "share"), CHANCES)
def test_the_chance_of_at_most_so_many_is_the_binomial_one(requests: int, share: float) -> None:
    middle, spread = requests * share, (requests * share * (1 - share)) ** 0.5
    around = {round(middle + many * spread) for many in (-5, -2, -1, 0, 1, 2, 5)}
    for failed in sorted(one for one in {0, 1} | around if 0 <= one <= requests):
        chance = scipy.stats.binom.cdf(failed, requests, share)
        assert binomial.cdf(failed, requests, share) == pytest.approx(chance, rel=1e-8)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@each_count
def test_the_share_that_stays_possible_is_clopper_and_pearsons(
    requests: int, failed: int, confidence: float
) -> None:
    """Exactly so for up to a thousand failures, and to three digits for more."""
    bound = binomial.upper_bound(requests, failed, confidence)
    test = scipy.stats.binomtest(failed, requests, alternative="less")
    off = 2e-12 if failed <= 1_000 else 5e-4 * bound
    assert bound == pytest.approx(test.proportion_ci(confidence, "exact").high, abs=off)
    if failed < requests:
        quantile = scipy.stats.beta.ppf(confidence, failed + 1, requests - failed)
        assert bound == pytest.approx(quantile, abs=off)


@pytest.mark.parametrize("trials", [7, 288, 1_000, 20_000, 1_000_000])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.37, 0.5, 0.98])
def test_the_acceptance_region_of_a_share_is_its_interval(trials: int, share: float) -> None:
    assert binomial.acceptance_region(trials, share, 0.99) == tuple(
        map(int, scipy.stats.binom.interval(0.99, trials, share))
    )


@each_bound
@each_count
def test_a_ratio_of_a_share_is_that_of_binomial_chances(
    requests: int, failed: int, allowed: float
) -> None:
    effects = binomial.effects(allowed)
    at_bound = scipy.stats.binom.logpmf(failed, requests, allowed)
    ratios = [
        scipy.stats.binom.logpmf(failed, requests, share) - at_bound for share in effects.shares
    ]
    assert binomial.log_ratios(requests, failed, effects) == near(ratios)


@each_bound
@each_count
def test_a_proof_is_the_mean_of_such_ratios_over_shares_below_the_bound(
    requests: int, failed: int, allowed: float
) -> None:
    below = [part * allowed for part in (0.0, 0.05, 0.2, 0.4, 0.6, 0.8)]
    mixture = scipy.special.logsumexp(
        scipy.stats.binom.logpmf(failed, requests, below), b=1 / len(below)
    )
    ratio = mixture - scipy.stats.binom.logpmf(failed, requests, allowed)
    assert binomial.log_e_value_below(requests, failed, allowed) == near(ratio)


@pytest.mark.parametrize("count", [0, 1, 2, 10, 300, 100_000])
@pytest.mark.parametrize("allowed", [0.01, 2.0, 10.0, 5_000.0])
def test_a_ratio_of_a_count_is_that_of_poisson_chances(count: int, allowed: float) -> None:
    at_bound = scipy.stats.poisson.logpmf(count, allowed)
    ratios = [
        scipy.stats.poisson.logpmf(count, ratio * allowed) - at_bound
        for ratio in poisson.RATE_RATIOS
    ]
    assert poisson.log_ratios(count, allowed) == near(ratios)


@pytest.mark.parametrize("theta", [0.001, 0.05, 0.5, 0.9])
@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(PairedCounts(6, 5, 54, 3), id="a tenth of few requests"),
        pytest.param(PairedCounts(300, 0, 300, 0), id="none was slow"),
        pytest.param(PairedCounts(300, 300, 300, 300), id="all were"),
        pytest.param(PairedCounts(300, 20, 300, 15), id="two halves"),
        pytest.param(PairedCounts(950_000, 60_000, 50_000, 2_500), id="a small rest of a million"),
    ],
)
def test_a_ratio_of_two_paths_is_that_of_their_chances_together(
    counts: PairedCounts, theta: float
) -> None:
    def both(canary: float, control: float) -> float:
        return float(
            scipy.stats.binom.logpmf(counts.slow, counts.requests, canary)
            + scipy.stats.binom.logpmf(counts.control_slow, counts.control_requests, control)
        )

    worse = [scipy.special.expit(scipy.special.logit(theta) + log(ratio)) for ratio in ODDS_RATIOS]
    total = counts.requests + counts.control_requests
    mixed = [(counts.requests * one + counts.control_requests * theta) / total for one in worse]
    ratios = [both(a, theta) - both(b, b) for a, b in zip(worse, mixed, strict=True)]
    assert two_sample.log_ratios(counts, theta) == near(ratios)


# A window's p95 against a limit, and the count of its requests above the limit: one event.

LIMITS = [180.0, 400.0, 455.0, 456.0, 600.0]


@cache
def latency() -> Any:
    """Return a distribution of milliseconds."""
    return scipy.stats.lognorm(0.5, scale=200)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_share_read_between_percentiles_is_above_5_percent_iff_the_p95_is(limit: float) -> None:
    known = {share: float(latency().ppf(share)) for share in (0.5, 0.9, 0.95, 0.99)}
    share = two_sample.share_above(limit, two_sample.latency_curve(tuple(known.items())))
    assert (share > 0.05) == (known[0.95] > limit)
    assert share == pytest.approx(float(latency().sf(limit)), rel=0.1)
