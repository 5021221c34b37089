"""What SC-004 is tested for: that it is plainly broken, and that the objective itself is missed.

Two tests, because one bad minute must not roll back a release that keeps its objective, and nobody
wants to wait for five minutes of data while a quarter of all requests fails.
"""

from dataclasses import replace

from controller.core.sequential import exceedance, rate
from controller.core.sequential.trial import Control

# The breaker's rule: no more than this share fails, or than ten times what is allowed.
_BROKEN = 0.1
_TIMES_ALLOWED = 10
# A control is bad when this many of its requests fail in a minute, and three times what is allowed.
_BAD_FROM = 3
# So long a shared outage excuses the canary; then it may be the canary that causes it. As many good
# minutes end an outage.
EXCUSED_MINUTES = 15


def broken_above(allowed: float) -> float:
    """Return the share of failures above which a criterion that allows `allowed` trips at once."""
    return min(0.5, max(_BROKEN, _TIMES_ALLOWED * allowed))


def beside(control: Control, requests: float, failed: float, allowed: float) -> Control:
    """Return what is known of the control after one more minute; one without requests is none."""
    if requests <= 0:
        return control
    if failed >= max(_BAD_FROM, 3 * allowed * requests):
        return Control(control.requests + requests, control.slow + failed, control.bad + 1)
    if control.good + 1 >= EXCUSED_MINUTES:
        return Control()
    return replace(control, good=control.good + 1) if control.bad else control


def log_ratios(
    seen: exceedance.Pair, allowed: float, before: Control, after: Control
) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute of the canary and its control.

    In a minute in which the control is bad too, for a quarter of an hour of an outage, the canary
    is compared with it and not with the bound. Which of both it is depends on the control alone,
    so the bet stays fair.
    """
    shares = rate.effects(allowed)
    if not before.bad < after.bad <= EXCUSED_MINUTES:
        return rate.log_ratios(seen.requests, seen.slow, allowed, shares)
    usual = before.slow / before.requests if before.requests else 3 * allowed
    odds = [share / allowed for share in shares]
    return exceedance.log_ratios(seen, usual, odds)
