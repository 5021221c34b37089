"""Poisson counts: a test of an absolute count against a bound, and how unlikely a count is.

`log_ratios` has the log e-values of one minute of the test: rejected requests, whatever the traffic
is.
"""

from functools import lru_cache
from math import exp, inf, lgamma, log

# Effects that are tested for, as multiples of the mean that is allowed.
RATE_RATIOS = (1.5, 2, 3, 5, 10, 30)
# What a term of a sum adds no more than, once the sum is known.
_TINY = 1e-12


def log_ratios(
    count: float, mean_allowed: float, multiples: tuple[float, ...] = RATE_RATIOS
) -> tuple[float, ...]:
    """Return the log e-value of each of `multiples`, for the count of one minute.

    H0: the minute's mean is at most `mean_allowed`; 10 in 5 minutes are a mean of 2 a minute.
    Poisson: k ln r - lambda0 (r-1), the likelihood ratio of r lambda0 (Dvoretzky, Kiefer and
    Wolfowitz 1953). Its mean is exp((lambda - lambda0) (r-1)), at most 1 for every lambda up to
    lambda0, because r is above 1; a binomial count of the same mean stays below that.
    """
    return tuple([count * more - mean_allowed * excess for more, excess in _terms(multiples)])


def is_above(count: int, mean: float, confidence: float = 0.95) -> bool:
    """Tell whether a `count` so high, or higher, has a probability of at most 1 - confidence.

    The exact one-sided test of the mean that is allowed, for one look.
    """
    if count <= mean:
        return False
    above, term = 0.0, exp(count * log(mean) - mean - lgamma(count + 1)) if mean else 0.0
    while term > _TINY:  # beyond the mean each term is smaller than the one before
        above, count = above + term, count + 1
        term *= mean / count
    return above <= 1 - confidence


def tail_bound(count: float, mean: float) -> float:
    """Return how likely a count is, at most, that is as far from `mean` as `count`, on its side.

    P(N <= count) below the mean and P(N >= count) above it, by Chernoff's bound (1952); exact for
    no count at all. An infinite mean makes any count impossible.
    """
    if count == 0 or mean == inf:
        return exp(-mean)
    return exp(count - mean - count * log(count / mean)) if mean else 0.0


@lru_cache(maxsize=8)
def _terms(multiples: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Return the log of each multiple, and how much it is above one."""
    return tuple((log(multiple), multiple - 1) for multiple in multiples)
