"""The verb `dashboard`: serves pages of a store to the browser on this machine."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from shlex import quote
from time import monotonic
from typing import Final

import click

from controller.bootstrap.account import Clients, real_account
from controller.bootstrap.app import author, live_app
from controller.cli import options
from controller.cli.call import CommandContext, Result, log_problems
from controller.cli.options import words
from controller.core.events import Command, Verb
from controller.core.observation import MetricQuery, Series, Span
from controller.engine.execute import TickOutcome
from controller.errors import MetricsError, UsageError
from controller.immutable import Immutable
from controller.operations.history import known_entries
from controller.policy_file.rules import check_command
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.process import logging, signals
from controller.process.settings import Settings, SqliteLocation, StoreLocation
from controller.render.page import lines_page, paragraph
from controller.tools.dashboard.feed import Feed, StoredRollout
from controller.tools.dashboard.server import DashboardServer, Guard
from controller.tools.dashboard.site import Button, MakeReport, RunAct, Site
from controller.tools.report import RolloutHistory, RolloutReport
from controller.tools.report.verb import report_of

_LOOK: Final = timedelta(seconds=1)
_END_S: Final = 18.0  # a running act ends within that


class DashboardData(Immutable):
    """The dashboard that is served from now on."""

    address: str
    """Its address, with a code that works once."""
    store: str
    """URL of the store."""
    allowed: list[str]
    """The verbs that have a button; empty: it is read-only."""
    actor: str
    """Who is recorded for an act; empty: it is read-only."""


@click.command()
@click.option(
    "--allow", "allowed", type=words(Button, "button"), metavar="VERB,VERB",
    help=f"Have buttons for these: {', '.join(Button)}. Default: none.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="PORT",
    help="Port to listen at. Default: a free one.",
)  # fmt: skip
@click.option(
    "--timeout", "length", type=options.DURATION, default="8h", show_default=True,
    help="End after this time.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Read the store alone, and not CloudWatch.")
@options.call_options("by", "store", "json")
def dashboard(
    call: CommandContext,
    allowed: frozenset[Button] | None,
    port: int,
    length: timedelta,
    offline: bool,
) -> Result:
    """Serve live pages of all rollouts to a browser.

    The rollouts that need an operator come first; each has its report, its history, its policy and
    what can be done now. Without --allow nothing can be done there: each verb that it names gets a
    button, which does what the verb does. The browser runs on this machine, and the address that is
    printed works in one. Ends with Ctrl-C.
    """
    allowed, clock = allowed or frozenset(), real_account().clock
    settings = call.read_settings()
    with ExitStack() as stack:
        store = stack.enter_context(call.store_session())
        store.active(clock.now())  # a missing table is named here, and not in a browser
        call.configure_logs(quiet=True, run=logging.new_run_id())
        if allowed:
            log_problems(settings)
        actor = actor_of(settings) if allowed else ""
        done = deque[str]()

        def make_site(guard: Guard) -> Site:
            return Site(
                Feed(store, clock, poll_interval(settings.store)),
                report_maker(store, clock, offline=offline),
                act_runner(settings),
                allowed=allowed,
                actor=actor,
                suffix=f" --store {quote(call.store_url)}" if call.store_url else "",
                token=guard.form_token,
                on_act=done.append,
            )

        server = DashboardServer(make_site, port)
        server.start()
        stack.callback(server.stop, _END_S)
        opened = stack.pop_all()
    names = [str(one) for one in Button if one in allowed]
    acts = f"buttons: {', '.join(names)}; recorded as {actor}" if names else "read-only"
    return Result(
        "dashboard",
        data=lambda: DashboardData(server.guard.address, settings.store.url, names, actor),
        page=lambda: [
            paragraph(f"{settings.store.url}, {acts}"),
            *lines_page([f"open in a browser, once: {server.guard.address}"]),
        ],
        notes=_served(opened, clock, length, done),
    )


def _served(opened: ExitStack, clock: Clock, length: timedelta, done: deque[str]) -> Iterator[str]:
    """Yield what was done by a button, until the time is over or a signal comes."""
    until = clock.now() + length
    with signals.defer_signals(), opened:  # an act that runs at the end is not cut by Ctrl-C
        while (left := until - clock.now()) > timedelta() and not signals.stop_requested():
            clock.sleep(min(left, _LOOK))
            while done:
                yield done.popleft()
    signals.safe_point()


# --- What it runs on ------------------------------------------------------------------------------


# A file is read where it is; a query of a table costs money.
_OF_FILE: Final = timedelta(seconds=1)
_OF_TABLE: Final = timedelta(seconds=5)
# A page waits no longer for CloudWatch, and for the next minute not again after a failure.
_READ_LIMIT: Final = timedelta(seconds=8)
_PAUSE_S: Final = 60.0
_MAX_ANSWERS: Final = 64


def poll_interval(place: StoreLocation) -> timedelta:
    """Return how often the store at `place` is read while a page is open."""
    return _OF_FILE if isinstance(place, SqliteLocation) else _OF_TABLE


def actor_of(settings: Settings) -> str:
    """Return who is recorded for an act, with the identity that AWS reports where it differs."""
    found = author(settings, Clients())(settings.by)
    if found.caller in (None, found.by):
        return found.by
    identity = f"identity from AWS: {found.caller}" if found.caller else "identity unverified"
    return f"{found.by} ({identity})"


def act_runner(settings: Settings) -> RunAct:
    """Return what runs a verb as the command line does: with clients and a store for this act."""

    def run_act(rollout_id: str, verb: Verb, reason: str, version: int) -> TickOutcome:
        with live_app(settings, ask_caller=True) as app:
            command = Command(verb, reason)
            check_command(app.runner.store, command)
            return app.runner.run_command(rollout_id, command, version)

    return run_act


def report_maker(
    store: Store, clock: Clock, source: MetricSource | None = None, *, offline: bool = False
) -> MakeReport:
    """Return what makes the report of a stored rollout.

    source: of the real account when it is None. offline: CloudWatch is not read.
    """
    clients = Clients()
    read = source or real_account(clients=clients).metrics()
    limited = LimitedMetrics(read, lambda: clients.limit_calls(_READ_LIMIT))

    def make_report(stored: StoredRollout) -> RolloutReport:
        entries = known_entries(store, stored.rollout)
        history = RolloutHistory(stored.rollout, entries, stored.digest)
        return report_of(history, clock.now(), limited, offline=offline)

    return make_report


class LimitedMetrics:
    """A `MetricSource` that reads the same minutes once, and does not wait for a failing one."""

    def __init__(
        self,
        source: MetricSource,
        limit: Callable[[], None] = lambda: None,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._source, self._limit, self._now_s = source, limit, now_s
        self._answers: dict[tuple[tuple[MetricQuery, ...], Span], Mapping[MetricQuery, Series]] = {}
        self._failure: tuple[float, MetricsError | UsageError] | None = None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return the series. Raises MetricsError and UsageError, again for a minute."""
        key = tuple(queries), span
        if key in self._answers:
            return self._answers[key]
        if self._failure is not None and self._now_s() < self._failure[0]:
            raise self._failure[1]
        self._limit()
        try:
            answers = self._source.read(key[0], span)
        except (MetricsError, UsageError) as error:
            self._failure = self._now_s() + _PAUSE_S, error
            raise
        if len(self._answers) >= _MAX_ANSWERS:
            self._answers.pop(next(iter(self._answers)))
        self._answers[key] = answers
        return answers
