"""Log events of a function: their source as a Protocol, and a pure parser of name, path and weight.

The name of an event in JSON is its field `event`, also where Lambda has wrapped it into a line or a
`message` of its own. The name of an event of Lambda itself is its first word or its `type`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from controller.flag import CANARY, EVENT, STABLE
from controller.immutable import Immutable

# The name of an event without one: a line of text, and a JSON object without the field `event`.
TEXT, JSON = "(text)", "(json)"
# The field of the embedded metric format that declares the metrics.
EMF_FIELD: Final = "_aws"

_LAMBDA_LINE: Final = re.compile(r"(START|END|REPORT|INIT_START|INIT_REPORT|EXTENSION|XRAY)\b")
_EVENT_NAME: Final = re.compile(r"""\bevent["']?\s*[=:]\s*["']?([\w.:-]+)""")
_PATH: Final = re.compile(r"""\bpath["']?\s*[=:]\s*["']?(canary|stable)\b""", re.IGNORECASE)
_PERCENTAGE: Final = re.compile(r"""\bpercentage["']?\s*[=:]\s*["']?(\d{1,3})\b""")


class LogEvent(Immutable):
    """A log event as CloudWatch stores it. id: the same at each read; at_ms: Unix milliseconds."""

    id: str
    at_ms: int
    text: str


class EventSummary(Immutable):
    """What the parser reads from a log event.

    path: canary or stable; empty where the event has none. percentage: the weight that the
    application has read; None where the event has none.
    """

    name: str
    path: str = ""
    percentage: int | None = None


class LogReader(Protocol):
    """Reads log events with their text."""

    def pages(
        self, group: str, pattern: str, start: datetime, end: datetime
    ) -> Iterable[Sequence[LogEvent]]:
        """Yield the events from `start` to `end`, oldest first; a page may be empty and not last.

        pattern: a CloudWatch filter pattern; an empty one matches every event. Raises LogsError
        while it is iterated.
        """


# --- Parser ---------------------------------------------------------------------------------------


def parse_event(text: str) -> EventSummary:
    """Return the summary of the log event with this `text`."""
    data = _json_object(text)
    return _parse_text(text) if data is None else _parse_object(data)


def readable_text(text: str) -> str:
    """Return `text` without the field that only declares metrics to CloudWatch."""
    data = _json_object(text)
    if data is None:
        return text
    plain = {name: value for name, value in data.items() if name != EMF_FIELD}
    match data.get("message"):
        case str() as message:
            plain["message"] = readable_text(message)
        case {"_aws": _, **rest}:
            plain["message"] = rest
        case _:
            pass
    if plain == data:
        return text
    return text[: text.index("{")] + json.dumps(plain, ensure_ascii=False)


def matches_name(event: LogEvent, name: str) -> bool:
    """Tell whether the name of `event` is `name`, or it is plain text that contains this word."""
    event_name = parse_event(event.text).name
    if event_name in (TEXT, JSON):
        return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", event.text) is not None
    return event_name == name


def count_events(events: Iterable[LogEvent]) -> Counter[tuple[str, str]]:
    """Return the number of events by name and path."""
    summaries = (parse_event(event.text) for event in events)
    return Counter((summary.name, summary.path) for summary in summaries)


def _json_object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object that `text` ends with: Lambda may put words in front of it."""
    begin = text.find("{")
    if begin < 0 or not text.rstrip().endswith("}"):
        return None
    try:
        data = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _parse_object(data: Mapping[str, Any]) -> EventSummary:
    message = data.get("message")
    inner: Mapping[str, Any] | None = message if isinstance(message, dict) else None
    if isinstance(message, str):
        inner = _json_object(message)
    if inner is not None:
        data = {**data, **inner}
    name, kind = data.get("event"), data.get("type")
    if not isinstance(name, str) or not name:
        of_lambda = isinstance(kind, str) and kind.startswith("platform.")
        name = kind if of_lambda and isinstance(kind, str) else JSON
    path = data.get("Path")
    percentage = data.get("percentage")
    if isinstance(percentage, str) and percentage.isdecimal() and len(percentage) <= 3:
        percentage = int(percentage)
    if not isinstance(path, str) or path not in (CANARY, STABLE):
        path = ""
    if type(percentage) is not int or not 0 <= percentage <= 100:
        percentage = None
    return EventSummary(name, path, percentage)


def _parse_text(text: str) -> EventSummary:
    if of_lambda := _LAMBDA_LINE.match(text):
        return EventSummary(of_lambda[1])
    name, which, number = _EVENT_NAME.search(text), _PATH.search(text), _PERCENTAGE.search(text)
    path = which[1].lower() if which else ""
    percentage = int(number[1]) if number else None
    if name is None and re.search(rf"\b{EVENT}\b", text):
        return EventSummary(EVENT, path, percentage)
    return EventSummary(name[1] if name else TEXT, path, percentage)
