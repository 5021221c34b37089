"""The prior of a change point: when a regression begins, spread over the minutes of a rollout."""

from functools import lru_cache

from controller.core.stats.eprocess import EProcessState
from controller.immutable import Immutable

# A share of the prior is for a regression that the first canary request meets, one for a regression
# that begins with a higher step, the rest for any other minute. Together no more than 1, which
# keeps the capital fair.
_FIRST_MINUTE_SHARE = 0.4
_HIGHER_STEPS_SHARE = 0.2
_ANY_MINUTE_SHARE = 0.4
# Half of what is for any minute is for these first ones.
_ANY_MINUTE_MEDIAN = 240
# No minute has more than the first one of a rollout.
LARGEST_SHARE = _FIRST_MINUTE_SHARE + _ANY_MINUTE_SHARE / (_ANY_MINUTE_MEDIAN + 1)


class ChangePointPrior(Immutable):
    """The prior of one rollout, from its number of steps."""

    steps: int

    def share(self, capital: EProcessState, step: int, minutes: int = 1) -> float:
        """Return the share for an onset in the next minutes, which belong to step number `step`.

        minutes: how many a datapoint of the test is of.

        The share of a step is for its first minute with data. That of any minute falls with the
        square of the minutes so far, so that a rollout on hold for days still has some left.
        """
        any_time = _any_time_share(capital.minutes, minutes)
        if step < capital.begun:
            return any_time
        if not capital.begun:
            return any_time + _FIRST_MINUTE_SHARE
        return any_time + _HIGHER_STEPS_SHARE / max(1, self.steps - 1)


@lru_cache(maxsize=16_384)  # some days: a replay of years goes on from minute to minute
def _any_time_share(before: int, minutes: int) -> float:
    """Return the share of datapoint number `before`; each is of so many minutes."""
    elapsed = _ANY_MINUTE_MEDIAN + before * minutes
    return _ANY_MINUTE_SHARE * _ANY_MINUTE_MEDIAN * minutes / (elapsed * (elapsed + minutes))
