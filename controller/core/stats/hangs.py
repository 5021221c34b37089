"""The test of requests that hang: those that take several times as long as a baseline's percentile.

The test of slow requests counts how many are beyond its limit, not how far: one in twenty that
hangs looks to it like a latency that is a little higher. Far beyond the limit hardly any request of
a sound path is, so a few are proof enough.
"""

from functools import lru_cache

from controller.core.stats import binomial, two_sample

# A request hangs that takes so many times as long as the baseline's percentile. Below p90 such
# requests are a usual part of a latency, and a small increase makes many more of them.
HANG_FACTOR, MIN_PERCENTILE = 3.0, 0.9
# So many requests may hang in any case: retries and cold starts are no regression.
MIN_ALLOWED_SHARE = 0.01
# A control hangs too from so many of its requests on, if they are half of what is allowed.
_MIN_CONTROL_HANGS, _CONTROL_PART = 2.0, 0.5
# Shares that are tested for, as multiples of the share that is allowed.
_MULTIPLES, _MAX_SHARE = (1.6, 3.0, 8.0), 0.95


@lru_cache(maxsize=64)
def _effects(allowed: float) -> tuple[float, ...]:
    return tuple(min(multiple * allowed, (_MAX_SHARE + allowed) / 2) for multiple in _MULTIPLES)


def log_ratios(requests: float, hung: float, allowed: float) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute against the share that is `allowed`."""
    return binomial.log_ratios(requests, hung, allowed, _effects(allowed))


def control_hangs(hung: float, requests: float) -> bool:
    """Tell whether a control hangs too, of whose `requests` so many hung."""
    return hung >= max(_MIN_CONTROL_HANGS, _CONTROL_PART * MIN_ALLOWED_SHARE * requests)


def paired_log_ratios(
    counts: two_sample.PairedCounts, allowed: float, control_share: float
) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute of the canary and its control.

    H0: the canary's share is at most `allowed`, or at most the control's. The smaller of two
    e-values, one for each of the two, is an e-value for both. control_share: of the control, from
    minutes before this one.
    """
    shares = _effects(allowed)
    odds = [share / (1 - share) * (1 - control_share) / control_share for share in shares]
    against_bound = binomial.log_ratios(counts.requests, counts.slow, allowed, shares)
    against_control = two_sample.log_ratios(counts, control_share, odds)
    return tuple(
        [
            min(bound, control) if one > 1 else min(bound, 0.0)
            for one, bound, control in zip(odds, against_bound, against_control, strict=True)
        ]
    )
