"""The verb `dashboard`: serves pages of a store to the browser on this machine."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from shlex import quote
from typing import Final

import click

from controller.bootstrap.account import real_account
from controller.cli import options
from controller.cli.call import CommandContext, log_problems
from controller.cli.filters import Words
from controller.cli.result import Result
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.process import logging, signals
from controller.render.page import lines_page, paragraph
from controller.tools.dashboard.acts import Button
from controller.tools.dashboard.compose import (
    act_runner,
    actor_of,
    poll_interval,
    report_maker,
)
from controller.tools.dashboard.feed import Feed
from controller.tools.dashboard.guard import Guard
from controller.tools.dashboard.server import DashboardServer
from controller.tools.dashboard.site import Site

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
    "--allow", "allowed", type=Words(Button, "button"), metavar="VERB,VERB",
    help=f"Have buttons for these: {', '.join(Button)}. Default: none.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="PORT",
    help="Port to listen at. Default: a free one.",
)  # fmt: skip
@click.option(
    "--timeout", "length", type=options.Duration(), default="8h", show_default=True,
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
