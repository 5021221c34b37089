"""What a number of requests leaves open about a success rate, as half a sentence."""

from math import ceil, floor, log10

from controller.core.shown import CONFIDENCE, failure_bound, needed_without_failure, rules_out
from controller.core.units import format_percent, number_text

# More digits than a policy can write, so that no bound is rounded to nothing.
_DIGITS = 9


def unshown(asked: float, failures: float, requests: float) -> str:
    """Return how many may fail for all that was seen; nothing where that is what was asked.

    asked: the share of requests that must not fail.
    """
    allowed = 1 - asked
    if rules_out(allowed, ceil(failures), int(requests)):
        return ""
    bound = failure_bound(ceil(failures), int(requests))
    takes = ""
    if allowed <= 0:
        takes = " (no number of requests shows that)"
    elif requests < (needed := needed_without_failure(allowed)):
        takes = f" (that takes {number_text(needed)} without one)"
    return (
        f": at most {_rounded_up(bound)} fail at {CONFIDENCE * 100:g} % confidence, so "
        f"{format_percent(asked)} itself is not shown{takes}"
    )


def _rounded_up(bound: float) -> str:
    """Return a bound above 0 as a percent of three figures, rounded up so that it holds."""
    scale = 10 ** (2 - floor(log10(bound)))
    return format_percent(ceil(bound * scale) / scale, _DIGITS)
