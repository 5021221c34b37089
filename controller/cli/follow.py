"""Polls a rollout that other processes tick, and shows it as lines or live on a terminal."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TypeAlias, TypeVar

import click
from click.core import ParameterSource

from controller.cli import options, streams
from controller.cli.streams import Progress
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, count_text, format_duration
from controller.errors import Exit, MetricsError, StoreError, UsageError
from controller.immutable import Immutable
from controller.operations.history import load_recent
from controller.operations.recorded.recent import RecentHistory
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging
from controller.render.overview import overview_page
from controller.render.page import EMPTY_LINE, Page, paragraph
from controller.render.rollout_page import live_page
from controller.render.rollout_texts import rollout_line, weight_text

PollResult = TypeVar("PollResult")
View = TypeVar("View")
Show: TypeAlias = Callable[[Rollout], None]

# How many polls in a row may fail before the command gives up.
MAX_MISSES = 5
# What a command that follows a rollout does not do.
ONLY_READS = "this command only reads the store, so a schedule or `rolloutctl run` has to tick"


class PollSchedule(Immutable):
    """How often a store or a metric source is polled, and until when."""

    clock: Clock
    interval: timedelta
    until: datetime


def follow(
    fetch: Callable[[], Rollout],
    schedule: PollSchedule,
    done: Callable[[Rollout, datetime], bool],
    show: Show,
    time_is_up: Callable[[Rollout], str],
) -> Rollout:
    """Show the rollout that `fetch` returns until it is `done` or time is up; return the last one.

    time_is_up: what is said then.
    Raises StoreError as `poll` does, and when not one fetch succeeded.
    """
    last: Rollout | None = None
    for last in poll(fetch, schedule):
        show(last)
        if done(last, schedule.clock.now()):
            return last
    if last is None:
        raise StoreError("the store did not answer within the time limit")
    streams.message(time_is_up(last))
    return last


def ticked_until_text(limit: timedelta, rollout: Rollout, command: str) -> str:
    """Return how `rollout` stands when the ticks of a command end, and what that leaves undone.

    command: ticks it again.
    """
    return (
        f"ticked for {format_duration(limit)} and stopped before {rollout.id} paused or ended; it "
        f"is {rollout.phase} at {weight_text(rollout)}; until another tick runs, "
        f"{_unticked_text(rollout)}; unless a schedule of ticks is set up, run: {command}"
    )


def _unticked_text(rollout: Rollout) -> str:
    """Return what does not happen to `rollout` while nothing ticks it."""
    if rollout.phase is Phase.ROLLING_BACK:
        return "nothing checks that 0% is applied"
    return "it keeps its weight, nothing judges it and nothing rolls it back"


def read_until_text(limit: timedelta, rollout: Rollout, goal: str, command: str) -> str:
    """Return what was waited for and how long, and how `rollout` stands in the store.

    command: reads the store again.
    """
    return (
        f"waited {format_duration(limit)} for {rollout.id} to {goal}; it is {rollout.phase} at "
        f"{weight_text(rollout)}, the last change in the store is from "
        f"{clock_text(rollout.updated)}; {ONLY_READS}; to wait on: {command}"
    )


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


def is_at_rest(rollout: Rollout, _now: datetime) -> bool:
    """Tell whether `rollout` is final or paused: ticks alone do not advance it."""
    return rollout.final or rollout.phase is Phase.PAUSED


def is_complete(rollout: Rollout, now: datetime) -> bool:
    """Tell whether `rollout` has ended, and after a rollback its leak check or its watch."""
    unknown = rollout.phase is Phase.ROLLED_BACK and rollout.leak_check is None
    awaits_check = unknown and rollout.is_watched(now)
    return rollout.final and not awaits_check


# --- options ------------------------------------------------------------------------------------


def poll_options(command: options.Decorated) -> options.Decorated:
    """Add --timeout and --interval: how long a rollout is followed, and how often it is read."""
    return make_poll_options(
        "10s", "Follow it no longer than this.", "Time between reads of the store."
    )(command)


def make_poll_options(
    interval: str, timeout_help: str, interval_help: str
) -> Callable[[options.Decorated], options.Decorated]:
    """Return a decorator that adds --timeout and --interval; `interval` is its default."""

    def add(command: options.Decorated) -> options.Decorated:
        timeout_option = click.option(
            "--timeout", type=options.Duration(), default="48h", show_default=True,
            help=timeout_help,
        )  # fmt: skip
        interval_option = click.option(
            "--interval", type=options.Duration(), default=interval, show_default=True,
            help=interval_help,
        )  # fmt: skip
        return timeout_option(interval_option(command))

    return add


def reject_poll_options(option_names: str) -> None:
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
        print_line = _LinePrinter(clock, progress)
        if not can_draw(live=live):
            yield print_line
            return
        history = _HistoryReader(store)
        with live_display(page, lambda view: print_line(view[0]), live=live) as show:
            yield lambda rollout: show((rollout, history.of(rollout)))


class _HistoryReader:
    """Reads the history of a rollout, once for each length that it has."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries = -1
        self._recent: RecentHistory | None = None

    def of(self, rollout: Rollout) -> RecentHistory | None:
        """Return what the history of `rollout` adds to its state; None where it cannot be read."""
        if rollout.entries != self._entries:
            self._entries, self._recent = rollout.entries, load_recent(self._store, rollout)
        return self._recent


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
        printers: dict[str, _LinePrinter] = {}

        def lines(rollouts: Sequence[Rollout]) -> None:
            for rollout in rollouts:
                printers.setdefault(rollout.id, _LinePrinter(clock, progress))(rollout)

        with live_display(page, lines, live=True) as show:
            yield show


@contextmanager
def live_display(
    page: Callable[[View], Page], lines: Callable[[View], None], *, live: bool
) -> Iterator[Callable[[View], None]]:
    """Yield a function that shows a view, redrawn in place when `live` on a capable terminal.

    page: draws the view. lines: prints the view where no live view is possible.
    """
    if not can_draw(live=live):
        yield lines
        return
    from controller.cli.screen import Screen

    on_terminal = sys.stderr.isatty()  # a log file gets every line, and no drawing
    with (
        Screen(page, takes_stderr=on_terminal) as screen,
        logging.warnings_only(sys.stderr) if on_terminal else nullcontext(),
    ):
        yield screen.show


def can_draw(*, live: bool) -> bool:
    """Tell whether a view can be drawn over itself on stdout, and is wanted."""
    return live and streams.has_cursor(sys.stdout) and find_spec("rich") is not None


class _LinePrinter:
    """Prints the status line of a rollout whenever it differs from the last one."""

    def __init__(self, clock: Clock, progress: Progress) -> None:
        self._clock, self._progress = clock, progress
        self._last = ""

    def __call__(self, rollout: Rollout) -> None:
        line = rollout_line(rollout, self._clock.now())
        if line != self._last:
            streams.print_page(streams.localized([paragraph(line)]))
        self._last = line
        self._progress.show(f"read at {clock_text(self._clock.now())}; waiting for a change")
