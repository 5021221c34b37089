"""What SC-004 is tested for: that it is plainly broken, and that the objective itself is missed.

Two tests, because one bad minute must not roll back a release that keeps its objective, and nobody
wants to wait for five minutes of data while a quarter of all requests fails.
"""

from dataclasses import replace
from functools import lru_cache

from controller.core.stats import binomial, two_sample
from controller.core.stats.mixture import Control

# The breaker's rule: no more than this share fails, or than ten times what is allowed. While the
# control is bad too, what both have in common is no news up to twice as much.
_BROKEN = 0.05
_TIMES_ALLOWED = 10
# A control is bad when this many of its requests fail in a minute, and three times what is allowed.
_BAD_FROM = 2
# So long a shared outage excuses the canary; then it may be the canary that causes it. As many good
# minutes end an outage.
EXCUSED_MINUTES = 15


def broken_above(allowed: float) -> float:
    """Return the share of failures above which a criterion that allows `allowed` trips at once."""
    return min(0.5, max(_BROKEN, _TIMES_ALLOWED * allowed))


def excused(before: Control, after: Control) -> bool:
    """Tell whether a minute is one of a shared outage, in its first quarter of an hour."""
    return before.bad < after.bad <= EXCUSED_MINUTES


def beside(control: Control, requests: float, failed: float, allowed: float) -> Control:
    """Return what is known of the control after one more minute; one without requests is none."""
    if requests <= 0:
        return control
    if failed >= max(_BAD_FROM, 3 * allowed * requests):
        return Control(control.requests + requests, control.slow + failed, control.bad + 1)
    if control.good + 1 >= EXCUSED_MINUTES:
        return Control()
    return replace(control, good=control.good + 1) if control.bad else control


def breaker_log_ratios(
    seen: two_sample.Pair, allowed: float, before: Control, after: Control
) -> tuple[float, ...]:
    """Return the log e-value of each effect for the breaker's rule, for one minute.

    In a minute of a shared outage it trips at twice as much, and never asks how bad the control is.
    An effect that would be no breach then bets nothing.
    """
    broken, most, shares = _breaker(allowed)
    if not excused(before, after):
        return binomial.log_ratios(seen.requests, seen.slow, broken, shares)
    ratios = binomial.log_ratios(seen.requests, seen.slow, most, shares)
    return tuple([one if q > most else 0.0 for q, one in zip(shares, ratios, strict=True)])


@lru_cache(maxsize=64)
def _breaker(allowed: float) -> tuple[float, float, tuple[float, ...]]:
    """Return the breaker's rule, that of a shared outage, and the shares of failures bet on."""
    broken = broken_above(allowed)
    most = min(0.9, 2 * broken)
    return broken, most, (*binomial.effects(broken), (1 + most) / 2)


def log_ratios(
    seen: two_sample.Pair, allowed: float, before: Control, after: Control
) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute of the canary and its control.

    What one minute says is censored, so that bursts of failures add up to less than their number.
    In a minute in which the control is bad too, for a quarter of an hour of an outage, the canary
    is compared with it and not with the bound. Which of both it is depends on the control alone,
    so the bet stays fair.
    """
    shares = binomial.effects(allowed)
    if not excused(before, after):
        return binomial.censored_log_ratios(seen.requests, seen.slow, allowed, shares)
    usual = before.slow / before.requests if before.requests else 3 * allowed
    odds = [share / allowed for share in shares]
    return two_sample.log_ratios(seen, usual, odds)
