"""The program under test as the simulation sees it: its commands, environment and stores."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from controller.engine.deliver import Announce
from controller.errors import RolloutError
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from tests.chaos.process import Process
from tests.support.core import DriftResolution, Policy, Verb


@dataclass(frozen=True, slots=True)
class ProcessEnvironment:
    """What one process gets from the simulated world.

    process: the process itself, called `name`. client: returns the client of a service.
    announce: shows its notices. wrap_metrics: wraps its metric source, so that the oracle sees each
    answer. jitter: draws a pause between two limits, in seconds. revision: named by a start; None:
    the target has its own.
    """

    name: str
    process: Process
    client: Callable[[str], Any]
    clock: Clock
    announce: Announce
    wrap_metrics: Callable[[MetricSource], MetricSource]
    jitter: Callable[[float, float], float]
    revision: str | None = None


class Program(Protocol):
    """The commands of one run of rolloutctl; each returns its exit status.

    Raises RolloutError as rolloutctl does.
    """

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or retry its revision with a reason."""
        ...

    def tick(self) -> int:
        """Tick every active rollout."""
        ...

    def ask(self, verb: Verb, reason: str = "", way: DriftResolution = "") -> int:
        """Run an operator command on the newest rollout of the policy."""
        ...

    def lower_bare(self) -> int:
        """Roll the target of the policy back by its bare names, without a store."""
        ...


class Stores(Protocol):
    """The store of all rollouts of one simulation run."""

    def of(self, process: Process) -> AbstractContextManager[Store]:
        """Open the store, with the calls of `process` intercepted."""
        ...

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store without any fault."""
        ...


class OracleStoreError(Exception):
    """The oracle could not read the store, so the run proves nothing."""


class FaultFreeStore:
    """A store whose errors become OracleStoreError, so that no process is blamed for them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **named: Any) -> Any:
            try:
                return method(*args, **named)
            except RolloutError as error:
                raise OracleStoreError(f"the witness cannot see {name}: {error}") from error

        return call


OpenProgram: TypeAlias = Callable[[ProcessEnvironment, Policy, Store], Program]
"""Opens the program under test in an environment, for a policy and a store."""
