"""Polls a rollout that other processes tick, and shows it as lines or live on a terminal.

The live view needs rich, which the image does without.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from controller.bootstrap.account import real_account
from controller.cli import options, streams
from controller.cli.streams import Progress
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, count_text
from controller.errors import Exit, MetricsError, StoreError, UsageError
from controller.immutable import Immutable
from controller.operations.history import RecentHistory, load_recent
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging
from controller.render.overview import overview_page
from controller.render.page import EMPTY_LINE, Page, layout, paragraph
from controller.render.rollout_page import live_page
from controller.render.rollout_texts import rollout_line

if TYPE_CHECKING:
    from rich.console import Console

PollResult = TypeVar("PollResult")
View = TypeVar("View")
Show: TypeAlias = Callable[[Rollout], None]

# How many polls in a row may fail before the command gives up.
MAX_MISSES = 5


class PollSchedule(Immutable):
    """How often a store or a metric source is polled, and until when. limit: how long that is."""

    clock: Clock
    interval: timedelta
    limit: timedelta
    until: datetime


def poll(fetch: Callable[[], PollResult], schedule: PollSchedule) -> Iterator[PollResult]:
    """Yield what `fetch` returns: now, at each interval, and once more when time is up.

    A failed fetch is retried, with a warning on stderr. Raises StoreError or MetricsError when
    MAX_MISSES fetches in a row failed, or when a retry is of no use (a usage error).
    """
    misses = 0
    while True:
        try:
            result = fetch()
        except (StoreError, MetricsError) as error:
            misses += 1
            if error.exit_status is Exit.USAGE or misses == MAX_MISSES:
                raise
            streams.message(f"no answer ({misses} of {MAX_MISSES} in a row): {error}")
        else:
            misses = 0
            yield result
        remaining = schedule.until - schedule.clock.now()
        if remaining <= timedelta():
            return
        schedule.clock.sleep(min(schedule.interval, remaining))


def is_complete(rollout: Rollout, now: datetime) -> bool:
    """Tell whether `rollout` has ended, and after a rollback its leak check or its watch."""
    unknown = rollout.phase is Phase.ROLLED_BACK and rollout.leak_check is None
    awaits_check = unknown and rollout.is_watched(now)
    return rollout.final and not awaits_check


# --- options ------------------------------------------------------------------------------------


def poll_options(
    *flags: str,
    every: str = "10s",
    timeout_help: str = "Follow it no longer than this.",
    interval_help: str = "Time between reads of the store.",
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds --timeout and --interval to a verb, which gets a `schedule`.

    flags: the options with which the verb polls; without them, neither may be given.
    every: the default of --interval.
    """

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        @wraps(verb)
        def invoke(*, timeout: timedelta, interval: timedelta, **given: Any) -> int:
            if not any(given[flag.removeprefix("--")] for flag in flags):
                _reject_poll_options(" or ".join(flags))
            clock = real_account().clock
            schedule = PollSchedule(clock, interval, timeout, clock.now() + timeout)
            return verb(schedule=schedule, **given)

        for option in (
            click.option(
                "--interval", type=options.DURATION, default=every, show_default=True,
                help=interval_help,
            ),
            click.option(
                "--timeout", type=options.DURATION, default="48h", show_default=True,
                help=timeout_help,
            ),
        ):  # fmt: skip
            invoke = option(invoke)
        return invoke

    return decorate


def _reject_poll_options(option_names: str) -> None:
    """Raise UsageError when --timeout or --interval was given without one of `option_names`."""
    context = click.get_current_context()
    for name, option in (("timeout", "--timeout"), ("interval", "--interval")):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option} needs {option_names}")


# --- display ------------------------------------------------------------------------------------


