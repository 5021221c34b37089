"""The verb `logs`: shows the log events of a policy's function, and counts them."""

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
from controller.operations.log_tail import Tail, TailResult
from controller.ports.logs import matches_name
from controller.process import logging
from controller.render.log_events import count_lines, event_line, events_data

if TYPE_CHECKING:
    from controller.bootstrap.without_rollout import ApplicationLogs

MAX_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class _LogQuery:
    """A log group to read, which of its events, and how many minutes back."""

    tail: Tail
    event: str | None
    minutes: int


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=60, show_default=True,
    help="How far back.",
)  # fmt: skip
@click.option("--event", type=options.ExactText(), metavar="NAME", help="Only events of this name.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@watching.make_poll_options(
    "5s", "Follow it no longer than this.", "Time between looks into the log."
)
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
        watching.reject_poll_options("--follow")
    if follow and as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    if as_json and width is not None:
        raise UsageError("--width is for rows: ask for --json without it")
    query = _log_query(_policy(policy, store_url), event, minutes)
    fit = partial(options.fit_line, width=width)
    if not follow:
        return _show(query, fit, as_json)
    clock = query.tail.clock
    begin = clock.now() - timedelta(minutes=minutes)
    for log_event in query.tail.follow(begin, clock.now() + limit, every):
        if event is None or matches_name(log_event, event):
            click.echo(fit(event_line(log_event)))
        if streams.output_lost():
            break
    return Exit.DONE


def _policy(reference: str, store_url: str | None) -> Policy:
    if options.is_policy_file(reference):
        return options.load_policy(reference)
    with options.store_session(store_url) as (store, _):
        return options.policy_of(store, reference)


def _log_query(policy: Policy, event: str | None, minutes: int) -> _LogQuery:
    if event is not None and set(event) & set('"\\'):
        raise UsageError(f"--event is a name, without quotes and backslashes: not {event!r}")
    source = _log_source(policy)
    pattern = "" if event is None else f'"{event}"'
    tail = Tail(source.reader, app.wall_clock(), source.group, pattern)
    return _LogQuery(tail, event, minutes)


def _log_source(policy: Policy) -> "ApplicationLogs":
    from controller.bootstrap.without_rollout import application_logs

    source = application_logs(policy)
    if source.warning:
        click.echo(f"rolloutctl: warning: {source.warning}; {source.group} is read", err=True)
    return source


def _show(query: _LogQuery, fit: Callable[[str], str], as_json: bool) -> Exit:
    end = query.tail.clock.now()
    result = query.tail.read(end - timedelta(minutes=query.minutes), end)
    if query.event is not None:
        result = replace(
            result, events=[one for one in result.events if matches_name(one, query.event)]
        )
    group = query.tail.group
    if as_json:
        data = {"log_group": group, "minutes": query.minutes, "end": end.isoformat()}
        truncation = result.truncation or None
        options.print_json("logs", {**data, "stopped": truncation, **events_data(result.events)})
    else:
        _print(result, query, fit, f"{count_text(query.minutes, 'minute')} until {clock_text(end)}")
    if result.truncation:
        hint = "fewer --minutes" if query.event else "--event or fewer --minutes"
        click.echo(
            f"rolloutctl: note: {result.truncation}: what came later is not shown; ask for {hint}",
            err=True,
        )
    return Exit.DONE


def _print(excerpt: TailResult, query: _LogQuery, fit: Callable[[str], str], when: str) -> None:
    for log_event in excerpt.events:
        click.echo(fit(event_line(log_event)))
    if excerpt.events:
        click.echo(f"\n{query.tail.group}, {when}\n")
        for line in count_lines(excerpt.events):
            click.echo(fit(line))
    else:
        nothing = f"no event {query.event}" if query.event else "no event at all"
        click.echo(f"{nothing} in {query.tail.group} in {when}")
