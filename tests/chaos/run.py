"""Chaos played: the real runner, adapters and stores, in the hands of processes that go wrong."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.commands import Command, DriftResolution, Verb
from controller.core.policy import LambdaEnv, Policy
from controller.engine.direct_write import lower_and_confirm
from controller.engine.observe import Observer
from controller.engine.tick import Runner
from controller.errors import Exit, UnknownRolloutError
from controller.operations.start.start import StartRequest, start
from controller.ports.store import Store
from controller.ports.target import InspectableTarget
from tests.chaos.fault_plan import FaultPlan, StoreKind
from tests.chaos.process import Process
from tests.chaos.program import ProcessEnvironment, Stores
from tests.chaos.random_plan import draw
from tests.chaos.simulator import simulate
from tests.chaos.trace import Trace


@dataclass(frozen=True, slots=True)
class SqliteStores:
    """One SQLite file; each process opens it for itself, and its faults are those of its calls."""

    file: Path

    @contextmanager
    def of(self, process: Process) -> Iterator[Store]:
        """Open the store in the hands of `process`."""
        with self.fault_free() as store:
            yield process.store(store)

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store as another run that no fault reaches."""
        return SqliteStore(self.file, durable=False)


def run_seed(seed: int, store: StoreKind = "sqlite") -> Trace:
    """Return the story of `seed`."""
    return run_plan(draw(seed, store))


def run_plan(plan: FaultPlan, stores: Stores | None = None) -> Trace:
    """Return the story of `plan`, with its rollouts in `stores`.

    stores: a new store of the kind that the plot names when left out; it is gone afterwards.
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
    from tests.chaos.dynamodb import on_moto  # moto is slow to import, and few stories need it

    return on_moto()


class RunnerProgram:
    """`Program` on the real runner and adapters."""

    def __init__(self, environment: ProcessEnvironment, policy: Policy, store: Store) -> None:
        self._environment, self._policy = environment, policy
        metrics = environment.wrap_metrics(CloudWatchMetrics(environment.client("cloudwatch")))
        looking = Observer(store, self._open, metrics, environment.clock)
        self._runner = Runner(looking, environment.notifier, by=environment.name)

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or with a reason try its revision again."""
        start(self._runner, StartRequest(self._policy, retry_reason=retry_reason))
        return Exit.DONE

    def tick(self) -> int:
        """Visit every active rollout."""
        return self._runner.tick_active().status

    def ask(self, verb: Verb, reason: str = "", way: DriftResolution = "") -> int:
        """Do what a person asks of the newest rollout of the policy."""
        ids = self._runner.store.of_name(self._policy.name)
        if not ids:
            raise UnknownRolloutError("there is none")
        self._runner.run_command(ids[-1], Command(verb, reason, way))
        return Exit.DONE

    def lower_bare(self) -> int:
        """Lower the target of the policy by its names alone."""
        reading = lower_and_confirm(self._open(self._policy.target), self._environment.clock)
        return Exit.DONE if reading.has_applied(0) else Exit.UNCONFIRMED

    def _open(self, target: LambdaEnv) -> InspectableTarget:
        outside = self._environment
        return LambdaEnvTarget(outside.client("lambda"), target, outside.clock, outside.jitter)
