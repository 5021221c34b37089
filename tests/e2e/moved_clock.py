"""Runs rolloutctl with a moved clock: `run(MOMENT, PATIENCE, arguments of the command)`.

MOMENT: the time at which its clock starts; empty: the real clock; the path of a file: the clock
differs from the real one by the seconds in it, and a test moves it by writing others. The program
reads the time from one class, and only that one is patched: signatures, time-outs and sleeps stay
real, but for the sleeps of a clock that is moved.

PATIENCE: in seconds, the read time-out of AWS calls, a quarter of the limit of a whole call, and
the length of each stage in which a signal ends the program; 0: the usual limits.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Final

from controller.adapters.aws import clients
from controller.adapters.clock import SystemClock
from controller.cli import main
from controller.engine import time_limits
from controller.process import signals
from tests.support.emulator import UPDATE_S

_LOOK_S: Final = 0.02  # how often a sleeping program looks whether its clock was moved


def move_clock(moment: datetime) -> None:
    """Start the clock of the program at `moment`."""
    started = time.monotonic()

    def now(self: SystemClock) -> datetime:
        return moment + timedelta(seconds=time.monotonic() - started)

    SystemClock.now = now  # type: ignore[method-assign]


def follow_clock(file: Path) -> None:
    """Let the clock of the program differ from the real one by the seconds in `file`."""

    def now(self: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text()))

    def sleep(self: SystemClock, length: timedelta) -> None:
        until = now(self) + length
        while now(self) < until and not signals.stop_requested():
            signals.interruptible_sleep(time.sleep, _LOOK_S)

    SystemClock.now = now  # type: ignore[method-assign]
    SystemClock.sleep = sleep  # type: ignore[method-assign]


def limit(patience_s: float) -> None:
    """Shorten the limits of AWS calls, and of the stages in which a signal ends the program."""
    _replace(clients, "READ_S", patience_s)
    _replace(clients, "TOTAL_S", 4 * patience_s)
    _replace(signals, "GRACE_S", patience_s)
    _replace(signals, "CALL_GRACE_S", patience_s)


def _replace(module: ModuleType, name: str, value: object) -> None:
    """Set a constant of a module. Raises AttributeError when the module has none of this name."""
    getattr(module, name)
    setattr(module, name, value)


def run(moment: str, patience: str, *arguments: str) -> int:
    """Run one command; return its exit status."""
    _replace(time_limits, "POLL_INTERVAL", timedelta(seconds=UPDATE_S))
    if moment.startswith("/"):
        follow_clock(Path(moment))
    elif moment:
        move_clock(datetime.fromisoformat(moment))
    if limit_s := float(patience):
        limit(limit_s)
    return main(list(arguments))
