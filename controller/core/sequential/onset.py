"""When a change for the worse may begin: the prior that is spread over a rollout's minutes."""

from dataclasses import dataclass

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

    def at(self, *, first_minute: bool, step: int) -> float:
        """Return the share that bets on one minute; `first_minute`: of the step with that index.

        Spent by a rollout that takes as long as planned; one that holds longer has no share left
        for its last minutes.
        """
        any_time = _ANY_TIME / max(1, self.minutes)
        if not first_minute:
            return any_time
        return any_time + (_AT_ONCE if step == 0 else _AT_STEPS / max(1, self.steps - 1))
