"""One simulated process of rolloutctl, whose external calls are intercepted.

A process gets its clients, its store, its clock and its notices from here. Each call to them is an
`ExternalCall`, and the `Interceptor` of the process decides its result: it may make the call or
not, lose the answer, raise what AWS raises, let actors act meanwhile, or crash the process.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, cast

from controller.engine.outbox import Announce
from controller.immutable import Immutable
from controller.ports.clock import Clock
from controller.ports.store import Store
from tests.support.core import Notice, Rollout

Proceed: TypeAlias = Callable[[], Any]

STORE: Final = "store"
CLOCK: Final = "clock"
NOTIFIER: Final = "people"


class CrashedError(BaseException):
    """The process has crashed: no exception handler and no clean-up of it runs."""


class ExternalCall(Immutable):
    """One call of a process to a service, the store, the clock or people.

    number: how many calls of this process came before it. service, operation: `lambda` and
    `UpdateFunctionConfiguration`, `store` and `save`, `clock` and `sleep`, `people` and `notify`.
    function: the one that a request to Lambda names; empty: it names none.
    """

    process: str
    number: int
    service: str
    operation: str
    function: str = ""


Interceptor: TypeAlias = Callable[[ExternalCall, Proceed], Any]
"""Decides the result of an external call: returns it or raises; `proceed` makes the call."""


def pass_through(_call: ExternalCall, proceed: Proceed) -> Any:
    """Make an external call without any fault."""
    return proceed()


class Process:
    """One process, from its start to its end or its crash.

    name: its name in traces. interceptor: decides the results of its external calls. call_count:
    the number of calls so far. crashed: whether it has crashed.
    """

    def __init__(self, name: str, interceptor: Interceptor = pass_through) -> None:
        self.name = name
        self.crashed = False
        self.call_count = 0
        self._interceptor = interceptor

    def call(self, service: str, operation: str, proceed: Proceed, function: str = "") -> Any:
        """Make one external call. Raises CrashedError once the process has crashed."""
        if self.crashed:
            raise CrashedError
        call = ExternalCall(self.name, self.call_count, service, operation, function)
        self.call_count += 1
        try:
            return self._interceptor(call, proceed)
        except CrashedError:
            self.crashed = True
            raise

    def client(self, client: Any, service: str) -> Any:
        """Return `client`, a boto3 client or a fake one, with its calls intercepted."""
        return _Client(self, client, service)

    def store(self, store: Store) -> Store:
        """Return `store` with its calls intercepted: for a store that uses no client of AWS."""
        return cast("Store", _Store(self, store))

    def clock(self, clock: Clock, skew: timedelta = timedelta()) -> Clock:
        """Return `clock` as the machine of this process shows it, ahead by `skew`."""
        return _Clock(self, clock, skew)

    def announcer(self, announce: Announce) -> Announce:
        """Return `announce` with its calls intercepted."""

        def call(rollout: Rollout, notice: Notice) -> None:
            self.call(NOTIFIER, "notify", lambda: announce(rollout, notice))

        return call


class _Client:
    def __init__(self, process: Process, client: Any, service: str) -> None:
        self._process, self._client, self._service = process, client, service

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute
        operation = _aws_operation(name)

        def call(**request: Any) -> Any:
            function = request.get("FunctionName", "")
            return self._process.call(
                self._service, operation, lambda: attribute(**request), function
            )

        return call


def _aws_operation(method: str) -> str:
    """Return AWS's name of the operation that boto3 calls `method`."""
    return "".join(word.capitalize() for word in method.split("_"))


class _Store:
    def __init__(self, process: Process, store: Store) -> None:
        self._process, self._store = process, store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **named: Any) -> Any:
            return self._process.call(STORE, name, lambda: method(*args, **named))

        return call


class _Clock:
    def __init__(self, process: Process, clock: Clock, skew: timedelta) -> None:
        self._process, self._clock, self._skew = process, clock, skew

    def now(self) -> datetime:
        """Return the time on this machine; that is no external call."""
        return self._clock.now() + self._skew

    def sleep(self, length: timedelta) -> None:
        """Wait for `length`."""
        self._process.call(CLOCK, "sleep", lambda: self._clock.sleep(length))
