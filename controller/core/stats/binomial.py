"""A share of requests against a bound: the binomial distribution, exact bounds and log ratios.

Three parts: the distribution itself; the bounds of Clopper and Pearson, for one look at a count;
and the likelihood ratios and e-values of the sequential tests, which may be looked at any time.
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from math import ceil, exp, expm1, inf, lgamma, log, log1p, sqrt
from typing import NamedTuple, Self

CONFIDENCE = 0.95


# --- Binomial distribution ------------------------------------------------------------------------

_TOLERANCE, _TINY, _MAX_TERMS = 1e-13, 1e-300, 10_000


def cdf(failed: int, requests: int, share: float) -> float:
    """Return P(at most `failed` of `requests`) for a true `share`.

    That is the incomplete beta function I_{1-p}(n-k, k+1) (Abramowitz and Stegun 26.5.24).
    """
    if share <= 0 or failed >= requests:
        return 1.0
    if share >= 1:
        return 0.0
    return _incomplete_beta(requests - failed, failed + 1, 1 - share, share)


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return I_x(a, b), by its continued fraction (Abramowitz and Stegun 26.5.8; Lentz 1976).

    rest: 1 - x, exactly where x is nearly 1.
    """
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror does not
        return 1 - _incomplete_beta(b, a, rest, x)
    head = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(rest)
    over, under = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = under
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            under, over = 1 / _nonzero(1 + term * under), _nonzero(1 + term / over)
            value *= under * over
        if abs(under * over - 1) < _TOLERANCE:
            break
    return exp(head) * value / a


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


# --- Exact bounds ---------------------------------------------------------------------------------

# The quotient of two logarithms that is whole comes out a few parts in 1e16 above.
_ROUNDING = 1e-9


def upper_bound(requests: int, failed: int, confidence: float = CONFIDENCE) -> float:
    """Return the highest failure rate that `failed` of `requests` do not rule out.

    It is the exact one-sided upper bound of Clopper and Pearson (1934), for one look: the rate at
    which so few failures, or fewer, have probability 1 - confidence. Without requests nothing is
    ruled out: 1.0. Of 288 requests without a failure it is 1.04%.
    confidence: from 0.5 to below 1.
    """
    if failed >= requests:
        return 1.0
    if failed == 0:
        return -expm1(log1p(-confidence) / requests)  # (1 - p)^n = 1 - confidence
    # At the observed rate so few failures have probability 1/2, and more, so the bound is above.
    low, high = failed / requests, 1.0
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        if rules_out(middle, failed, requests, confidence):
            high = middle
        else:
            low = middle
    return high


def rules_out(rate: float, failures: int, samples: int, confidence: float = CONFIDENCE) -> bool:
    """Tell whether `upper_bound` is at most `rate`, without a search for the bound."""
    if rate >= 1.0:
        return True
    return rate > 0 and failures < samples and cdf(failures, samples, rate) <= 1 - confidence


def is_above(rate: float, failures: int, samples: int, confidence: float = CONFIDENCE) -> bool:
    """Tell whether `failures` of `samples` rule out that at most `rate` of them fail.

    That is where so many failures, or more, have a probability of at most 1 - confidence: the exact
    one-sided binomial test, for one look.
    """
    return failures > 0 and 1 - cdf(failures - 1, samples, rate) <= 1 - confidence


def zero_failure_sample_size(rate: float, confidence: float = CONFIDENCE) -> int:
    """Return how many requests without a failure show that at most `rate` of them fail.

    rate: above 0 and below 1; no number of requests shows that nothing ever fails.
    """
    return ceil(log1p(-confidence) / log1p(-rate) - _ROUNDING)


