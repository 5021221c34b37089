"""Two versions of rolloutctl on one store by turns: the newest one, and the one before.

The one before is this version with the formats that the one before reads and writes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast
from unittest.mock import patch

from controller.core import stored_formats
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.tools.store.upgrade import StoreUpgrade
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.process import Process
from tests.chaos.program import FaultFreeStore, Program, Stores
from tests.chaos.run import stores_of
from tests.chaos.simulator import Simulator
from tests.chaos.trace import Trace

NEWEST: Final = stored_formats.NEWEST
BEFORE: Final = NEWEST - 1
LATEST_UPGRADE: Final = 25  # turns, of a minute each; most stories are over after 32

VersionOf: TypeAlias = Callable[[int, bool], int]
"""Returns the newest format of a process, by its number and whether the store is upgraded."""
Act: TypeAlias = Callable[["MixedStores", Clock], None]
"""Does something to the store, at the time of a clock."""


def newest_only(_number: int, _upgraded: bool) -> int:
    """Run the newest version alone."""
    return NEWEST


def by_turns(number: int, _upgraded: bool) -> int:
    """Run the version before as every other process, also after the upgrade."""
    return BEFORE if number % 2 else NEWEST


def by_turns_until_the_upgrade(number: int, upgraded: bool) -> int:
    """Run the version before as every other process, and none of it after the upgrade."""
    return NEWEST if upgraded else by_turns(number, upgraded)


@contextmanager
def as_version(newest: int) -> Iterator[None]:
    """Run as the version whose newest format is `newest`."""
    with patch.object(stored_formats, "NEWEST", newest):
        yield


class VersionedStore:
    """A store as the version whose newest format is `newest` has opened it."""

    def __init__(self, store: Store, newest: int) -> None:
        self._store, self._newest = store, newest

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*values: Any, **named: Any) -> Any:
            with as_version(self._newest):
                answer = method(*values, **named)
                return iter(list(answer)) if isinstance(answer, Iterator) else answer

        return call


@dataclass
class MixedStores:
    """`Stores` that processes of two versions open. processes: how many have."""

    stores: Stores
    version_of: VersionOf
    upgraded: bool = False
    processes: int = 0

    def of(self, process: Process) -> AbstractContextManager[Store]:
        """Open the store as the version of `process`, with its calls intercepted."""
        self.processes += 1
        newest = self.version_of(self.processes, self.upgraded)
        return _opened(self.stores.of(process), newest)

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store as the newest version, without any fault."""
        return _opened(self.stores.fault_free(), NEWEST)


@contextmanager
def _opened(opening: AbstractContextManager[Store], newest: int) -> Iterator[Store]:
    with as_version(newest):
        store = opening.__enter__()
    try:
        yield cast("Store", VersionedStore(store, newest))
    finally:
        opening.__exit__(None, None, None)


class InterruptedSimulator(Simulator):
    """A simulator that does something to the store before some of its turns."""

    acts: dict[int, Act]

    def _take_turn(self) -> None:
        stores, turn = self.stores, self._turn
        assert isinstance(stores, MixedStores)
        if (act := self.acts.pop(turn, None)) is not None:
            act(stores, self)
            self.oracle.observe("upgrade")
        if self._turn == turn:  # no turn was taken while the act waited for a lease
            super()._take_turn()


def upgrade(stores: MixedStores, clock: Clock) -> None:
    """Upgrade the store, and every rollout in it that is visited."""
    stores.upgraded = True
    with stores.fault_free() as store:
        upgrader, left = StoreUpgrade(store, clock), True
        while left:  # another run may save the rollout, or renew its lease
            left = any(one.why for one in upgrader.run(upgrader.plan()))


def run_mixed(
    plan: FaultPlan, version_of: VersionOf, acts: Mapping[int, Act] = MappingProxyType({})
) -> Trace:
    """Return the trace of `plan` in a store of the format before, with two versions on it.

    acts: by the number of a turn, what is done before it.
    """
    with stores_of(plan) as stores:
        mixed = MixedStores(stores, version_of)
        with mixed.fault_free() as store:
            store.set_format(BEFORE)
            fault_free = cast("Store", FaultFreeStore(store))
            simulator = InterruptedSimulator(plan, mixed, fault_free, Program)
            simulator.acts = dict(acts)
            return simulator.simulate()


def upgrade_turn(seed: int) -> int:
    """Return the turn before which the store of `seed` is upgraded."""
    return Random(seed).randrange(1, LATEST_UPGRADE)
