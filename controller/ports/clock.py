"""The port of time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware in UTC."""

    def sleep(self, length: timedelta) -> None:
        """Wait for `length`, or until the process receives a stop signal."""
