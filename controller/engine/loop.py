"""Ticks in a row: `run` against the clock on the wall, a rehearsal against its own."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from controller.core.rollout import Phase, Rollout
from controller.engine.execute import Visit
from controller.engine.tick import Runner
from controller.errors import Exit, RolloutError
from controller.process import signals

# Phases in which only a person, or nothing at all, moves a rollout on.
IDLE_PHASES = frozenset({Phase.PAUSED, Phase.ROLLED_BACK, Phase.SUCCEEDED})


def run_ticks(
    runner: Runner,
    rollout: Rollout,
    *,
    every: timedelta,
    until: datetime,
    done: Callable[[Rollout], bool],
) -> Iterator[Visit]:
    """Tick `rollout` every so often and yield each visit, until it is `done`, or last at `until`.

    A tick that takes longer than `every` is followed at once by the next. A store that does not
    answer is a problem of the visit; StoreError is raised only where the next tick fares no better.
    """
    due = runner.clock.now() + every
    while not done(rollout) and runner.clock.now() < until:
        wait = min(due, until) - runner.clock.now()
        if wait > timedelta():
            signals.wait(runner.clock, wait)
        signals.safe_point()
        visit = _tick_once(runner, rollout)
        yield visit
        if visit.saved:  # else the next tick stands where this one stood
            rollout = visit.rollout
        due = max(due + every, runner.clock.now())


def _tick_once(runner: Runner, rollout: Rollout) -> Visit:
    try:
        return runner.visit(rollout.id)
    except RolloutError as error:  # logged by the runner
        if error.exit_status is Exit.USAGE:
            raise
        return Visit(rollout, problem=str(error), saved=False)


def is_idle(rollout: Rollout) -> bool:
    """Tell whether ticks alone take `rollout` no further."""
    return rollout.phase in IDLE_PHASES
