"""A rehearsal: a whole policy through the real runner, adapters and store, in virtual time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from controller.core.history import Entry
from controller.core.policy import Policy
from controller.core.rollout import Phase, Rollout
from controller.runner import Runner
from controller.start import Request, start
from controller.walk import walk

# A pause is looked at a little longer: does anything move the weight behind a person's back?
AFTER_PAUSE = timedelta(hours=1)
# The ladder, its holds, and this much more is all the time that a rehearsal gives.
SPARE = timedelta(days=1)


class World(Protocol):
    """What a rehearsal looks at besides the rollout itself."""

    @property
    def calls(self) -> Counter[tuple[str, str]]: ...

    def weight_now(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rehearsal ended.

    weights: every weight that was in force on purpose, in order; final_weight: what the target
    shows at the end. ticks: how often the rollout was visited. calls: AWS calls by service and
    operation.
    """

    rollout: Rollout
    weights: tuple[int, ...]
    final_weight: int
    ticks: int
    started: datetime
    ended: datetime
    entries: Sequence[Entry]
    calls: Mapping[str, int]

    @property
    def status(self) -> str:
        """`succeeded`, `rolled_back` or `paused`; another phase when time ran out."""
        return str(self.rollout.phase)


def rehearse(
    runner: Runner,
    world: World,
    policy: Policy,
    *,
    every: timedelta,
    on_tick: Callable[[Rollout], None],
) -> Outcome:
    """Play `policy` from its start until it ends, and a while longer when it pauses or goes back.

    What a rollback left behind is known when its drain is, or when its watch is over.

    Raises what `start` raises when the world does not let the rollout start.
    """
    begin = runner.clock.now()
    rollout = start(runner, Request(policy)).rollout
    limit = begin + _longest(policy) + SPARE
    ticks = 0

    def done(now_at: Rollout) -> bool:
        now = runner.clock.now()
        match now_at.phase:
            case Phase.ROLLED_BACK:
                watched = now_at.watch_until is not None and now < now_at.watch_until
                return now_at.drain is not None or not watched
            case Phase.PAUSED:
                return now - now_at.since >= AFTER_PAUSE
            case _:
                return now_at.final

    for visit in walk(runner, rollout, every=every, until=limit, done=done):
        ticks += 1
        rollout = visit.rollout
        on_tick(rollout)
    entries = runner.store.history(rollout.id)
    return Outcome(
        rollout=rollout,
        weights=tuple(e.body["weight_to"] for e in entries if e.kind == "settled"),
        final_weight=world.weight_now(),
        ticks=ticks,
        started=begin,
        ended=runner.clock.now(),
        entries=entries,
        calls={f"{service}:{operation}": n for (service, operation), n in world.calls.items()},
    )


def _longest(policy: Policy) -> timedelta:
    parts = (
        step.bake + policy.warmup_of(index) + policy.max_hold_of(index) + policy.shift_timeout
        for index, step in enumerate(policy.steps)
    )
    return sum(parts, timedelta())
