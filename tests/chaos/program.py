"""The program that a story plays, as far as a story knows it: what a process can be told to do."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from controller.core.commands import DriftResolution, Verb
from controller.core.policy import Policy
from controller.errors import RolloutError
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.notify import Notifier
from controller.ports.store import Store
from tests.chaos.process import Process


@dataclass(frozen=True, slots=True)
class ProcessEnvironment:
    """What one process has of the world.

    client: gives the client of a service. measured: takes what reads its metrics, to look at what
    it is shown. jitter: draws a pause between two limits, in seconds.
    """

    name: str
    client: Callable[[str], Any]
    clock: Clock
    notifier: Notifier
    wrap_metrics: Callable[[MetricSource], MetricSource]
    jitter: Callable[[float, float], float]


class Program(Protocol):
    """What one run of rolloutctl does, and its exit status. Raises RolloutError as that does."""

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or with a reason try its revision again."""
        ...

    def tick(self) -> int:
        """Visit every active rollout."""
        ...

    def ask(self, verb: Verb, reason: str = "", way: DriftResolution = "") -> int:
        """Do what a person asks of the newest rollout of the policy."""
        ...

    def lower_bare(self) -> int:
        """Lower the target of the policy by its names alone."""
        ...


class Stores(Protocol):
    """Where all rollouts of one story are kept."""

    def of(self, process: Process) -> AbstractContextManager[Store]:
        """Open the store in the hands of `process`."""
        ...

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store as another run that no fault reaches."""
        ...


class OracleStoreError(Exception):
    """Nobody could see what is stored: then a story proves nothing."""


class FaultFreeStore:
    """A store that must answer: its errors are not taken for those of a process."""

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
"""Makes a program out of what a process has."""
