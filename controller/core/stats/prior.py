"""The prior of a change point: when a regression begins, spread over the minutes of a rollout."""

from dataclasses import dataclass

from controller.core.stats.eprocess import Capital

# Half of the prior is for a regression that the first canary request meets, a share for one that
# begins with a higher step, the rest for any other minute. Together no more than 1, which keeps
# the capital fair.
_FIRST_MINUTE_SHARE = 0.5
_HIGHER_STEPS_SHARE = 0.3
_ANY_MINUTE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class ChangePointPrior:
    """The prior of one rollout, from its number of steps and the minutes that they bake in all."""

    steps: int
    minutes: int

    def share(self, capital: Capital, step: int) -> float:
        """Return the share for an onset in the next minute, which belongs to step number `step`.

        The share of a step is for its first minute with data. That of any minute falls with the
        square of the minutes so far, so that a rollout on hold for days still has some left.
        """
        planned, past = max(1, self.minutes), capital.minutes
        any_time = _ANY_MINUTE_SHARE * planned / ((planned + past) * (planned + past + 1))
        if step < capital.begun:
            return any_time
        if not capital.begun:
            return any_time + _FIRST_MINUTE_SHARE
        return any_time + _HIGHER_STEPS_SHARE / max(1, self.steps - 1)
