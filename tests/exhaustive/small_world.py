"""A world that is small enough to be restored: one function, its metrics, a store and a clock.

The state that processes share is a `SharedState`, which can be compared, kept and restored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from controller.adapters.stores.sqlite import SqliteStore
from tests.chaos.process import STORE
from tests.exhaustive.small_account import CanaryHealth, Cloud, CloudState
from tests.exhaustive.small_store import ProcessStores, StoreState
from tests.support.core import Policy
from tests.support.rollouts import lambda_env

INSTANT_UPDATE: Final = timedelta()
SLOW_UPDATE: Final = timedelta(seconds=2)


@dataclass(frozen=True, eq=False, slots=True)
class SharedState:
    """The state that processes share; it is interned, so equal states are identical."""

    store: StoreState
    cloud: CloudState

    @property
    def now(self) -> datetime:
        """The time of the world."""
        return self.cloud.now


class SmallWorld:
    """One function, one store, one clock.

    canary: the health of the canary. takes: how long an update of the function takes.
    """

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        canary: CanaryHealth = "healthy",
        takes: timedelta = INSTANT_UPDATE,
    ) -> None:
        self.policy = policy
        self.cloud = Cloud(lambda_env(policy), canary, takes)
        self.clock = self.cloud.clock
        self._stores = ProcessStores(folder)
        self._store_states: dict[StoreState, StoreState] = {}
        self._cloud_states: dict[CloudState, CloudState] = {}
        self._shared_states: dict[tuple[int, int], SharedState] = {}

    def client(self) -> "Client":
        """Return a fake of the boto3 clients of Lambda and CloudWatch."""
        return Client(self.cloud)

    def store(self, process: str) -> SqliteStore:
        """Return the store as `process` has it open."""
        return self._stores.of(process)

    def close(self) -> None:
        """Close every store."""
        self._stores.close()

    def snapshot(self) -> SharedState:
        """Return the current state."""
        return self._intern(self._stores.snapshot(), self.cloud.snapshot())

    def restore(self, shared: SharedState) -> None:
        """Restore `shared`."""
        self._stores.restore(shared.store)
        self.cloud.restore(shared.cloud)

    def run_from(
        self, shared: SharedState, service: str, act: Callable[[], Any]
    ) -> tuple[Any, SharedState]:
        """Return the result of `act`, and the shared state after it.

        act: a call to `service` in the state `shared`. A call to the store changes only the store;
        any other call changes everything but the store.
        """
        self.cloud.restore(shared.cloud)
        if service != STORE:
            return act(), self._intern(shared.store, self.cloud.snapshot())
        self._stores.restore(shared.store)
        return act(), self._intern(self._stores.snapshot(), shared.cloud)

    def without(self, shared: SharedState, process: str) -> SharedState:
        """Return the shared state once `process` has ended."""
        return self._intern(shared.store.without(process), shared.cloud)

    def _intern(self, store: StoreState, cloud: CloudState) -> SharedState:
        store, cloud = (
            self._store_states.setdefault(store, store),
            self._cloud_states.setdefault(cloud, cloud),
        )
        return self._shared_states.setdefault((id(store), id(cloud)), SharedState(store, cloud))


class Client:
    """The methods of boto3 clients that a tick calls."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **request: self._cloud.call(method, request)
