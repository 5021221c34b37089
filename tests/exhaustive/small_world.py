"""A world so small that it can be put back: one function, its metrics, a store and a clock.

All that processes share is a `Shared`, which can be compared, kept and put back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from controller.adapters.stores.sqlite import SqliteStore
from controller.core.policy import Policy
from tests.chaos.process import STORE
from tests.exhaustive.small_account import Canary, Cloud, Sky
from tests.exhaustive.small_store import Books, Stores

AT_ONCE: Final = timedelta()
SLOW: Final = timedelta(seconds=2)


@dataclass(frozen=True, eq=False, slots=True)
class Shared:
    """Everything that processes share; there is one of equal ones, so they are told by identity."""

    books: Books
    sky: Sky

    @property
    def now(self) -> datetime:
        """What time it is."""
        return self.sky.now


class SmallWorld:
    """One function, one store, one clock.

    canary: how its requests are answered. takes: how long an update of the function takes.
    """

    def __init__(
        self, folder: Path, policy: Policy, canary: Canary = "healthy", takes: timedelta = AT_ONCE
    ) -> None:
        self.policy = policy
        self.cloud = Cloud(policy.target, canary, takes)
        self.clock = self.cloud.clock
        self._stores = Stores(folder)
        self._books: dict[Books, Books] = {}
        self._skies: dict[Sky, Sky] = {}
        self._known: dict[tuple[int, int], Shared] = {}

    def client(self) -> "Client":
        """Return what stands for the boto3 clients of Lambda and CloudWatch."""
        return Client(self.cloud)

    def store(self, process: str) -> SqliteStore:
        """Return the store as `process` has it open."""
        return self._stores.of(process)

    def close(self) -> None:
        """Close every store."""
        self._stores.close()

    def keep(self) -> Shared:
        """Return everything as it stands."""
        return self._same(self._stores.keep(), self.cloud.keep())

    def put_back(self, shared: Shared) -> None:
        """Make everything as it was."""
        self._stores.put_back(shared.books)
        self.cloud.put_back(shared.sky)

    def changed(self, shared: Shared, service: str, act: Callable[[], Any]) -> tuple[Any, Shared]:
        """Return what `act`, a step to `service` from `shared`, returns, and what is shared then.

        A step to the store changes nothing but the store, any other one everything but the store.
        """
        self.cloud.put_back(shared.sky)
        if service != STORE:
            return act(), self._same(shared.books, self.cloud.keep())
        self._stores.put_back(shared.books)
        return act(), self._same(self._stores.keep(), shared.sky)

    def without(self, shared: Shared, process: str) -> Shared:
        """Return what is shared once `process` is gone."""
        return self._same(shared.books.without(process), shared.sky)

    def _same(self, books: Books, sky: Sky) -> Shared:
        books, sky = self._books.setdefault(books, books), self._skies.setdefault(sky, sky)
        return self._known.setdefault((id(books), id(sky)), Shared(books, sky))


class Client:
    """The methods of boto3 clients that a tick calls."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **request: self._cloud.call(method, request)
