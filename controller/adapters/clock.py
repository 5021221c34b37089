"""The system clock: the only module that reads the time of the system, or sleeps."""

import time
from datetime import UTC, datetime, timedelta

from controller.process import signals


class SystemClock:
    """`Clock` on the time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, length: timedelta) -> None:
        """Block for `length`, or until the process is asked to end; a negative length is none."""
        signals.interruptible_sleep(time.sleep, max(0.0, length.total_seconds()))
