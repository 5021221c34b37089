"""Log events as lines, their counts as a table, and both as JSON data; all text is printable."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from controller.core.units import from_unix
from controller.flag import CANARY, STABLE
from controller.ports.logs import LogEvent, count_events, parse_event, readable_text
from controller.process.settings import one_line
from controller.safe_text import columns

if TYPE_CHECKING:
    from controller.render.outputs.account import EventCount, EventsData, LogEventData

_MAX_TEXT_CHARACTERS: Final = 2_000  # of an event in one line
_HEAD: Final = ("", CANARY, STABLE, "other", "all")


def event_line(event: LogEvent) -> str:
    """Return an event as one printable line: time, path, name, text."""
    summary = parse_event(event.text)
    text = one_line(readable_text(event.text))
    if len(text) > _MAX_TEXT_CHARACTERS:
        text = f"{text[:_MAX_TEXT_CHARACTERS]}…"
    return f"{_clock_time(event)}  {summary.path:<6}  {one_line(summary.name)}  {text}"


def count_lines(events: Iterable[LogEvent]) -> list[str]:
    """Return a table of the number of events by name and path, the most frequent first."""
    return columns([_HEAD, *_counts(events)], right=range(1, len(_HEAD)))


def _counts(events: Iterable[LogEvent]) -> list[tuple[str, ...]]:
    counts = count_events(events)
    names: Counter[str] = Counter()
    for (name, _), number in counts.items():
        names[name] += number
    return [
        (one_line(name), *(str(counts[name, path]) for path in (CANARY, STABLE, "")), str(number))
        for name, number in sorted(names.items(), key=lambda one: (-one[1], one[0]))
    ]


def events_data(events: Sequence[LogEvent]) -> "EventsData":
    """Return events and their counts as plain JSON data."""
    counts: list[EventCount] = [
        {"event": name, "path": path or None, "count": number}
        for (name, path), number in sorted(count_events(events).items())
    ]
    return {"counts": counts, "events": [_data(one) for one in events]}


def _data(event: LogEvent) -> "LogEventData":
    summary = parse_event(event.text)
    return {
        "id": event.id,
        "at": _iso_time(event),
        "event": summary.name,
        "path": summary.path or None,
        "text": event.text,
    }


def _clock_time(event: LogEvent) -> str:
    return f"{from_unix(event.at_ms // 1_000):%Y-%m-%d %H:%M:%S}.{event.at_ms % 1_000:03}"


def _iso_time(event: LogEvent) -> str:
    return f"{from_unix(event.at_ms // 1_000):%Y-%m-%dT%H:%M:%S}.{event.at_ms % 1_000:03}+00:00"
