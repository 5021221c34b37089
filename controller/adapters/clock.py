"""The clock on the wall: the only place that asks the system for the time, or sleeps."""

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> datetime:
        """Return the current moment, UTC-aware."""
        return datetime.now(UTC)

    def sleep(self, length: timedelta) -> None:
        """Block for `length`; a negative length is none."""
        time.sleep(max(0.0, length.total_seconds()))
