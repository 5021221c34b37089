"""The program under test as the simulation sees it: its commands, environment and stores."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from controller.bootstrap.account import AwsAccount
from controller.engine.direct_write import lower_and_confirm
from controller.engine.observe import Observer
from controller.engine.outbox import Announce
from controller.engine.side_by_side import Run, one_by_one
from controller.engine.tick import Runner
from controller.errors import Exit, RolloutError, UnknownRolloutError
from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from tests.chaos.process import Process
from tests.support.core import Command, DriftResolution, Policy, Verb
from tests.support.other_sources import OTHERS


class ProcessEnvironment(Immutable):
    """What one process gets from the simulated world.

    process: the process itself, called `name`. client: returns the client of a service.
    announce: shows its notices. wrap_metrics: wraps its metric source, so that the oracle sees each
    answer. jitter: draws a pause between two limits, in seconds. revision: named by a start; None:
    the target has its own. run: runs the work of a tick for several rollouts.
    """

    name: str
    process: Process
    client: Callable[[str], Any]
    clock: Clock
    announce: Announce
    wrap_metrics: Callable[[MetricSource], MetricSource]
    jitter: Callable[[float, float], float]
    revision: str | None = None
    run: Run = one_by_one


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


class Program:
    """The commands of one run of rolloutctl, on the real runner and adapters.

    Each returns its exit status, and raises RolloutError as rolloutctl does.
    """

    def __init__(self, environment: ProcessEnvironment, policy: Policy, store: Store) -> None:
        self._environment, self._policy = environment, policy
        clients, clock = _Clients(environment), environment.clock
        self._account = AwsAccount(clients, clock, environment={}, random=environment.jitter)
        metrics = environment.wrap_metrics(self._account.metrics())
        observer = Observer(store, self._account.open, metrics, clock, OTHERS, OTHERS, OTHERS)
        self._runner = Runner(
            observer, by=environment.name, announce=environment.announce, run=environment.run
        )

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or retry its revision with a reason."""
        revision = self._environment.revision
        start(self._runner, StartRequest(self._policy, revision, retry_reason))
        return Exit.DONE

    def tick(self) -> int:
        """Tick every active rollout."""
        return self._runner.tick_active().status

    def ask(self, verb: Verb, reason: str = "", way: DriftResolution = "") -> int:
        """Run an operator command on the newest rollout of the policy."""
        ids = self._runner.store.of_name(self._policy.name)
        if not ids:
            raise UnknownRolloutError("there is none")
        self._runner.run_command(ids[-1], Command(verb, reason, way))
        return Exit.DONE

    def lower_bare(self) -> int:
        """Roll the target of the policy back by its bare names, without a store."""
        target = self._account.open(self._policy.target)
        reading = lower_and_confirm(target, self._environment.clock)
        return Exit.DONE if reading.has_applied(0) else Exit.UNCONFIRMED


class _Clients(Immutable):
    """`ClientSource` of one process: a call by any of its clients is intercepted."""

    environment: ProcessEnvironment

    def get(self, service: str, *, lowers: bool = False) -> Any:
        return self.environment.client(service)

    def single_try(self, service: str, read_s: float) -> Any:
        return self.environment.client(service)

    def credentials(self) -> Any:
        raise AssertionError("nothing is signed but by a client")


OpenProgram: TypeAlias = Callable[[ProcessEnvironment, Policy, Store], Program]
"""Opens the program under test in an environment, for a policy and a store."""
