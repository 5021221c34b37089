"""A virtual clock: time passes only in `sleep` and `advance`, and then at once."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta


class VirtualClock:
    """The `Clock` of a simulated world.

    Scheduled actions run in order while time passes, each at its own moment, so that a wait of an
    hour includes everything that happens within that hour.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs a moment with a time zone")
        self._now = start
        self._schedule: list[tuple[datetime, int, Callable[[], None]]] = []
        self._next_number = 0

    def now(self) -> datetime:
        return self._now

    def sleep(self, length: timedelta) -> None:
        self.advance(length)

    def advance(self, length: timedelta) -> None:
        """Let `length` pass and run the actions that are due; a negative length passes no time."""
        end = max(self._now, self._now + length)
        while self._schedule and self._schedule[0][0] <= end:
            moment, _, action = heapq.heappop(self._schedule)
            self._now = max(self._now, moment)
            action()
        self._now = max(self._now, end)

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Run `action` at `moment`; when that is past, as soon as time passes again."""
        # The number keeps actions of one moment in the order in which they were planned.
        heapq.heappush(self._schedule, (moment, self._next_number, action))
        self._next_number += 1
