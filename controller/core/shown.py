"""What a number of requests can show about a failure rate, and what it cannot."""

from collections.abc import Callable
from math import ceil, expm1, lgamma, log, log1p

CONFIDENCE = 0.95

# Halving [0, 1] this often leaves less than a double can tell apart.
_HALVINGS = 60
# A term this small beside the sum of the larger ones does not change it.
_NEGLIGIBLE = 1e-17
# The quotient of two logarithms that is whole comes out a few parts in 1e16 above.
_ROUNDING = 1e-9


def failure_bound(failures: int, samples: int, confidence: float = CONFIDENCE) -> float:
    """Return the failure rate that `samples` requests with `failures` rule out more than.

    It is the exact one-sided upper bound of Clopper and Pearson (1934): the rate at which so few
    failures, or fewer, have probability 1 - confidence. Without samples nothing is ruled out: 1.0.
    confidence: from 0.5 to below 1.
    """
    if failures >= samples:
        return 1.0
    if failures == 0:
        return -expm1(log1p(-confidence) / samples)  # (1 - p)^n = 1 - confidence
    so_few = _log_at_most(failures, samples)
    # At the observed rate so few failures have probability 1/2, and more, so the bound is above.
    low, high = failures / samples, 1.0
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        if so_few(rate) > log1p(-confidence):
            low = rate
        else:
            high = rate
    return high


def rules_out(rate: float, failures: int, samples: int, confidence: float = CONFIDENCE) -> bool:
    """Tell whether `failure_bound` is at most `rate`, without looking for it."""
    if rate >= 1.0:
        return True
    if failures >= samples or rate <= failures / samples:
        return False
    return _log_at_most(failures, samples)(rate) <= log1p(-confidence)


def needed_without_failure(rate: float, confidence: float = CONFIDENCE) -> int:
    """Return how many requests without a failure show that at most `rate` of them fail.

    rate: above 0 and below 1; no number of requests shows that nothing ever fails.
    """
    return ceil(log1p(-confidence) / log1p(-rate) - _ROUNDING)


def _log_at_most(failures: int, samples: int) -> Callable[[float], float]:
    """Return the logarithm of P(X <= failures), X binomial, as a function of the failure rate.

    For rates above the observed one: from X = failures down the terms then only shrink, each by
    P(X = k - 1) / P(X = k) = k / (n - k + 1) x (1 - p) / p, so few of them are added up.
    """
    ways = lgamma(samples + 1) - lgamma(failures + 1) - lgamma(samples - failures + 1)

    def log_at_most(rate: float) -> float:
        odds = (1 - rate) / rate
        total = term = 1.0  # in units of P(X = failures)
        for k in range(failures, 0, -1):
            term *= k / (samples - k + 1) * odds
            total += term
            if term < total * _NEGLIGIBLE:
                break
        return ways + failures * log(rate) + (samples - failures) * log1p(-rate) + log(total)

    return log_at_most