@contextmanager
def rollout_display(clock: Clock, store: Store, *, live: bool, off: bool = False) -> Iterator[Show]:
    """Yield a function that shows a rollout: a `live` view, or a line whenever the line changes.

    live: only where the terminal supports it; it reads the history again when that has grown.
    off: show nothing.
    """

    def page(view: tuple[Rollout, RecentHistory | None]) -> Page:
        rollout, recent = view
        return streams.localized(live_page(rollout, clock.now(), recent))

    if off:
        yield lambda _: None
        return
    with Progress() as progress:
        print_line = _line_printer(clock, progress)
        if not _can_draw(live=live):
            yield print_line
            return
        entries, recent = -1, None

        def with_history(rollout: Rollout) -> tuple[Rollout, RecentHistory | None]:
            """Return `rollout` and what its history adds, read once for each length of it."""
            nonlocal entries, recent
            if rollout.entries != entries:
                entries, recent = rollout.entries, load_recent(store, rollout)
            return rollout, recent

        with live_display(page, lambda view: print_line(view[0]), live=live) as show:
            yield lambda rollout: show(with_history(rollout))


@contextmanager
def overview_display(
    clock: Clock, *, off: bool = False
) -> Iterator[Callable[[Sequence[Rollout]], None]]:
    """Yield a function that shows several rollouts: live, or the lines of those that changed."""

    def page(rollouts: Sequence[Rollout]) -> Page:
        head = paragraph(f"{count_text(len(rollouts), 'rollout')} at {clock_text(clock.now())}")
        most = max(1, shutil.get_terminal_size().lines - 5)  # head, empty line, what is left out
        return [head, EMPTY_LINE, *overview_page(rollouts, clock.now(), most)]

    if off:
        yield lambda _: None
        return
    with Progress() as progress:
        printers: dict[str, Show] = {}

        def lines(rollouts: Sequence[Rollout]) -> None:
            for rollout in rollouts:
                printers.setdefault(rollout.id, _line_printer(clock, progress))(rollout)

        with live_display(page, lines, live=True) as show:
            yield show


def _line_printer(clock: Clock, progress: Progress) -> Show:
    """Return what prints the status line of a rollout whenever it differs from the last one."""
    last = ""

    def print_line(rollout: Rollout) -> None:
        nonlocal last
        line = rollout_line(rollout, clock.now())
        if line != last:
            streams.print_page(streams.localized([paragraph(line)]))
        last = line
        progress.show(f"read at {clock_text(clock.now())}; waiting for a change")

    return print_line


@contextmanager
def live_display(
    page: Callable[[View], Page], lines: Callable[[View], None], *, live: bool
) -> Iterator[Callable[[View], None]]:
    """Yield a function that shows a view, redrawn in place when `live` on a capable terminal.

    page: draws the view. lines: prints the view where no live view is possible.
    """
    if not _can_draw(live=live):
        yield lines
        return
    on_terminal = sys.stderr.isatty()  # a log file gets every line, and no drawing
    with (
        screen(page, takes_stderr=on_terminal) as show,
        logging.warnings_only(sys.stderr) if on_terminal else nullcontext(),
    ):
        yield show


def _can_draw(*, live: bool) -> bool:
    """Tell whether a view can be drawn over itself on stdout, and is wanted."""
    return live and streams.has_cursor(sys.stdout) and find_spec("rich") is not None


@contextmanager
def screen(
    page: Callable[[View], Page], *, takes_stderr: bool, console: "Console | None" = None
) -> Iterator[Callable[[View], None]]:
    """Yield a function that draws a view now, and on each refresh until the next one.

    It is an area of the terminal that is drawn again every second, from `page`. Output printed
    meanwhile goes above it; stderr only if `takes_stderr`.
    """
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = console or Console(file=streams.unfiltered_stream(sys.stdout))
    shown = list[View]()  # the newest one, once there is one

    def drawing() -> Group:
        """Return the page of the shown view, in lines that fit the terminal."""
        pages = [layout(page(view), console.width) for view in shown]
        texts = (streams.lines_text(lines, in_colour=True) for lines in pages)
        return Group(*(Text.from_ansi(text, overflow="fold") for text in texts))

    def show(view: View) -> None:
        shown[:] = [view]
        live.refresh()

    live = Live(
        console=console, get_renderable=drawing, refresh_per_second=1, redirect_stderr=takes_stderr
    )
    with live:
        yield show
