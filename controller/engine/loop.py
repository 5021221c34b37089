"""Ticks one rollout at an interval: `run` on the system clock, a rehearsal on a virtual one."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from controller.core.rollout import Phase, Rollout
from controller.engine.execute import TickOutcome
from controller.engine.tick import Runner
from controller.errors import Exit, RolloutError
from controller.process import signals

# Phases that ticks alone do not change: they wait for an operator, or are final.
IDLE_PHASES = frozenset({Phase.PAUSED, Phase.ROLLED_BACK, Phase.SUCCEEDED})


def run_ticks(
    runner: Runner,
    rollout: Rollout,
    *,
    every: timedelta,
    until: datetime,
    done: Callable[[Rollout], bool],
    skip: Callable[[TickOutcome, datetime], int] | None = None,
) -> Iterator[TickOutcome]:
    """Tick `rollout` at the interval `every` and yield each visit, until it is `done`.

    The last tick is at `until` at the latest. A tick that takes longer than `every` is followed at
    once by the next. skip: returns how many intervals to wait after a visit; 1 when left out. A
    store that does not answer is the problem of the visit; StoreError is raised only for an error
    that the next tick would meet again.
    """
    due = runner.clock.now() + every
    while not done(rollout) and runner.clock.now() < until:
        wait = min(due, until) - runner.clock.now()
        if wait > timedelta():
            signals.wait(runner.clock, wait)
        signals.safe_point()
        try:
            visit = runner.visit(rollout.id)
        except RolloutError as error:  # logged by the runner
            if error.exit_status is Exit.USAGE:
                raise
            visit = TickOutcome(rollout, problem=str(error), saved=False)
        yield visit
        if visit.saved:  # else the next tick starts from the same state
            rollout = visit.rollout
        now = runner.clock.now()
        due = max(due + (skip(visit, now) if skip else 1) * every, now)


def is_idle(rollout: Rollout) -> bool:
    """Tell whether ticks alone do not advance `rollout`."""
    return rollout.phase in IDLE_PHASES
