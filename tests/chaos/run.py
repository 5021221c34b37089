"""Runs a fault plan on the real runner, adapters and stores."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.stores.sqlite import SqliteStore
from controller.immutable import Immutable
from controller.ports.store import Store
from tests.chaos.fault_plan import FaultPlan, StoreKind, TargetKind
from tests.chaos.process import Process
from tests.chaos.program import Program, Stores
from tests.chaos.random_plan import draw
from tests.chaos.simulator import simulate
from tests.chaos.trace import Trace


class SqliteStores(Immutable):
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
        return simulate(plan, stores, Program)
    with stores_of(plan) as stores:
        return simulate(plan, stores, Program)


def stores_of(plan: FaultPlan) -> AbstractContextManager[Stores]:
    """Return a temporary store of the kind that `plan` names."""
    return _dynamodb_stores() if plan.store == "dynamodb" else _sqlite_stores()


@contextmanager
def _sqlite_stores() -> Iterator[Stores]:
    with TemporaryDirectory() as folder:
        yield SqliteStores(Path(folder) / "chaos.db")


def _dynamodb_stores() -> AbstractContextManager[Stores]:
    from tests.chaos.dynamodb import on_moto  # moto is slow to import, and few runs need it

    return on_moto()
