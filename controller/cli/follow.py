"""Following a rollout that somebody moves on, and showing it: as lines, or live on a terminal."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from controller.cli import options, streams
from controller.core.rollout import Phase, Rollout
from controller.errors import Exit, MetricsError, StoreError, UsageError
from controller.ports.clock import Clock
from controller.process import logging
from controller.text import printable

PollResult = TypeVar("PollResult")
View = TypeVar("View")
Show: TypeAlias = Callable[[Rollout], None]

# So many looks in a row may be left unanswered before nobody waits for an answer any more.
MAX_MISSES = 5


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """How often somebody looks, and until when."""

    clock: Clock
    every: timedelta
    until: datetime


def follow(
    fetch: Callable[[], Rollout],
    schedule: PollSchedule,
    done: Callable[[Rollout, datetime], bool],
    show: Show,
) -> Rollout:
    """Show what `fetch` returns until that is `done` or time is up, and return the last of it.

    Raises StoreError as `looks` does.
    """
    last: Rollout | None = None
    for last in poll(fetch, schedule):
        show(last)
        if done(last, schedule.clock.now()):
            return last
    if last is None:
        raise StoreError("the store did not answer until time was up")
    _warn(f"time is up; {last.id} is {last.phase}")
    return last


def poll(fetch: Callable[[], PollResult], schedule: PollSchedule) -> Iterator[PollResult]:
    """Yield what `fetch` returns: now, every so often, and for the last time when time is up.

    What does not answer is asked again, which is said on stderr. Raises StoreError or MetricsError
    when MISSES looks in a row were left unanswered, or asking again is of no use.
    """
    missed = 0
    while True:
        try:
            found = fetch()
        except (StoreError, MetricsError) as error:
            missed += 1
            if error.exit_status is Exit.USAGE or missed == MAX_MISSES:
                raise
            _warn(f"no answer ({missed} of {MAX_MISSES} in a row): {error}")
        else:
            missed = 0
            yield found
        left = schedule.until - schedule.clock.now()
        if left <= timedelta():
            return
        schedule.clock.sleep(min(schedule.every, left))


def _warn(text: str) -> None:
    """Say `text` on stderr; above a live view, which click.echo would write through."""
    sys.stderr.write(f"rolloutctl: {printable(text)}\n")
    sys.stderr.flush()


def is_at_rest(rollout: Rollout, _now: datetime) -> bool:
    """Tell whether ticks alone take `rollout` no further."""
    return rollout.final or rollout.phase is Phase.PAUSED


def is_complete(rollout: Rollout, now: datetime) -> bool:
    """Tell whether `rollout` has ended, and it is known what a rollback has left behind."""
    watched = rollout.watch_until is not None and now < rollout.watch_until
    draining = rollout.phase is Phase.ROLLED_BACK and rollout.drain is None and watched
    return rollout.final and not draining


# --- options ------------------------------------------------------------------------------------


def poll_options(command: options.Command) -> options.Command:
    """Add --for and --every: how long somebody follows a rollout, and how often they look."""
    return make_poll_options(
        "10s", "Follow it no longer than this.", "Time between looks into the store."
    )(command)


def make_poll_options(
    every: str, limit_help: str, every_help: str
) -> Callable[[options.Command], options.Command]:
    """Return what adds --for and --every, with so much time between looks where none is given."""

    def add(command: options.Command) -> options.Command:
        limit = click.option(
            "--for", "limit", type=options.Duration(), default="48h", show_default=True,
            help=limit_help,
        )  # fmt: skip
        pace = click.option(
            "--every", type=options.Duration(), default=every, show_default=True, help=every_help
        )
        return limit(pace(command))

    return add


def reject_poll_options(option_names: str) -> None:
    """Raise UsageError when --for or --every was given without what they are `option_names` with."""
    context = click.get_current_context()
    for name, option in (("limit", "--for"), ("every", "--every")):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{option} says how something is followed: give it with {option_names}"
            )


# --- showing ------------------------------------------------------------------------------------


@contextmanager
def rollout_display(clock: Clock, *, live: bool, off: bool = False) -> Iterator[Show]:
    """Yield what shows a rollout: `live` where the terminal can, else in a line when that changes.

    off: not at all.
    """

    def draw() -> Callable[[Rollout], Any]:
        from controller.render.terminal.status import live_view

        return lambda rollout: live_view(rollout, clock.now())

    if off:
        yield lambda _: None
    else:
        with live_display(draw, _LinePrinter(), live=live) as show:
            yield show


@contextmanager
def live_display(
    draw: Callable[[], Callable[[View], Any]], lines: Callable[[View], None], *, live: bool
) -> Iterator[Callable[[View], None]]:
    """Yield what shows something anew: drawn `live` over itself where the terminal can.

    draw: gives what draws it, and is called only when rich is there; lines: prints it elsewhere.
    """
    if not (live and _supports_live_view()):
        yield lines
        return
    from rich.console import Console

    from controller.render.terminal.status import Screen

    person = sys.stderr.isatty()  # a log file keeps all its lines, and nothing is drawn into it
    with (
        Screen(
            draw(), takes_stderr=person, console=Console(file=streams.unfiltered_stream(sys.stdout))
        ) as screen,
        logging.warnings_only(sys.stderr) if person else nullcontext(),
    ):
        yield screen.show


def _supports_live_view() -> bool:
    """Tell whether stdout is a terminal that can move its cursor, and rich is installed."""
    dumb = os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
    return sys.stdout.isatty() and not dumb and find_spec("rich") is not None


class _LinePrinter:
    """Prints where a rollout stands, whenever that reads differently from the last time."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, rollout: Rollout) -> None:
        from controller.render.status import rollout_line

        line = rollout_line(rollout)
        if line != self._last:
            click.echo(printable(line))
        self._last = line
