"""Log events of a function, structured and plain: what each is about, and which path it took. Pure.

An event in JSON is called as its field `event` says, also where Lambda has wrapped it into a line
or a `message` of its own; an event of Lambda itself by its first word or its `type`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from controller.core.observation import LogQuery, Series

# What the flag of an application logs at each request.
FLAG_CHECK: Final = "api_gateway_percentage_check"
CANARY, STABLE = "canary", "stable"
# What has no name: a line of text, a JSON object that says nothing of an event.
TEXT, JSON = "(text)", "(json)"
# Where the embedded metric format says which fields are metrics.
EMF_FIELD: Final = "_aws"

_LAMBDA_LINE: Final = re.compile(r"(START|END|REPORT|INIT_START|INIT_REPORT|EXTENSION|XRAY)\b")
_EVENT_NAME: Final = re.compile(r"""\bevent["']?\s*[=:]\s*["']?([\w.:-]+)""")
_FLAG: Final = re.compile(r"""\buse_api_gateway["']?\s*[=:]\s*["']?(true|false)\b""", re.IGNORECASE)
_PERCENTAGE: Final = re.compile(r"""\bpercentage["']?\s*[=:]\s*["']?(\d{1,3})\b""")
_PATHS: Final = {True: CANARY, False: STABLE, "true": CANARY, "false": STABLE}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """An event as the log has it. id: the same whenever it is read; at_ms: unix milliseconds."""

    id: str
    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class EventSummary:
    """What an event is about.

    path: canary or stable; empty where it does not say. percentage: the weight that the application
    has read; None where it does not say.
    """

    name: str
    path: str = ""
    percentage: int | None = None


def parse_event(text: str) -> EventSummary:
    """Return what the event with this `text` is about."""
    data = _json_object(text)
    return _parse_text(text) if data is None else _parse_object(data)


def readable_text(text: str) -> str:
    """Return `text` as people read it: without what only tells CloudWatch of metrics in it."""
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
    """Tell whether `event` is called `name`, or is plain text with that word in it."""
    called = parse_event(event.text).name
    if called in (TEXT, JSON):
        return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", event.text) is not None
    return called == name


def count_events(events: Iterable[LogEvent]) -> Counter[tuple[str, str]]:
    """Return how many events there are by name and path."""
    return Counter((one.name, one.path) for one in (parse_event(event.text) for event in events))


def _json_object(text: str) -> Mapping[str, Any] | None:
    """Return the JSON object that `text` is, or ends with after what Lambda puts in front."""
    begin = text.find("{")
    if begin < 0 or not text.rstrip().endswith("}"):
        return None
    try:
        found = json.loads(text[begin:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


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
    return EventSummary(name, _path(data), _percentage(data))


def _path(data: Mapping[str, Any]) -> str:
    flag, path = data.get("use_api_gateway"), data.get("Path")
    if isinstance(flag, str):
        flag = flag.lower()
    if isinstance(flag, bool | str) and flag in _PATHS:
        return _PATHS[flag]
    return path if isinstance(path, str) and path in (CANARY, STABLE) else ""


def _percentage(data: Mapping[str, Any]) -> int | None:
    said = data.get("percentage")
    if isinstance(said, str) and said.isdecimal() and len(said) <= 3:
        said = int(said)
    return said if type(said) is int and 0 <= said <= 100 else None


def _parse_text(text: str) -> EventSummary:
    if of_lambda := _LAMBDA_LINE.match(text):
        return EventSummary(of_lambda[1])
    name, flag, said = _EVENT_NAME.search(text), _FLAG.search(text), _PERCENTAGE.search(text)
    if name is None and re.search(rf"\b{FLAG_CHECK}\b", text):
        return EventSummary(
            FLAG_CHECK, _PATHS[flag[1].lower()] if flag else "", int(said[1]) if said else None
        )
    path = _PATHS[flag[1].lower()] if flag else ""
    return EventSummary(name[1] if name else TEXT, path, int(said[1]) if said else None)


class LogSource(Protocol):
    """Where log events are counted."""

    def count(self, queries: Iterable[LogQuery]) -> Mapping[LogQuery, Series]:
        """Return how many events match each query, by minute, or as many as are enough.

        Never raises for a source that does not answer: such a series says so, and why.
        """
        ...


class LogReader(Protocol):
    """Where log events are read, with their text."""

    def pages(
        self, group: str, pattern: str, start: datetime, end: datetime
    ) -> Iterable[Sequence["LogEvent"]]:
        """Yield the events from `start` to `end`, oldest first; a page may be empty and not last.

        pattern: of a filter; an empty one matches every event. Raises LogsError on the way.
        """
        ...
