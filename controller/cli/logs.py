"""The verb `logs`: shows the log events of a policy's function, and counts them."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Final

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.direct_target import application_logs
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy
from controller.cli.follow import PollSchedule, poll_options
from controller.core.units import clock_text, count_text, from_unix
from controller.errors import UsageError
from controller.flag import CANARY, STABLE
from controller.immutable import Immutable, replace
from controller.operations.log_tail import Tail
from controller.ports.json_view import Count, Moment, Time
from controller.ports.logs import LogEvent, count_events, matches_name, parse_event, readable_text
from controller.process.settings import one_line
from controller.safe_text import columns, printable, truncate

_MAX_TEXT_CHARACTERS: Final = 2_000  # of an event in one line
_HEAD: Final = ("", CANARY, STABLE, "other", "all")


class EventCount(Immutable):
    """How often one event was logged on one path."""

    event: str
    """Name of the event."""
    path: str | None
    """The path, canary or stable; null: the event does not say."""
    count: Count
    """Number of events."""


class LogEventData(Immutable):
    """One log event."""

    id: str
    """Id of the event in CloudWatch Logs."""
    at: Moment
    """When it was logged."""
    event: str
    """Name of the event."""
    path: str | None
    """The path, canary or stable; null: the event does not say."""
    text: str
    """The event as the function logged it."""


class LogsData(Immutable):
    """The log events of a function."""

    log_group: str
    """Log group that was read."""
    minutes: Count
    """How many minutes were asked for."""
    end: Time
    """End of these minutes."""
    stopped: str | None
    """Why later events were not read; null: all were read."""
    counts: list[EventCount]
    """Number of events by name and path."""
    events: list[LogEventData]
    """Each event, the oldest first."""


MAX_MINUTES = 7 * 24 * 60


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=60, show_default=True,
    help="How far back.",
)  # fmt: skip
@click.option("--event", type=options.EXACT_TEXT, metavar="NAME", help="Only events of this name.")
@click.option("--follow", is_flag=True, help="Show new events as they come, until Ctrl-C.")
@poll_options("--follow", every="5s", interval_help="Time between reads of the log.")
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
    schedule: PollSchedule,
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
    if follow and call.as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    if call.as_json and width is not None:
        raise UsageError("--width is for rows: ask for --json without it")
    tail = _tail(call, policy, event)
    fit = partial(_fit_line, width=width)
    if not follow:
        return _excerpt(tail, event, minutes, fit)
    begin = tail.clock.now() - timedelta(minutes=minutes)
    for log_event in tail.follow(begin, schedule.until, schedule.interval):
        if event is None or matches_name(log_event, event):
            click.echo(fit(event_line(log_event)))
        if streams.output_lost():
            break
    return Result()


def _tail(call: CommandContext, reference: str, event: str | None) -> Tail:
    """Return the log of the function of `reference`, or its events of one name."""
    if event is not None and set(event) & set('"\\'):
        raise UsageError(f"--event is a name, without quotes and backslashes: not {event!r}")
    from_file = is_policy_file(reference)
    policy = load_policy(reference) if from_file else call.stored_rollout(reference).policy
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
        counts = [
            EventCount(name, path or None, number)
            for (name, path), number in sorted(count_events(found.events).items())
        ]
        listed = []
        for one in found.events:
            summary, at = parse_event(one.text), f"{_time_text(one, 'T')}+00:00"
            listed.append(LogEventData(one.id, at, summary.name, summary.path or None, one.text))
        return LogsData(tail.group, minutes, end, found.truncation or None, counts, listed)

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


# --- Lines, of which all text is printable -------------------------------------------------------


def _time_text(event: LogEvent, between: str) -> str:
    """Return when an event was logged, to the millisecond. between: date and time."""
    seconds, thousandths = divmod(event.at_ms, 1_000)
    return f"{from_unix(seconds):%Y-%m-%d{between}%H:%M:%S}.{thousandths:03}"


def event_line(event: LogEvent) -> str:
    """Return an event as one printable line: time, path, name, text."""
    summary = parse_event(event.text)
    text = one_line(readable_text(event.text))
    if len(text) > _MAX_TEXT_CHARACTERS:
        text = f"{text[:_MAX_TEXT_CHARACTERS]}…"
    return f"{_time_text(event, ' ')}  {summary.path:<6}  {one_line(summary.name)}  {text}"


def count_lines(events: Iterable[LogEvent]) -> list[str]:
    """Return a table of the number of events by name and path, the most frequent first."""
    counts = count_events(events)
    names: Counter[str] = Counter()
    for (name, _), number in counts.items():
        names[name] += number
    rows = [
        (one_line(name), *(str(counts[name, path]) for path in (CANARY, STABLE, "")), str(number))
        for name, number in sorted(names.items(), key=lambda item: (-item[1], item[0]))
    ]
    return columns([_HEAD, *rows], right=range(1, len(_HEAD)))
