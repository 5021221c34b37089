"""The test of requests that hang: those that take several times as long as a baseline's percentile.

The test of slow requests counts how many are beyond its limit, not how far: one in twenty that
hangs looks to it like a latency that is a little higher. Far beyond the limit hardly any request of
a sound path is, so a few are proof enough.

They are compared with the day of a baseline, also beside a control: where that has few requests, it
takes an hour to prove a difference between both. Whether both paths hang is asked apart: not how
sure a difference is, but whether the control would have shown the trouble by now.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import Final

from controller.core.stats import binomial
from controller.core.stats.counts import Counts
from controller.core.units import Amount, Real
from controller.immutable import Immutable

# A request hangs that takes so many times as long as the baseline's percentile. Below p90 such
# requests are a usual part of a latency, and a small increase makes many more of them.
HANG_FACTOR, MIN_PERCENTILE = 3.0, 0.9
# So many requests may hang in any case: retries and cold starts are no regression.
MIN_ALLOWED_SHARE = 0.01
# Shares that are tested for, as multiples of the share that is allowed.
_MULTIPLES, _MAX_SHARE = (1.6, 3.0, 8.0), 0.95
# A canary hangs alone from these odds on, against both paths. The control hangs so much less then.
_ALONE, _CONTROL_PART = log(20), 0.1
# The most that is kept, so that it is gone soon after the trouble: of a canary's evidence, and of
# that both paths hang. From there, chance finds a canary alone once in ten billion minutes.
_MOST_EVIDENCE = 20.0


@lru_cache(maxsize=64)
def _effects(allowed: float) -> binomial.Effects:
    most = (_MAX_SHARE + allowed) / 2
    return binomial.Effects.of(allowed, tuple(min(one * allowed, most) for one in _MULTIPLES))


def log_ratios(requests: float, hung: float, allowed: float) -> tuple[float, ...]:
    """Return the log e-value of each effect, for one minute against the share that is `allowed`."""
    return binomial.log_ratios(requests, hung, _effects(allowed))


class HangsBeside(Immutable, gc=False):
    """Requests that hang on a canary and its control, since those of the canary began to.

    evidence: that more of the canary's hang than are allowed, a log ratio since it was last 0.
    log_odds: that the control hangs less in the same minutes, against as much as the canary.
    """

    evidence: Amount = 0.0
    log_odds: Real = 0.0

    def after(self, counts: Counts, ratios: Sequence[float]) -> "HangsBeside":
        """Return them after one more minute. ratios: of the canary, as of `log_ratios`."""
        evidence = min(_MOST_EVIDENCE, self.evidence + ratios[0])
        if evidence <= 0:
            return NO_HANGS
        canary, control = counts.samples, counts.control_samples
        # How much larger the canary's part of all requests that hang is when it hangs alone.
        larger = (canary + control) / (canary + _CONTROL_PART * control)
        odds = counts.hung * log(larger) + counts.control_hung * log(_CONTROL_PART * larger)
        return HangsBeside(evidence, max(-_MOST_EVIDENCE, self.log_odds + odds))

    @property
    def alone(self) -> bool:
        """True when the control would hang as well by now, if both paths did."""
        return self.log_odds >= _ALONE


NO_HANGS: Final = HangsBeside()
