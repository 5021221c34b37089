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

GRACE_S: Final = 10.0
CALL_GRACE_S: Final = 5.0


class StoppedError(BaseException):
    """The process was asked to end. No `except Exception` holds it up."""


class _WakeUpError(BaseException):
    """A sleep is over, because the process was asked to end."""


class Signals:
    """What signals have said to this process, and what it may be interrupted in.

    asked: the number of the first signal; 0: none came. held: it was held back for a safe point.
    spent: the time to insist is over. cut_off: something was ended that was under way.
    """

    def __init__(self) -> None:
        self.first_signal = 0
        self.grace_over = False
        self.deferred = False
        self.interrupted = False
        self.deferring = False
        self.sleeping = False

    def on_signal(self, number: int, _frame: object) -> None:
        again = bool(self.first_signal)
        self.first_signal = self.first_signal or number
        if again or not self.deferring:
            self._end_here(cut_off=again)
        self.deferred = True
        signal.setitimer(signal.ITIMER_REAL, GRACE_S, CALL_GRACE_S)
        self._wake()

    def on_alarm(self, _number: int, _frame: object) -> None:
        if self.grace_over:
            self._end_here(cut_off=True)
        self.grace_over = True
        self._wake()

    def _end_here(self, *, cut_off: bool) -> None:
        self.interrupted = self.interrupted or cut_off
        signal.setitimer(signal.ITIMER_REAL, CALL_GRACE_S, CALL_GRACE_S)
        self.grace_over = True
        raise StoppedError

    def _wake(self) -> None:
        if self.sleeping:
            self.sleeping = False
            raise _WakeUpError


_signals = Signals()


@contextmanager
def handle_signals() -> Iterator[Signals]:
    """Listen for signals; the first process of a container would not hear of SIGTERM otherwise.

    What is ignored stays ignored. Yields what they said; a thread that is not the main one cannot
    listen.
    """
    global _signals
    heard_before, _signals = _signals, Signals()
    try:
        with _install_handlers(_signals):
            yield _signals
    finally:
        _signals = heard_before


@contextmanager
def _install_handlers(state: Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {
        signal.SIGALRM: state.on_alarm,
        **{
            number: state.on_signal
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
def defer_signals() -> Iterator[None]:
    """Let signals wait for a safe point in here."""
    _signals.deferring = True
    try:
        yield
    finally:
        _signals.deferring = False


def stop_requested() -> bool:
    """Tell whether the process was asked to end: nothing is followed or waited for any more."""
    return bool(_signals.first_signal)


def grace_is_over() -> bool:
    """Tell whether the time is over in which one insists."""
    return _signals.grace_over


def safe_point() -> None:
    """Be a safe point: nothing is half done here. Raises StoppedError when asked to end."""
    if _signals.first_signal:
        raise StoppedError


def wait(clock: "Clock", length: timedelta) -> None:
    """Sleep for `length`; a safe point all the while, as `point` is."""
    safe_point()
    clock.sleep(length)
    safe_point()


def interruptible_sleep(sleep: Callable[[float], None], length_s: float) -> None:
    """Sleep until `length_s` is over, or something was said that a sleeper must know."""
    with suppress(_WakeUpError):
        _signals.sleeping = True
        sleep(length_s)
        _signals.sleeping = False
