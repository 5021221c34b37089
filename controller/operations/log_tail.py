"""The events of a log group: read once within limits, or followed without gaps or duplicates.

An event may arrive later than its timestamp says. Following therefore reads the newest minutes
again each time, and skips the events whose ids it has yielded already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.core.units import clock_text, count_text, format_duration, from_unix
from controller.errors import LogsError
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.logs import LogEvent, LogReader
from controller.process import logging, signals

log = logging.logger()

# A read stops at the first of these limits, and reports it. A page may be empty.
MAX_EVENTS: Final = 10_000
MAX_PAGES: Final = 100
READ_LIMIT: Final = timedelta(seconds=60)
# An event that arrives later than this is missed while following.
OVERLAP: Final = timedelta(minutes=5)
# Following gives up after this many failed reads in a row.
MAX_FAILURES: Final = 5


class TailResult(Immutable):
    """Events ordered by time.

    truncation: why later events were not read; empty: all were read.
    """

    events: Sequence[LogEvent]
    truncation: str = ""


@dataclass(slots=True)
class Tail:
    """The events of one log group that match a filter pattern.

    _seen_ids: the events already yielded of the minutes that are read again; id to time in ms.
    """

    reader: LogReader
    clock: Clock
    group: str
    pattern: str = ""
    _seen_ids: dict[str, int] = field(default_factory=dict, init=False)

    def read(self, begin: datetime, end: datetime) -> TailResult:
        """Return the events from `begin` to `end`. Raises LogsError."""
        deadline = self.clock.now() + READ_LIMIT
        events: list[LogEvent] = []
        truncation = ""
        pages = self.reader.pages(self.group, self.pattern, begin, end)
        for number, page in enumerate(pages):
            signals.safe_point()
            if truncation := self._truncation(len(events), number, deadline):
                break
            events.extend(page)
        events.sort(key=_by_time)
        if truncation and events:
            truncation = f"{truncation}, at {clock_text(from_unix(events[-1].at_ms // 1_000))}"
        return TailResult(events, truncation)

    def follow(self, begin: datetime, until: datetime, every: timedelta) -> Iterator[LogEvent]:
        """Yield the events since `begin`, and new ones as they arrive, until `until`.

        Raises LogsError when the first read fails, or MAX_FAILURES reads in a row after it.
        """
        start, failures = begin, -1
        while True:
            end = self.clock.now()
            try:
                yield from self._new_events(max(begin, start - OVERLAP), end)
            except LogsError as error:
                if failures < 0 or failures + 1 == MAX_FAILURES:
                    raise
                failures += 1
                log.warning("logs_unavailable", group=self.group, problem=str(error))
            else:
                start, failures = end, 0
                # The ids of events that are not read again are dropped: memory stays bounded.
                limit = (start - OVERLAP).timestamp() * 1_000
                self._seen_ids = {one: at for one, at in self._seen_ids.items() if at >= limit}
            remaining = until - self.clock.now()
            if remaining <= timedelta():
                return
            signals.wait(self.clock, min(every, remaining))

    def _new_events(self, begin: datetime, end: datetime) -> Iterator[LogEvent]:
        """Yield the events not yielded before, page by page and without a limit."""
        for page in self.reader.pages(self.group, self.pattern, begin, end):
            signals.safe_point()
            new_events = [one for one in page if one.id not in self._seen_ids]
            self._seen_ids.update((event.id, event.at_ms) for event in new_events)
            yield from sorted(new_events, key=_by_time)

    def _truncation(self, events_read: int, pages: int, deadline: datetime) -> str:
        """Return why reading stops here; empty while within the limits."""
        if events_read >= MAX_EVENTS:
            return f"reading stopped after {count_text(events_read, 'event')}"
        if pages >= MAX_PAGES:
            return f"reading stopped after {count_text(MAX_PAGES, 'page')}"
        if self.clock.now() >= deadline:
            return f"reading stopped after {format_duration(READ_LIMIT)}"
        return ""


def _by_time(event: LogEvent) -> tuple[int, str]:
    return event.at_ms, event.id
