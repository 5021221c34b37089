"""The program with its clock moved: python -m tests.e2e.moved MOMENT ARGUMENTS...

Its clock stands at MOMENT when it begins, and goes on from there. All that it knows of time comes
from one class, so only that one is moved: signatures, time-outs and sleeps stay real.
"""

import sys
import time
from datetime import datetime, timedelta

from controller import acting
from controller.adapters.clock import SystemClock
from controller.cli import main


def move_clock(moment: datetime) -> None:
    """Let it be `moment` now."""
    begun = time.monotonic()

    def now(self: SystemClock) -> datetime:
        return moment + timedelta(seconds=time.monotonic() - begun)

    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    acting.LOOK_EVERY = timedelta(milliseconds=100)  # an update of the emulator takes half a second
    move_clock(datetime.fromisoformat(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
