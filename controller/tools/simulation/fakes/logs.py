"""Fake of CloudWatch Logs: groups, filter patterns, and the events of a simulated function.

Supported patterns are one term, `"words in quotes"`, and
`{ $.a = "text" && $.b.c = 5 && $.d IS TRUE }`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias

from controller.core.policy import LogEvents, Policy
from controller.core.units import MINUTE_S
from controller.errors import PolicyError
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import client_error, page_offset
from controller.tools.simulation.request_draws import RequestLogFeed, TrafficModel
from controller.tools.simulation.scenario.fault_events import LogLine
from controller.tools.simulation.scenario.metric_roles import TrafficPath
from controller.tools.simulation.scenario.timeline import Script

OPERATION: Final = "FilterLogEvents"
MAX_EVENTS: Final = 10_000

_MINUTE_MS: Final = MINUTE_S * 1_000


# Timestamp in ms, an id that is unique at that time, and the message.
_Event: TypeAlias = tuple[int, str, str]


class LogFeed(Protocol):
    """The source of one kind of log event. message: the same in each of them."""

    message: str

    def count(self, second: int) -> int:
        """Return how many were logged in the past minute that begins at `second`."""


@dataclass(slots=True)
class _Group:
    """A log group: single events with their time in ms, and feeds."""

    events: list[_Event] = field(default_factory=list)
    feeds: list[LogFeed] = field(default_factory=list)


class FakeLogs:
    """Fake FilterLogEvents; events come oldest first."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._groups: dict[str, _Group] = defaultdict(_Group)

    def publish(self, group: str, feed: LogFeed) -> None:
        """Let `feed` log into `group`, creating the group if needed."""
        self._groups[group].feeds.append(feed)

    def add(self, group: str, stamp_ms: int, message: str) -> None:
        """Add an event to `group`, creating the group if needed."""
        events = self._groups[group].events
        events.append((stamp_ms, f"put-{len(events):06}", message))

    def filter_log_events(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer FilterLogEvents."""
        name = request["logGroupName"]
        if name not in self._groups:
            message = "The specified log group does not exist."
            raise client_error(OPERATION, "ResourceNotFoundException", message, status=400)
        limit = request.get("limit", MAX_EVENTS)
        text = "The specified nextToken is invalid."
        error = client_error(OPERATION, "InvalidParameterException", text)
        offset = page_offset(request.get("nextToken"), r"from-(\d{1,12})", error)
        events = list(islice(self._matching_events(name, request), offset, offset + limit + 1))
        answer: dict[str, Any] = {
            "events": [
                {"logStreamName": "simulated", "timestamp": stamp, "message": text,
                 "ingestionTime": stamp, "eventId": f"{stamp}-{identity}"}
                for stamp, identity, text in events[:limit]
            ],
            "searchedLogStreams": [],
        }  # fmt: skip
        if len(events) > limit:
            answer["nextToken"] = f"from-{offset + limit}"
        return answer

    def _matching_events(self, name: str, request: Mapping[str, Any]) -> Iterator[_Event]:
        group, pattern = self._groups[name], LogPattern(request.get("filterPattern", ""))
        now_ms = int(self._clock.now().timestamp() * 1_000)
        begin, end = request.get("startTime", 0), min(request.get("endTime", now_ms), now_ms)
        added = sorted(event for event in group.events if pattern.matches(event[2]))
        feeds = [
            (number, feed)
            for number, feed in enumerate(group.feeds)
            if pattern.matches(feed.message)
        ]
        published = (_feed_events(number, feed, begin, end, now_ms) for number, feed in feeds)
        for event in merge(added, *published):
            if begin <= event[0] <= end:
                yield event


def _feed_events(number: int, feed: LogFeed, begin: int, end: int, now_ms: int) -> Iterator[_Event]:
    """Yield the events of every past minute, evenly spread over it."""
    for minute in range(begin // _MINUTE_MS * _MINUTE_MS, end + 1, _MINUTE_MS):
        if minute + _MINUTE_MS > now_ms:
            return
        count = feed.count(minute // 1_000)
        for index in range(count):
            yield minute + index * _MINUTE_MS // count, f"feed-{number}-{index}", feed.message


# --- Filter patterns ------------------------------------------------------------------------------

SUPPORTED_SYNTAX: Final = '{ $.event = "name" && $.flag IS TRUE }, "words in quotes" or one word'

_TERM = re.compile(r'"([^"\\]+)"|([A-Za-z0-9_]+)')
_CONDITION = re.compile(
    r"""\$\.(?P<path>[A-Za-z0-9_.-]+)\s*
    (?:=\s*(?:"(?P<text>[^"\\*]+)"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_-][A-Za-z0-9_-]*))
    |\s+IS\s+(?P<flag>TRUE|FALSE))""",
    re.VERBOSE,
)


class LogPattern:
    """A filter pattern. Raises ValueError for one that the fake does not support."""

    def __init__(self, text: str) -> None:
        self._term: str | None = None
        self._conditions: dict[str, Any] = {}
        text = text.strip()
        if text.startswith("{"):
            parts = text.removeprefix("{").removesuffix("}").split("&&")
            self._conditions = dict(_condition(part) for part in parts)
        elif text:
            term = _TERM.fullmatch(text)
            if term is None:
                raise ValueError(f"a simulated log reads {SUPPORTED_SYNTAX}, not {text}")
            self._term = term[1] or term[2]

    def matches(self, message: str) -> bool:
        """Tell whether an event with this message matches."""
        if self._term is not None:
            return self._term in message
        if not self._conditions:
            return True
        try:
            data = json.loads(message)
        except ValueError:
            return False
        return all(_value_at(data, path) == value for path, value in self._conditions.items())

    def example(self) -> str:
        """Return a message that matches."""
        if self._term is not None:
            return self._term
        data: dict[str, Any] = {}
        for path, value in self._conditions.items():
            *outer, last = path.split(".")
            inner = data
            for name in outer:
                inner = inner.setdefault(name, {})
            inner[last] = value
        return json.dumps(data)


def _condition(part: str) -> tuple[str, Any]:
    match = _CONDITION.fullmatch(part.strip())
    if match is None:
        raise ValueError(f"a simulated log reads {SUPPORTED_SYNTAX}, not {part.strip()}")
    if match["flag"]:
        return match["path"], match["flag"] == "TRUE"
    if match["number"]:
        return match["path"], float(match["number"])
    return match["path"], match["text"] or match["word"]


def _value_at(data: object, path: str) -> object:
    """Return the value at `path`; None where there is none."""
    for name in path.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


# --- What a function logs -------------------------------------------------------------------------


def publish_events(policy: Policy, logs: FakeLogs, traffic: TrafficModel, script: Script) -> None:
    """Let each request log the events that `policy` searches for: on its path, controls on both.

    An event that must be absent is logged only where the scenario says so.
    Raises PolicyError for a pattern that the fake does not support.
    """
    groups = set[str]()
    for group, paths, place, pattern in _searched_events(policy):
        try:
            message = LogPattern(pattern).example()
        except ValueError as error:
            raise PolicyError(f"{place}: {error}") from error
        groups.add(group)
        for path in paths:
            logs.publish(group, RequestLogFeed(traffic, path, message))
    added = {event.message for event in script.scenario.events if isinstance(event, LogLine)}
    for group in groups:
        for message in added:
            logs.publish(group, _MessageFeed(script, message))


def _searched_events(policy: Policy) -> Iterator[tuple[str, tuple[TrafficPath, ...], str, str]]:
    """Yield log group, paths that log it, place in the policy, and pattern of each event."""
    verify = policy.verify_rollback
    if verify is not None:
        group = policy.log_group_of(verify)
        yield group, (TrafficPath.STABLE,), "verify_rollback.present", verify.present
        yield group, (TrafficPath.CANARY,), "verify_rollback.absent", verify.absent
    yielded_controls = set[tuple[str, str]]()
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, LogEvents):
            group = policy.log_group_of(criterion)
            paths = () if criterion.present is None else (TrafficPath.CANARY,)
            field = "absent" if criterion.present is None else "present"
            yield group, paths, f"criteria.{name}.{field}", criterion.event
            control = group, criterion.control
            if control not in yielded_controls:  # once a request, however many criteria share it
                yielded_controls.add(control)
                both = TrafficPath.STABLE, TrafficPath.CANARY
                yield group, both, f"criteria.{name}.control", criterion.control


class _MessageFeed:
    """The log events of one message that a scenario adds."""

    def __init__(self, script: Script, message: str) -> None:
        self.message = message
        self._script = script

    def count(self, second: int) -> int:
        return sum(
            event.times
            for event, moment, _ in self._script.known(LogLine)
            if event.message == self.message and second <= moment < second + MINUTE_S
        )
