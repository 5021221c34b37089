"""A stored baseline on another day: what the stable path did meanwhile says what it would be today.

Both paths may be faster or slower than on the day of the baseline. While the stable path still has
traffic, its share of slow requests is compared with the one that the baseline had in the same hours
of the day. What was seen hours ago counts less, so a few requests of now outweigh many of the first
steps. At 100% the newest ratio stays, and is what the baseline is corrected by.
"""

from functools import lru_cache

from controller.core.judge.series import WindowCounts
from controller.core.stats import binomial
from controller.core.stats.combined_tests import ControlState

# Requests that weigh as much as the stable path's own, and say that today is like the baseline.
_PRIOR_REQUESTS = 300.0
# The largest correction of the odds of a slow request, both ways: a path whose metric has the
# canary's requests in it would excuse them without a limit.
_MAX_CORRECTION = 3.0
# Part of what was seen that is left after a minute with requests: half of it in three hours.
_DECAY = 0.5 ** (1 / 180)


def observe(control: ControlState, window: WindowCounts) -> ControlState:
    """Return what is known of the stable path after one more minute; no change without requests."""
    requests = window.counts.control_samples
    if not requests or not window.usual:
        return control
    return ControlState(
        requests=_DECAY * control.requests + requests,
        slow=_DECAY * control.slow + window.counts.control_amount,
        expected=_DECAY * control.expected + requests * window.usual,
    )


def share_today(share: float, control: ControlState) -> float:
    """Return the `share` of slow requests of a stored baseline, corrected for today."""
    if not control.requests:
        return share
    prior, total = share * _PRIOR_REQUESTS, control.requests + _PRIOR_REQUESTS
    seen = _odds((control.slow + prior) / total)
    correction = seen / _odds((control.expected + prior) / total)
    correction = min(_MAX_CORRECTION, max(1 / _MAX_CORRECTION, correction))
    return _share(_odds(share) * correction)


@lru_cache(maxsize=64)
def effects_today(share: float, today: float) -> binomial.Effects:
    """Return the effects that are tested for where `share` became `today`: always as many."""
    correction = _odds(today) / _odds(share)
    corrected = [odds * correction for odds in _odds_of_effects(share)]
    return binomial.Effects.of(today, tuple([odds / (1 + odds) for odds in corrected]))


@lru_cache(maxsize=64)
def _odds_of_effects(share: float) -> tuple[float, ...]:
    return tuple([_odds(effect) for effect in binomial.effects(share).shares])


def _odds(share: float) -> float:
    return share / (1 - share)


def _share(odds: float) -> float:
    return odds / (1 + odds)
