"""The minutes in which the live weight was in force, as far as that is known."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.core.judge.drain import DRAIN
from controller.core.judge.figures import stretch
from controller.core.judge.queries import JUDGED
from controller.core.observation import Reading
from controller.core.policy import Policy
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import MINUTE_S, floor_to, next_minute


@dataclass(frozen=True, slots=True)
class Stretch:
    """Settled minutes from `begin` to `end`, in unix seconds, with `weight` in force.

    known: a rollout says so; otherwise somebody may have changed it meanwhile.
    """

    weight: int
    begin: int
    end: int
    known: bool

    @property
    def empty(self) -> bool:
        """True while no such minute is over."""
        return self.begin >= self.end

    @property
    def shown(self) -> str:
        """Since when and until when, for a sentence."""
        return f"from {stretch(self.begin, self.end)}"


def stretch_of(
    policy: Policy, rollout: Rollout | None, reading: Reading, minutes: int, now: datetime
) -> Stretch:
    """Return the newest `minutes` that are settled, without those before the live weight."""
    end = floor_to(now - policy.settle, MINUTE_S)
    begin = end - minutes * MINUTE_S
    since = None if rollout is None else _since(rollout, reading)
    weight = 0 if reading.weight is None else reading.weight
    return Stretch(weight, max(begin, since or begin), end, known=since is not None)


def _since(rollout: Rollout, reading: Reading) -> int | None:
    """Return from when on requests are held against the live weight; None: nobody knows."""
    warmup: timedelta = rollout.policy.warmup_of(rollout.step)
    moved = rollout.phase is Phase.PAUSED and rollout.reason is Reason.DRIFTED
    if rollout.waits is not None and rollout.phase in JUDGED and not moved:
        return rollout.waits.judged_from if reading.weight == rollout.intent.previous else None
    match rollout.phase:
        case Phase.ROLLED_BACK if reading.weight == 0:
            return next_minute(rollout.since + max(warmup, DRAIN))
        case Phase.PROGRESSING | Phase.PAUSED | Phase.SUCCEEDED if reading.weight == rollout.weight:
            return None if rollout.waits else rollout.judged_from
        case Phase.PAUSED if reading.weight == rollout.seen_weight:
            return next_minute(rollout.since + warmup)
        case _:
            return None
