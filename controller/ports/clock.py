"""The one source of time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> datetime:
        """Return the current moment, UTC-aware."""
        ...

    def sleep(self, length: timedelta) -> None:
        """Wait for `length`; less when the process is asked to end meanwhile."""
        ...
