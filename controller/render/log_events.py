"""Log events as lines, their counts as a table, and both as JSON data; all text is printable."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from controller.core.units import from_unix
from controller.flag import CANARY, STABLE
from controller.immutable import Immutable
from controller.ports.json_view import Count, Moment, Time
from controller.ports.logs import LogEvent, count_events, parse_event, readable_text
from controller.process.settings import one_line
from controller.safe_text import columns

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


def event_line(event: LogEvent) -> str:
    """Return an event as one printable line: time, path, name, text."""
    summary = parse_event(event.text)
    text = one_line(readable_text(event.text))
    if len(text) > _MAX_TEXT_CHARACTERS:
        text = f"{text[:_MAX_TEXT_CHARACTERS]}…"
    clock_time = f"{from_unix(event.at_ms // 1_000):%Y-%m-%d %H:%M:%S}.{event.at_ms % 1_000:03}"
    return f"{clock_time}  {summary.path:<6}  {one_line(summary.name)}  {text}"


def count_lines(events: Iterable[LogEvent]) -> list[str]:
    """Return a table of the number of events by name and path, the most frequent first."""
    counts = count_events(events)
    names: Counter[str] = Counter()
    for (name, _), number in counts.items():
        names[name] += number
    return columns(
        [
            _HEAD,
            *[
                (
                    one_line(name),
                    *(str(counts[name, path]) for path in (CANARY, STABLE, "")),
                    str(number),
                )
                for name, number in sorted(names.items(), key=lambda item: (-item[1], item[0]))
            ],
        ],
        right=range(1, len(_HEAD)),
    )


def event_counts(events: Iterable[LogEvent]) -> list[EventCount]:
    """Return the number of events by name and path."""
    counts = sorted(count_events(events).items())
    return [EventCount(name, path or None, number) for (name, path), number in counts]


def event_data(event: LogEvent) -> LogEventData:
    """Return an event with its name and path."""
    summary = parse_event(event.text)
    return LogEventData(
        id=event.id,
        at=f"{from_unix(event.at_ms // 1_000):%Y-%m-%dT%H:%M:%S}.{event.at_ms % 1_000:03}+00:00",
        event=summary.name,
        path=summary.path or None,
        text=event.text,
    )
