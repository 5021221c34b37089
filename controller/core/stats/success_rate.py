"""The two tests of a success rate: a circuit breaker for outages, and one for its objective.

Two, because one bad minute must not roll back a release that keeps its objective, and because an
outage in which a quarter of all requests fails must not take five minutes of data to be found.
"""

from dataclasses import replace
from functools import lru_cache

from controller.core.stats import binomial, two_sample
from controller.core.stats.combined_tests import ControlState

# The breaker's rule: no more than this share fails, or than ten times what is allowed. In an outage
# that the control shares, the canary may fail twice as much.
_BREAKER_SHARE = 0.05
_BREAKER_MULTIPLE = 10
# A control is bad when this many of its requests fail in a minute, and three times what is allowed.
_MIN_OUTAGE_FAILURES = 2
# A shared outage excuses the canary for so long; then the canary may be its cause. As many good
# minutes end an outage.
SHARED_OUTAGE_MINUTES = 15


def breaker_threshold(allowed: float) -> float:
    """Return the share of failures above which a criterion that allows `allowed` trips at once."""
    return min(0.5, max(_BREAKER_SHARE, _BREAKER_MULTIPLE * allowed))


def in_shared_outage(before: ControlState, after: ControlState) -> bool:
    """Tell whether a minute is in the first quarter of an hour of an outage of the control.

    before, after: what is known of the control before and after that minute.
    """
    return before.outage_minutes < after.outage_minutes <= SHARED_OUTAGE_MINUTES


def update_control(
    control: ControlState, requests: float, failed: float, allowed: float
) -> ControlState:
    """Return what is known of the control after one more minute; without requests, no change."""
    if requests <= 0:
        return control
    if failed >= max(_MIN_OUTAGE_FAILURES, 3 * allowed * requests):
        return ControlState(
            control.requests + requests, control.slow + failed, control.outage_minutes + 1
        )
    if control.good_minutes + 1 >= SHARED_OUTAGE_MINUTES:
        return ControlState()
    return (
        replace(control, good_minutes=control.good_minutes + 1)
        if control.outage_minutes
        else control
    )


def breaker_log_ratios(
    counts: two_sample.PairedCounts, allowed: float, before: ControlState, after: ControlState
) -> tuple[float, ...]:
    """Return the log e-value of each effect for the breaker's rule, for one minute.

    In a minute of a shared outage the breaker trips at twice as much, however bad the control is.
    An effect that would be no breach then says nothing.
    """
    broken, limit, shares = _breaker(allowed)
    if not in_shared_outage(before, after):
        return binomial.log_ratios(counts.requests, counts.slow, broken, shares)
    ratios = binomial.log_ratios(counts.requests, counts.slow, limit, shares)
    return tuple([one if q > limit else 0.0 for q, one in zip(shares, ratios, strict=True)])


@lru_cache(maxsize=64)
def _breaker(allowed: float) -> tuple[float, float, tuple[float, ...]]:
    """Return the breaker's rule, that of a shared outage, and the failure shares tested for."""
    broken = breaker_threshold(allowed)
    limit = min(0.9, 2 * broken)
    return broken, limit, (*binomial.effects(broken), (1 + limit) / 2)


def log_ratios(
    counts: two_sample.PairedCounts, allowed: float, before: ControlState, after: ControlState
) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute of the canary and its control.

    The failures of one minute are censored, so that bursts add up to less than their number. In a
    minute of a shared outage the canary is compared with the control, not with the bound. Which of
    both it is depends on the control alone, so the e-value stays fair.
    """
    shares = binomial.effects(allowed)
    if not in_shared_outage(before, after):
        return binomial.censored_log_ratios(counts.requests, counts.slow, allowed, shares)
    usual = before.slow / before.requests if before.requests else 3 * allowed
    odds = [share / allowed for share in shares]
    return two_sample.log_ratios(counts, usual, odds)
