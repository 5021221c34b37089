"""Following a rollout that somebody moves on, and showing it: as lines, or live on a terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TypeAlias, TypeVar

import click
from click.core import ParameterSource

from controller import events
from controller.cli import options
from controller.core.rollout import Phase, Reason, Rollout
from controller.errors import Exit, MovedError, StoreError, UsageError
from controller.ports import Clock

Found = TypeVar("Found")
Show: TypeAlias = Callable[[Rollout], None]

# So many looks in a row may a store leave unanswered before nobody waits for it any more.
MISSES = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """How often somebody looks, and until when."""

    clock: Clock
    every: timedelta
    until: datetime


def follow(
    look: Callable[[], Rollout],
    pace: Pace,
    over: Callable[[Rollout, datetime], bool],
    show: Show,
) -> Rollout:
    """Show what `look` returns until that is `over` or time is up, and return the last of it.

    Raises StoreError as `looks` does, and MovedError: what became of it only another store knows.
    """
    last: Rollout | None = None
    for last in looks(look, pace):
        show(last)
        if last.moved_to:
            raise MovedError(f"{last.id} lives in {last.moved_to} now; name that with --store")
        if over(last, pace.clock.now()):
            return last
    if last is None:
        raise StoreError("the store did not answer until time was up")
    _tell(f"time is up; {last.id} is {last.phase}")
    return last


def looks(look: Callable[[], Found], pace: Pace) -> Iterator[Found]:
    """Yield what `look` returns: now, every so often, and for the last time when time is up.

    A store that does not answer is asked again, which is said on stderr. Raises StoreError when it
    left MISSES looks in a row unanswered, or answered that asking again is of no use.
    """
    missed = 0
    while True:
        try:
            found = look()
        except StoreError as error:
            missed += 1
            if error.exit_status is Exit.USAGE or missed == MISSES:
                raise
            _tell(f"no answer ({missed} of {MISSES} in a row): {error}")
        else:
            missed = 0
            yield found
        left = pace.until - pace.clock.now()
        if left <= timedelta():
            return
        pace.clock.sleep(min(pace.every, left))


def _tell(text: str) -> None:
    """Say `text` on stderr; above a live view, which click.echo would write through."""
    sys.stderr.write(f"rolloutctl: {text}\n")
    sys.stderr.flush()


def resting(rollout: Rollout, _now: datetime) -> bool:
    """Tell whether ticks alone take `rollout` no further."""
    return rollout.final or rollout.phase is Phase.PAUSED


def quiet(rollout: Rollout, now: datetime) -> bool:
    """Tell whether `rollout` has ended, and it is known what a rollback has left behind."""
    watched = rollout.watch_until is not None and now < rollout.watch_until
    draining = rollout.phase is Phase.ROLLED_BACK and rollout.drain is None and watched
    return rollout.final and not draining


# --- exit statuses ------------------------------------------------------------------------------

_WORST_FIRST = (
    Exit.UNCONFIRMED, Exit.DRIFT, Exit.ROLLED_BACK, Exit.UNDECIDED, Exit.USAGE, Exit.DONE,
)  # fmt: skip


def worst(rollouts: Iterable[Rollout]) -> Exit:
    """Return the exit status that says where `rollouts` stand: the most urgent of theirs."""
    return min(map(_standing, rollouts), key=_WORST_FIRST.index, default=Exit.DONE)


def _standing(rollout: Rollout) -> Exit:
    if rollout.moved_to and not rollout.final:
        return Exit.USAGE  # only the other store knows
    match rollout.phase:
        case Phase.SUCCEEDED:
            return Exit.DONE
        case Phase.ROLLED_BACK:
            return Exit.ROLLED_BACK
        case Phase.ROLLING_BACK if rollout.unconfirmed:
            return Exit.UNCONFIRMED
        case Phase.PAUSED if rollout.reason is Reason.DRIFTED:
            return Exit.DRIFT
        case Phase.PROGRESSING | Phase.PAUSED | Phase.ROLLING_BACK:
            return Exit.UNDECIDED


# --- options ------------------------------------------------------------------------------------


def paced(command: options.Command) -> options.Command:
    """Add --for and --every: how long somebody follows a rollout, and how often they look."""
    limit = click.option(
        "--for", "limit", type=options.Duration(), default="48h", show_default=True,
        help="Follow it no longer than this.",
    )  # fmt: skip
    every = click.option(
        "--every", type=options.Duration(), default="10s", show_default=True,
        help="Time between looks into the store.",
    )  # fmt: skip
    return limit(every(command))


def refuse_pace(needed: str) -> None:
    """Raise UsageError when --for or --every was given without what they are `needed` with."""
    context = click.get_current_context()
    for name, option in (("limit", "--for"), ("every", "--every")):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option} says how a rollout is followed: give it with {needed}")


# --- showing ------------------------------------------------------------------------------------


@contextmanager
def display(clock: Clock, *, live: bool, off: bool = False) -> Iterator[Show]:
    """Yield what shows a rollout: `live` where the terminal can, else in a line when that changes.

    off: not at all.
    """
    if off:
        yield lambda _: None
    elif live and _can_be_live():
        from controller.render.live import Screen

        person = sys.stderr.isatty()  # a log file keeps all its lines, and nothing is drawn into it
        with (
            Screen(clock.now, takes_stderr=person) as screen,
            events.warnings_only(sys.stderr) if person else nullcontext(),
        ):
            yield screen.show
    else:
        yield _Lines()


def _can_be_live() -> bool:
    """Tell whether stdout is a terminal that can move its cursor, and rich is installed."""
    dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    return sys.stdout.isatty() and not dumb and find_spec("rich") is not None


class _Lines:
    """Prints where a rollout stands, whenever that reads differently from the last time."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, rollout: Rollout) -> None:
        from controller.render.status import rollout_line

        line = rollout_line(rollout)
        if line != self._last:
            click.echo(line)
        self._last = line
