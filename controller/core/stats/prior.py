"""When a change for the worse may begin: the prior that is spread over a rollout's minutes."""

from dataclasses import dataclass

from controller.core.stats.eprocess import Capital

# Half of it bets that the first canary request meets it, a share bets on each higher step, the rest
# on any other minute. Together no more than 1, which keeps the capital fair.
_AT_ONCE = 0.5
_AT_STEPS = 0.3
_ANY_TIME = 0.2


@dataclass(frozen=True, slots=True)
class Onsets:
    """The prior of one rollout: how many steps it has, and how many minutes they bake in all."""

    steps: int
    minutes: int

    def share(self, capital: Capital, step: int) -> float:
        """Return the share that bets on an onset in the next minute, one of step number `step`.

        The share of a step is kept for its first minute with data. That of any minute falls with
        the square of the minutes so far, so that a rollout which holds for days still has some.
        """
        planned, seen = max(1, self.minutes), capital.minutes
        any_time = _ANY_TIME * planned / ((planned + seen) * (planned + seen + 1))
        if step < capital.begun:
            return any_time
        if not capital.begun:
            return any_time + _AT_ONCE
        return any_time + _AT_STEPS / max(1, self.steps - 1)