def acceptance_region(trials: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the fewest and the most of `trials` that a `share` in [0, 1] leaves likely.

    Each of the two tails outside has a probability of at most (1 - confidence) / 2: the exact
    equal-tailed region of the binomial test (Clopper and Pearson, Biometrika 26, 1934), for
    requests that are drawn independently. Without trials it is (0, 0): nothing is unlikely.
    confidence: above 0 and below 1, for one look.
    """
    tail = (1 - confidence) / 2
    return _fewest(trials, share, tail), trials - _fewest(trials, 1 - share, tail)


def _fewest(trials: int, share: float, tail: float) -> int:
    """Return the smallest number below which at most `tail` of the probability lies."""

    def up_to(number: int) -> float:
        return cdf(number, trials, share)

    return bisect_right(range(trials), tail, key=up_to)


# --- Sequential tests -----------------------------------------------------------------------------

# Shares above the bound that are tested for, as multiples of the share that is allowed.
_MULTIPLES = (1.5, 2, 3, 5, 10, 50, 300)
_SHARE_CUTOFF = 0.95
_MAX_SHARE = 0.9
# So many failures of a minute always count in full, and beyond what an effect leads to on average
# so many standard deviations.
_UNCENSORED_FAILURES, _CENSORING_DEVIATIONS = 2.0, 2.5
# Shares below the bound that a proof of keeping it is made from, as fractions of the bound.
_PROOF_FRACTIONS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8)


class Effects(NamedTuple):
    """The shares above an allowed one that are tested for, at least one.

    increments: what one failed request adds to the log ratio of each share, and what a good one.
    """

    shares: tuple[float, ...]
    increments: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, allowed: float, shares: tuple[float, ...]) -> Self:
        """Return the effects of these `shares` where less is `allowed`."""
        rest = 1 - allowed
        increments = [(log(share / allowed), log((1 - share) / rest)) for share in shares]
        return cls(shares, tuple(increments))


@lru_cache(maxsize=64)
def effects(allowed: float) -> Effects:
    """Return the effects that are tested for where a share is `allowed`."""
    shares = [
        min(_MAX_SHARE, multiple * allowed)
        for multiple in _MULTIPLES
        if multiple * allowed < _SHARE_CUTOFF
    ]
    return Effects.of(allowed, tuple(shares) if shares else ((1 + allowed) / 2,))


def log_ratios(requests: float, failed: float, effects: Effects) -> tuple[float, ...]:
    """Return the log likelihood ratio of each share against the allowed one, for a minute's counts.

    Binomial: k ln(q/p0) + (n-k) ln((1-q)/(1-p0)). Its mean is at most 1 for every true share up to
    the allowed one, because q is above it.
    """
    successes = requests - failed
    if not failed:
        return tuple([successes * good for _, good in effects.increments])
    return tuple([failed * bad + successes * good for bad, good in effects.increments])


def censored_log_ratios(requests: float, failed: float, effects: Effects) -> tuple[float, ...]:
    """Return `log_ratios` with the failures of the minute capped, for each share by itself.

    More failures than a share leads to in a minute count as that many: the censored likelihood
    ratio of Huber (1965). One burst is no proof that a release is a little worse all the time,
    though it has as many failures. The ratio is never larger than without the cap, so its mean
    stays at most 1; a share that is the truth loses next to nothing.
    """
    if failed <= _UNCENSORED_FAILURES:
        return log_ratios(requests, failed, effects)
    successes = requests - failed
    return tuple(
        [
            min(failed, _censoring_limit(requests * share)) * bad + successes * good
            for share, (bad, good) in zip(*effects, strict=True)
        ]
    )


def _censoring_limit(mean: float) -> float:
    return max(_UNCENSORED_FAILURES, mean + _CENSORING_DEVIATIONS * sqrt(mean))


def log_e_value_below(requests: float, failed: float, allowed: float) -> float:
    """Return the log e-value that the share is below `allowed`, against that it is not.

    The mean over shares r*p0 of exp(k ln r + (n-k) ln((1-r p0)/(1-p0))); ln 20 proves it at 95%,
    whenever one looks. Two sums are all its state.
    """
    successes = requests - failed
    return log_sum_exp(
        (failed * log(part) if failed else 0.0)
        + successes * (log1p(-part * allowed) - log1p(-allowed))
        - log(len(_PROOF_FRACTIONS))
        for part in _PROOF_FRACTIONS
        if part or not failed
    )


def requests_to_prove(allowed: float, failed: int = 0, level: float = 0.05) -> float:
    """Return how many requests with `failed` failures prove the bound; inf when none do."""
    if not 0 < allowed < 1:
        return inf
    low, high = failed, max(1, failed) + 1
    while log_e_value_below(high, failed, allowed) < log(1 / level):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if log_e_value_below(middle, failed, allowed) < log(1 / level):
            low = middle
        else:
            high = middle
    return high


def log_sum_exp(logs: Iterable[float]) -> float:
    """Return the log of the sum of exp over `logs`; -inf for an empty one."""
    values = tuple(logs)
    top = max(values, default=-inf)
    return top if top in (-inf, inf) else top + log(sum(exp(value - top) for value in values))
