"""Fake of CloudWatch Logs: log groups, searched by pattern, page by page."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias

from controller.core.units import MINUTE_S
from controller.simulation.clock import VirtualClock
from controller.simulation.fakes.errors import client_error
from controller.simulation.fakes.log_pattern import LogPattern

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
        ...


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
        offset = _offset(request.get("nextToken"))
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


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    match = re.fullmatch(r"from-(\d{1,12})", token)
    if match is None:
        message = "The specified nextToken is invalid."
        raise client_error(OPERATION, "InvalidParameterException", message)
    return int(match[1])
