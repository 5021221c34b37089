"""What waits in a proxy for a call to come: to hold it, or to spoil it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from tests.e2e.calls import Call, Wanted
from tests.e2e.faults import Fault

LIMIT_S: Final = 60.0  # of every wait for a call, and of every call that is held


class Way(Enum):
    """What becomes of a call that was caught."""

    ON = auto()
    NOT_MADE = auto()  # it never arrives, and its connection breaks
    NOT_ANSWERED = auto()  # it is carried out, and then its connection breaks


@dataclass(slots=True)
class Trap:
    """Catches the first call that is `wanted`, and lets all others pass.

    botocore gives a try up after ten seconds and makes another one; the newest is the call.
    """

    wanted: Wanted
    way: Way = Way.ON
    call: Call | None = None
    caught: threading.Event = field(default_factory=threading.Event)
    freed: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the call is there. Raises TimeoutError when it does not come."""
        _wait(self.caught, "no call was caught")

    def free(self, way: Way = Way.ON) -> None:
        """Let the call go its way, and wait until it has."""
        self.way = way
        self.freed.set()
        if self.caught.is_set():
            _wait(self.gone, "the call that was freed did not go its way")

    def catches(self, call: Call) -> bool:
        """Tell whether this is the call, or one more try of it while it is held."""
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
        """Hold a call that was caught until it is freed, and yield which way it goes then."""
        if not self.freed.wait(LIMIT_S) or call is not self.call:
            yield Way.NOT_MADE
            return
        try:
            yield self.way
        finally:
            self.gone.set()


@dataclass(slots=True)
class Spoiler:
    """Gives each call that is `wanted` the next of its `faults`; when none is left, it passes.

    met: the calls that met one.
    """

    wanted: Wanted
    faults: Iterator[Fault]
    met: list[Call] = field(default_factory=list)

    def fault_of(self, call: Call) -> Fault | None:
        """Return what `call` meets; None when it passes."""
        fault = next(self.faults, None) if self.wanted(call) else None
        if fault is not None:
            self.met.append(call)
        return fault


def _wait(event: threading.Event, otherwise: str) -> None:
    if not event.wait(LIMIT_S):
        raise TimeoutError(f"{otherwise} within {LIMIT_S:.0f} s")
