"""Signals: SIGINT (Ctrl-C) and SIGTERM (a scheduler) end the process at a safe point, within 20 s.

A command that moves traffic runs under `defer_signals`: a signal is only recorded until the next
safe point, which is any `wait`, and any `safe_point` between two rollouts or before the first
effect of one. Every other command ends at once.

    first signal         no more waiting, and nothing new begins
    GRACE_S later        retries end, such as those of a write of 0%, after a last attempt
    CALL_GRACE_S later   a call without an answer is interrupted, wherever that is
    CALL_GRACE_S later   so is the release of a lease; by then the process has ended

A second signal ends the process at once. The next tick repairs what that leaves unfinished.
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
# No others are blocked: Python makes an enum of each signal of a mask, and a mask of all of them
# took a tenth of a millisecond of each call to AWS.
HANDLED: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGALRM})
LOOK_S: Final = 0.1  # how often a sleeping thread looks whether a signal came


class StoppedError(BaseException):
    """The process received a stop signal. No `except Exception` catches this."""


class _WakeUpError(BaseException):
    """A sleep was interrupted, because the process received a stop signal."""


class Signals:
    """The signals that this process received, and how they may interrupt it.

    first_signal: the number of the first signal; 0: none was received.
    grace_over: the time for retries is over.
    deferred: the signal was deferred to a safe point.
    interrupted: an operation was interrupted before its end.
    deferring: the running command defers signals. sleeping: it sleeps, and a signal wakes it up.
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
            self._stop_now(interrupted=again)
        self.deferred = True
        signal.setitimer(signal.ITIMER_REAL, GRACE_S, CALL_GRACE_S)
        self._wake()

    def on_alarm(self, _number: int, _frame: object) -> None:
        if self.grace_over:
            self._stop_now(interrupted=True)
        self.grace_over = True
        self._wake()

    def _stop_now(self, *, interrupted: bool) -> None:
        self.interrupted = self.interrupted or interrupted
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
    """Install handlers for SIGINT, SIGTERM and SIGALRM, and yield their state.

    Without a handler, process 1 of a container never receives SIGTERM. An ignored signal stays
    ignored. Only the main thread can install handlers; in any other thread none is installed, and
    in a browser neither, whose Python has no timers.
    """
    global _signals
    previous, _signals = _signals, Signals()
    try:
        with _install_handlers(_signals):
            yield _signals
    finally:
        _signals = previous


@contextmanager
def _install_handlers(state: Signals) -> Iterator[None]:
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (in_main_thread and hasattr(signal, "setitimer")):
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
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, previous_handler in previous.items():
            signal.signal(number, previous_handler)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer signals to the next safe point while this context is open."""
    _signals.deferring = True
    try:
        yield
    finally:
        _signals.deferring = False


@contextmanager
def blocked() -> Iterator[None]:
    """Block HANDLED in a thread that is started inside this context, for its whole life.

    The kernel delivers a signal of the process to any thread that does not block it. Only the main
    thread can handle it, and would not be woken from its wait.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_requested() -> bool:
    """Tell whether the process received a stop signal: it waits for nothing any more."""
    return bool(_signals.first_signal)


def grace_is_over() -> bool:
    """Tell whether the time for retries after a stop signal is over."""
    return _signals.grace_over


def safe_point() -> None:
    """Mark a place with no unfinished operation. Raises StoppedError after a stop signal."""
    if _signals.first_signal:
        raise StoppedError


def wait(clock: "Clock", length: timedelta) -> None:
    """Sleep for `length`. The sleep is a safe point: raises StoppedError after a stop signal."""
    safe_point()
    clock.sleep(length)
    safe_point()


def interruptible_sleep(sleep: Callable[[float], None], length_s: float) -> None:
    """Sleep for `length_s` seconds, or until a signal wakes this process up.

    A sleep that begins after a signal lasts until the next one, so that retries keep their pauses.
    A signal is handled in the main thread, so any other one looks for it from time to time.
    """
    if threading.current_thread() is not threading.main_thread():
        before = _signals.first_signal, _signals.grace_over
        while length_s > 0 and (_signals.first_signal, _signals.grace_over) == before:
            sleep(min(LOOK_S, length_s))
            length_s -= LOOK_S
        return
    with suppress(_WakeUpError):
        _signals.sleeping = True
        sleep(length_s)
        _signals.sleeping = False
