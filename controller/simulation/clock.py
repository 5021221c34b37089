"""Virtual time: it passes only when somebody waits, and then at once."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta


class VirtualClock:
    """The `Clock` of a simulated world.

    What is due fires in order while time passes, each at its own moment, so that a wait of an hour
    sees everything that happens within that hour.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs a moment with a time zone")
        self._now = start
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbered = 0

    def now(self) -> datetime:
        """Return the current virtual moment."""
        return self._now

    def sleep(self, length: timedelta) -> None:
        """Let `length` pass."""
        self.advance(length)

    def advance(self, length: timedelta) -> None:
        """Let `length` pass and fire what is due on the way; a negative length passes no time."""
        until = max(self._now, self._now + length)
        while self._due and self._due[0][0] <= until:
            moment, _, action = heapq.heappop(self._due)
            self._now = max(self._now, moment)
            action()
        self._now = max(self._now, until)

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Fire `action` at `moment`; when that is over already, with the next time that passes."""
        # The number keeps actions of one moment in the order in which they were planned.
        heapq.heappush(self._due, (moment, self._numbered, action))
        self._numbered += 1
