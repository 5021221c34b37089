"""The verb `logs`: shows the log events of a policy's function, and counts them."""

import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.direct_target import application_logs
from controller.cli import follow as watching
from controller.cli import options, streams
from controller.cli.call import CommandContext, is_policy_file, load_policy
from controller.cli.result import Result
from controller.core.units import clock_text, count_text
from controller.errors import UsageError
from controller.immutable import replace
from controller.operations.log_tail import Tail
from controller.ports.logs import matches_name
from controller.render.log_events import LogsData, count_lines, event_counts, event_data, event_line
from controller.safe_text import printable, truncate

MAX_MINUTES = 7 * 24 * 60


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=60, show_default=True,
    help="How far back.",
)  # fmt: skip
@click.option("--event", type=options.ExactText(), metavar="NAME", help="Only events of this name.")
@click.option("--follow", is_flag=True, help="Show new events as they come, until Ctrl-C.")
@watching.make_poll_options(
    "5s", "Follow it no longer than this.", "Time between reads of the log."
)
@click.option(
    "--width", type=click.IntRange(min=20), metavar="N",
    help="Cut rows at this column. Default: where the terminal ends; in a pipe, after 2,000 "
    "characters.",
)  # fmt: skip
@options.call_options("store", "json")
def logs(
    call: CommandContext,
    policy: str,
    minutes: int,
    event: str | None,
    follow: bool,
    timeout: timedelta,
    interval: timedelta,
    width: int | None,
) -> Result:
    """Show and count the log events of the function.

    Events in JSON are counted by their field `event`, plain ones by their text, and by the path
    that they name. A run reads up to 10 000 events, 100 pages or one minute, and says when it has
    stopped there; --follow reads everything, shows no event twice, and misses events that arrive
    more than five minutes late. Values are shown as the function logged them, one event a row;
    --json has them in full.
    """
    call.configure_logs()
    if not follow:
        watching.reject_poll_options("--follow")
    if follow and call.as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    if call.as_json and width is not None:
        raise UsageError("--width is for rows: ask for --json without it")
    tail = _tail(call, policy, event)
    fit = partial(_fit_line, width=width)
    if not follow:
        return _excerpt(tail, event, minutes, fit)
    clock = tail.clock
    begin = clock.now() - timedelta(minutes=minutes)
    for log_event in tail.follow(begin, clock.now() + timeout, interval):
        if event is None or matches_name(log_event, event):
            click.echo(fit(event_line(log_event)))
        if streams.output_lost():
            break
    return Result()


def _tail(call: CommandContext, reference: str, event: str | None) -> Tail:
    """Return the log of the function of `reference`, or its events of one name."""
    if event is not None and set(event) & set('"\\'):
        raise UsageError(f"--event is a name, without quotes and backslashes: not {event!r}")
    if is_policy_file(reference):
        policy = load_policy(reference)
    else:
        policy = call.stored_rollout(reference).policy
    source = application_logs(policy)
    if source.warning:
        streams.warn(f"{source.warning}; {source.group} is read")
    pattern = "" if event is None else f'"{event}"'
    return Tail(source.reader, real_account().clock, source.group, pattern)


def _excerpt(tail: Tail, event: str | None, minutes: int, fit: Callable[[str], str]) -> Result:
    end = tail.clock.now()
    found = tail.read(end - timedelta(minutes=minutes), end)
    if event is not None:
        events = [one for one in found.events if matches_name(one, event)]
        found = replace(found, events=events)
    hint = "fewer --minutes" if event else "--event or fewer --minutes"
    note = f"note: {found.truncation}: later events are not shown; use {hint}"
    when = f"{count_text(minutes, 'minute')} until {clock_text(end)}"

    def data() -> LogsData:
        stopped, counts = found.truncation or None, event_counts(found.events)
        listed = list(map(event_data, found.events))
        return LogsData(tail.group, minutes, end, stopped, counts, listed)

    def text() -> str:
        if not found.events:
            return f"no event {event or 'at all'} in {tail.group} in {when}"
        lines, counts = map(event_line, found.events), count_lines(found.events)
        return "\n".join([*map(fit, lines), "", f"{tail.group}, {when}", "", *map(fit, counts)])

    return Result("logs", data, text=text, notes=[note] if found.truncation else [])


def _fit_line(line: str, width: int | None = None) -> str:
    """Return `line` as one printable row: cut at `width` columns, else where a terminal ends.

    Without either nothing is cut: a pipe leads to a program.
    """
    row = printable(line)
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return row if width is None else truncate(row, width)
