"""Traps and spoilers of the proxy: they hold a call, or inject faults into it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

from tests.e2e.calls import Call, Wanted
from tests.e2e.faults import Fault

LIMIT_S: Final = 60.0  # the longest wait for a call, and of a held call


class Way(Enum):
    """The outcome of a held call."""

    ON = auto()  # it is executed and answered
    NOT_MADE = auto()  # it never arrives, and its connection is closed
    NOT_ANSWERED = auto()  # it is executed, and its connection is closed before the answer


@dataclass(slots=True)
class Trap:
    """Catches the first call that is `wanted`, and lets all others pass.

    botocore abandons a try after ten seconds and makes another one; the newest try is held.
    """

    wanted: Wanted
    way: Way = Way.ON
    call: Call | None = None
    caught: threading.Event = field(default_factory=threading.Event)
    freed: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the call is caught. Raises TimeoutError when it does not come."""
        _wait(self.caught, "no call was caught")

    def free(self, way: Way = Way.ON) -> None:
        """Release the call with the outcome `way`, and wait until that has happened."""
        self.way = way
        self.freed.set()
        if self.caught.is_set():
            _wait(self.gone, "the call that was freed did not go its way")

    def catches(self, call: Call) -> bool:
        """Tell whether `call` is the caught one, or another try of it while it is held."""
        if self.call is None:
            caught = self.wanted(call)
        else:
            caught = call.invocation == self.call.invocation and not self.freed.is_set()
        if caught:
            self.call = call
            self.caught.set()
        return caught

    @contextmanager
    def held(self, call: Call) -> Iterator[Way]:
        """Hold a caught call until it is released, and yield its outcome."""
        if not self.freed.wait(LIMIT_S) or call is not self.call:
            yield Way.NOT_MADE
            return
        try:
            yield self.way
        finally:
            self.gone.set()


class Spoils(Protocol):
    """Injects faults into calls."""

    def fault_of(self, call: Call) -> Fault | None:
        """Return the fault to inject into `call`; None when it passes."""
        ...


@dataclass(slots=True)
class Spoiler:
    """Injects the next of its `faults` into each call that is `wanted`, until none is left.

    met: the calls that had a fault injected.
    """

    wanted: Wanted
    faults: Iterator[Fault]
    met: list[Call] = field(default_factory=list)

    def fault_of(self, call: Call) -> Fault | None:
        """Return the fault to inject into `call`; None when it passes."""
        fault = next(self.faults, None) if self.wanted(call) else None
        if fault is not None:
            self.met.append(call)
        return fault


def _wait(event: threading.Event, otherwise: str) -> None:
    if not event.wait(LIMIT_S):
        raise TimeoutError(f"{otherwise} within {LIMIT_S:.0f} s")
