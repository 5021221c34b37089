"""The verb that shows what the function of a policy has logged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from controller.bootstrap import app
from controller.cli import follow as watching
from controller.cli import options, streams
from controller.core.policy import Policy
from controller.core.units import clock_text, count_text
from controller.errors import Exit, UsageError
from controller.operations.log_tail import Found, Tail
from controller.ports.logs import about
from controller.process import logging
from controller.render.log_events import count_lines, event_line, events_data

if TYPE_CHECKING:
    from controller.bootstrap.tools import Logs

MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose log, and which of its events."""

    tail: Tail
    event: str | None
    minutes: int


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MOST_MINUTES), default=60, show_default=True,
    help="How far back.",
)  # fmt: skip
@click.option("--event", type=options.Word(), metavar="NAME", help="Only events of this name.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@watching.paced_at("5s", "Follow it no longer than this.", "Time between looks into the log.")
@click.option(
    "--width", type=click.IntRange(min=20), metavar="N",
    help="Cut rows at this column. Default: where the terminal ends; in a pipe, after 2,000 "
    "characters.",
)  # fmt: skip
@options.store
@options.as_json
def logs(
    policy: str,
    minutes: int,
    event: str | None,
    follow: bool,
    limit: timedelta,
    every: timedelta,
    width: int | None,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Show what the function has logged, and how often.

    Events in JSON are counted by their field `event`, plain ones by what they say of themselves,
    each by the path that it took where it says so. A look reads 10 000 events, 100 pages or a
    minute, and says when it has stopped there; --follow reads everything, shows nothing twice, and
    misses what comes more than five minutes late. Values are shown as the function logged them, an
    event in one row of printable text, of which --json has all.
    """
    logging.configure()
    if not follow:
        watching.refuse_pace("--follow")
    if follow and as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    if as_json and width is not None:
        raise UsageError("--width is for rows: ask for --json without it")
    asked = _asked(_policy(policy, store_url), event, minutes)
    fit = partial(options.fitted, width=width)
    if not follow:
        return _show(asked, fit, as_json)
    clock = asked.tail.clock
    begin = clock.now() - timedelta(minutes=minutes)
    for one in asked.tail.follow(begin, clock.now() + limit, every):
        if event is None or about(one, event):
            click.echo(fit(event_line(one)))
        if streams.lost():
            break
    return Exit.DONE


def _policy(given: str, store_url: str | None) -> Policy:
    if options.is_policy_file(given):
        return options.load_policy(given)
    with options.looking(store_url) as (store, _):
        return options.policy_of(store, given)


def _asked(policy: Policy, event: str | None, minutes: int) -> _Asked:
    if event is not None and set(event) & set('"\\'):
        raise UsageError(f"--event is a name, without quotes and backslashes: not {event!r}")
    where = _where(policy)
    pattern = "" if event is None else f'"{event}"'
    tail = Tail(where.reader, app.wall_clock(), where.group, pattern)
    return _Asked(tail, event, minutes)


def _where(policy: Policy) -> "Logs":
    from controller.bootstrap.tools import logs_of

    found = logs_of(policy)
    if found.doubt:
        click.echo(f"rolloutctl: warning: {found.doubt}; {found.group} is read", err=True)
    return found


def _show(asked: _Asked, fit: Callable[[str], str], as_json: bool) -> Exit:
    end = asked.tail.clock.now()
    found = asked.tail.once(end - timedelta(minutes=asked.minutes), end)
    if asked.event is not None:
        found = replace(found, events=[one for one in found.events if about(one, asked.event)])
    group = asked.tail.group
    if as_json:
        data = {"log_group": group, "minutes": asked.minutes, "end": end.isoformat()}
        cut = found.cut or None
        options.print_json("logs", {**data, "stopped": cut, **events_data(found.events)})
    else:
        _print(found, asked, fit, f"{count_text(asked.minutes, 'minute')} until {clock_text(end)}")
    if found.cut:
        narrow = "fewer --minutes" if asked.event else "--event or fewer --minutes"
        click.echo(
            f"rolloutctl: note: {found.cut}: what came later is not shown; ask for {narrow}",
            err=True,
        )
    return Exit.DONE


def _print(found: Found, asked: _Asked, fit: Callable[[str], str], when: str) -> None:
    for one in found.events:
        click.echo(fit(event_line(one)))
    if found.events:
        click.echo(f"\n{asked.tail.group}, {when}\n")
        for line in count_lines(found.events):
            click.echo(fit(line))
    else:
        which = f"no event {asked.event}" if asked.event else "no event at all"
        click.echo(f"{which} in {asked.tail.group} in {when}")
