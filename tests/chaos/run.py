"""Runs a fault plan on the real runner, adapters and stores."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controller.adapters.stores.sqlite import SqliteStore
from controller.bootstrap.account import AwsAccount
from controller.engine.direct_write import lower_and_confirm
from controller.engine.observe import Observer
from controller.engine.tick import Runner
from controller.errors import Exit, UnknownRolloutError
from controller.operations.start.start import StartRequest, start
from controller.ports.store import Store
from tests.chaos.fault_plan import FaultPlan, StoreKind, TargetKind
from tests.chaos.process import Process
from tests.chaos.program import ProcessEnvironment, Stores
from tests.chaos.random_plan import draw
from tests.chaos.simulator import simulate
from tests.chaos.trace import Trace
from tests.support.core import Command, DriftResolution, Policy, Verb


@dataclass(frozen=True, slots=True)
class SqliteStores:
    """One SQLite file. Each process opens it itself; faults are injected into its store calls."""

    file: Path

    @contextmanager
    def of(self, process: Process) -> Iterator[Store]:
        """Open the store, with the calls of `process` intercepted."""
        with self.fault_free() as store:
            yield process.store(store)

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store without any fault."""
        return SqliteStore(self.file, durable=False)


def run_seed(seed: int, store: StoreKind = "sqlite", target: TargetKind = "lambda-env") -> Trace:
    """Return the trace of `seed`."""
    return run_plan(draw(seed, store, target))


def run_plan(plan: FaultPlan, stores: Stores | None = None) -> Trace:
    """Return the trace of `plan`, with its rollouts in `stores`.

    stores: when left out, a temporary store of the kind that the plan names.
    """
    if stores is not None:
        return simulate(plan, stores, RunnerProgram)
    with _dynamodb_stores() if plan.store == "dynamodb" else _sqlite_stores() as stores:
        return simulate(plan, stores, RunnerProgram)


@contextmanager
def _sqlite_stores() -> Iterator[Stores]:
    with TemporaryDirectory() as folder:
        yield SqliteStores(Path(folder) / "chaos.db")


def _dynamodb_stores() -> AbstractContextManager[Stores]:
    from tests.chaos.dynamodb import on_moto  # moto is slow to import, and few runs need it

    return on_moto()


class RunnerProgram:
    """`Program` on the real runner and adapters."""

    def __init__(self, environment: ProcessEnvironment, policy: Policy, store: Store) -> None:
        self._environment, self._policy = environment, policy
        clients, clock = _Clients(environment), environment.clock
        self._account = AwsAccount(clients, clock, environment={}, random=environment.jitter)
        metrics = environment.wrap_metrics(self._account.metrics())
        observer = Observer(store, self._account.open, metrics, clock)
        self._runner = Runner(observer, by=environment.name, announce=environment.announce)

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


@dataclass(frozen=True, slots=True)
class _Clients:
    """`ClientSource` of one process: a call by any of its clients is intercepted."""

    environment: ProcessEnvironment

    def get(self, service: str, *, lowers: bool = False) -> Any:
        return self.environment.client(service)

    def single_try(self, service: str, read_s: float) -> Any:
        return self.environment.client(service)
