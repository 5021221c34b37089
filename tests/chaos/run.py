"""Runs a fault plan on the real runner, adapters and stores."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.events import Command, DriftResolution, Verb
from controller.core.policy import Policy, TargetSpec
from controller.core.policy.targets.lambda_env import LambdaEnv
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
from tests.support.rollouts import lambda_env


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


def run_seed(seed: int, store: StoreKind = "sqlite") -> Trace:
    """Return the trace of `seed`."""
    return run_plan(draw(seed, store))


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
        client = environment.client("cloudwatch")
        source = CloudWatchMetrics(lambda: client, environment.clock)
        metrics = environment.wrap_metrics(source)
        observer = Observer(store, self._open, metrics, environment.clock)
        self._runner = Runner(observer, by=environment.name, announce=environment.announce)

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or retry its revision with a reason."""
        start(self._runner, StartRequest(self._policy, retry_reason=retry_reason))
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
        reading = lower_and_confirm(self._open(lambda_env(self._policy)), self._environment.clock)
        return Exit.DONE if reading.has_applied(0) else Exit.UNCONFIRMED

    def _open(self, target: TargetSpec) -> InspectableTarget:
        assert isinstance(target, LambdaEnv)
        environment = self._environment
        return LambdaEnvTarget(
            environment.client("lambda"), target, environment.clock, environment.jitter
        )
