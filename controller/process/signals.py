"""Signals: whoever asks this process to end gets a run that ends at a safe point, within 20 s.

A command that moves traffic is `held_together`: a signal is only remembered, until the next safe
point, which is any `wait` and any `point` that stands between two rollouts or before the first
effect of one. Every other command ends at once. SIGINT is Ctrl-C, SIGTERM a scheduler's.

    first signal      no more waiting, nothing new
    EFFECTS_S later   what insists, as lowering does, makes its last try
    CALLS_S later     the call that still has no answer is given up, wherever that is
    CALLS_S later     so is giving back a lease; by then the process has ended

A second signal ends it wherever it is. What that leaves, the next tick finds and puts right.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from controller.ports.clock import Clock

EFFECTS_S: Final = 10.0
CALLS_S: Final = 5.0


class StoppedError(BaseException):
    """The process was asked to end. No `except Exception` holds it up."""


class _CutShortError(BaseException):
    """A sleep is over, because the process was asked to end."""


class Signals:
    """What signals have said to this process, and what it may be interrupted in.

    asked: the number of the first signal; 0: none came. held: it was held back for a safe point.
    spent: the time to insist is over. cut_off: something was ended that was under way.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.spent = False
        self.held = False
        self.cut_off = False
        self.together = False
        self.sleeping = False

    def on_signal(self, number: int, _frame: object) -> None:
        again = bool(self.asked)
        self.asked = self.asked or number
        if again or not self.together:
            self._end_here(cut_off=again)
        self.held = True
        signal.setitimer(signal.ITIMER_REAL, EFFECTS_S, CALLS_S)
        self._wake()

    def on_alarm(self, _number: int, _frame: object) -> None:
        if self.spent:
            self._end_here(cut_off=True)
        self.spent = True
        self._wake()

    def _end_here(self, *, cut_off: bool) -> None:
        self.cut_off = self.cut_off or cut_off
        signal.setitimer(signal.ITIMER_REAL, CALLS_S, CALLS_S)
        self.spent = True
        raise StoppedError

    def _wake(self) -> None:
        if self.sleeping:
            self.sleeping = False
            raise _CutShortError


_heard = Signals()


@contextmanager
def listening() -> Iterator[Signals]:
    """Listen for signals; the first process of a container would not hear of SIGTERM otherwise.

    What is ignored stays ignored. Yields what they said; a thread that is not the main one cannot
    listen.
    """
    global _heard
    heard_before, _heard = _heard, Signals()
    try:
        with _handling(_heard):
            yield _heard
    finally:
        _heard = heard_before


@contextmanager
def _handling(heard: Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {
        signal.SIGALRM: heard.on_alarm,
        **{
            number: heard.on_signal
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        },
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_together() -> Iterator[None]:
    """Let signals wait for a safe point in here."""
    _heard.together = True
    try:
        yield
    finally:
        _heard.together = False


def asked() -> bool:
    """Tell whether the process was asked to end: nothing is followed or waited for any more."""
    return bool(_heard.asked)


def spent() -> bool:
    """Tell whether the time is over in which one insists."""
    return _heard.spent


def point() -> None:
    """Be a safe point: nothing is half done here. Raises StoppedError when asked to end."""
    if _heard.asked:
        raise StoppedError


def wait(clock: "Clock", length: timedelta) -> None:
    """Sleep for `length`; a safe point all the while, as `point` is."""
    point()
    clock.sleep(length)
    point()


def cut_short(sleep: Callable[[float], None], length_s: float) -> None:
    """Sleep until `length_s` is over, or something was said that a sleeper must know."""
    with suppress(_CutShortError):
        _heard.sleeping = True
        sleep(length_s)
        _heard.sleeping = False
