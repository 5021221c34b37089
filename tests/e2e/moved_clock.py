"""The program with its clock moved: MOMENT, PATIENCE, and the arguments of the command.

Its clock stands at MOMENT when it begins, and goes on from there; empty: it is the real one. All
that it knows of time comes from one class, so only that one is moved: signatures, time-outs and
sleeps stay real.

PATIENCE: how many seconds it waits for a byte of AWS, a quarter of those for a whole call, and in
each of the stages in which a signal ends it; 0: as many as on any day.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from controller.adapters.aws import clients
from controller.adapters.clock import SystemClock
from controller.cli import main
from controller.engine import execute
from controller.process import signals as stopping
from tests.support.emulator import UPDATE_S


def move_clock(moment: datetime) -> None:
    """Let it be `moment` now."""
    begun = time.monotonic()

    def now(self: SystemClock) -> datetime:
        return moment + timedelta(seconds=time.monotonic() - begun)

    SystemClock.now = now  # type: ignore[method-assign]


def limit(patience_s: float) -> None:
    """Let nobody wait for longer than that."""
    adapters: Any = clients
    adapters.READ_S = patience_s
    adapters.TOTAL_S = 4 * patience_s
    signals: Any = stopping
    signals.EFFECTS_S = signals.CALLS_S = patience_s


def run(moment: str, patience: str, *arguments: str) -> int:
    """Run one command; return its exit status."""
    execute.POLL_INTERVAL = timedelta(seconds=UPDATE_S)
    if moment:
        move_clock(datetime.fromisoformat(moment))
    if limit_s := float(patience):
        limit(limit_s)
    return main(list(arguments))
