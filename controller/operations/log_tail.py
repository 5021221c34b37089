"""Reading a log: once, as far as the limits go, or following it without a gap or a repetition.

An event may come later than its own time says. Whoever follows looks again at the newest minutes
each time, and knows what it has shown by the id of each event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from controller.core.units import clock_text, count_text, format_duration, from_unix
from controller.errors import LogsError
from controller.ports.clock import Clock
from controller.ports.logs import LogEvent, LogReader
from controller.process import logging, signals

log = logging.logger()

# One look is over at whichever of these comes first, and says so. A page may be empty.
MOST_EVENTS: Final = 10_000
MOST_PAGES: Final = 100
READ_LIMIT: Final = timedelta(seconds=60)
# What comes later than this is not shown by whoever follows.
OVERLAP: Final = timedelta(minutes=5)
# So many looks in a row may be left unanswered before nobody waits for an answer any more.
MAX_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class TailResult:
    """Events in the order of their time. cut: why what came after them was not read; or empty."""

    events: Sequence[LogEvent]
    truncation: str = ""


@dataclass(slots=True)
class Tail:
    """The events of one log group that match a filter pattern.

    told: what was shown already of the minutes that are looked at again, by id: its time in ms.
    """

    reader: LogReader
    clock: Clock
    group: str
    pattern: str = ""
    _seen_ids: dict[str, int] = field(default_factory=dict, init=False)

    def read(self, begin: datetime, end: datetime) -> TailResult:
        """Return what there is from `begin` to `end`. Raises LogsError."""
        deadline = self.clock.now() + READ_LIMIT
        found: list[LogEvent] = []
        cut = ""
        pages = self.reader.pages(self.group, self.pattern, begin, end)
        for number, page in enumerate(pages):
            signals.safe_point()
            if cut := self._truncation(len(found), number, deadline):
                break
            found.extend(page)
        found.sort(key=_by_time)
        if cut and found:
            cut = f"{cut}, at {clock_text(from_unix(found[-1].at_ms // 1_000))}"
        return TailResult(found, cut)

    def follow(self, begin: datetime, until: datetime, every: timedelta) -> Iterator[LogEvent]:
        """Yield what there is since `begin`, and what comes, until `until`.

        Raises LogsError when MISSES looks in a row were left unanswered, or the first one was.
        """
        start, missed = begin, -1
        while True:
            end = self.clock.now()
            try:
                yield from self._new_events(max(begin, start - OVERLAP), end)
            except LogsError as error:
                if missed < 0 or missed + 1 == MAX_FAILURES:
                    raise
                missed += 1
                log.warning("logs_unavailable", group=self.group, problem=str(error))
            else:
                start, missed = end, 0
                self._forget(start - OVERLAP)
            left = until - self.clock.now()
            if left <= timedelta():
                return
            signals.wait(self.clock, min(every, left))

    def _new_events(self, begin: datetime, end: datetime) -> Iterator[LogEvent]:
        """Yield what was not shown yet, page by page: however much it is, nothing is left out."""
        for page in self.reader.pages(self.group, self.pattern, begin, end):
            signals.safe_point()
            fresh = [one for one in page if one.id not in self._seen_ids]
            self._seen_ids.update((one.id, one.at_ms) for one in fresh)
            yield from sorted(fresh, key=_by_time)

    def _forget(self, before: datetime) -> None:
        """Forget what is not looked at again: memory does not grow with the log."""
        limit = before.timestamp() * 1_000
        self._seen_ids = {one: at_ms for one, at_ms in self._seen_ids.items() if at_ms >= limit}

    def _truncation(self, events_read: int, pages: int, deadline: datetime) -> str:
        """Return why no more is read; empty while there is room."""
        if events_read >= MOST_EVENTS:
            return f"reading stopped after {count_text(events_read, 'event')}"
        if pages >= MOST_PAGES:
            return f"reading stopped after {count_text(MOST_PAGES, 'page')}"
        if self.clock.now() >= deadline:
            return f"reading stopped after {format_duration(READ_LIMIT)}"
        return ""


def _by_time(event: LogEvent) -> tuple[int, str]:
    return event.at_ms, event.id
