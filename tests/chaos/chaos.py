"""Chaos played: the real runner, adapters and stores, in the hands of processes that go wrong."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.commands import Ask, Verb, Way
from controller.core.policy import LambdaEnv, Policy
from controller.engine.direct_write import lower_and_confirm
from controller.engine.observe import Looking
from controller.engine.tick import Runner
from controller.errors import Exit, UnknownRolloutError
from controller.operations.start.start import Request, start
from controller.ports.store import Store
from controller.ports.target import OpenTarget
from tests.chaos.fault_plan import Plot, StoreKind
from tests.chaos.player import play
from tests.chaos.process import Process
from tests.chaos.program import Outside, Stores
from tests.chaos.random_plan import draw
from tests.chaos.trace import Story


@dataclass(frozen=True, slots=True)
class SqliteStores:
    """One SQLite file; each process opens it for itself, and its faults are those of its calls."""

    file: Path

    @contextmanager
    def of(self, process: Process) -> Iterator[Store]:
        """Open the store in the hands of `process`."""
        with self.pristine() as store:
            yield process.store(store)

    def pristine(self) -> AbstractContextManager[Store]:
        """Open the store as another run that no fault reaches."""
        return SqliteStore(self.file, durable=False)


def told(seed: int, store: StoreKind = "sqlite") -> Story:
    """Return the story of `seed`."""
    return chaos(draw(seed, store))


def chaos(plot: Plot, stores: Stores | None = None) -> Story:
    """Return the story of `plot`, with its rollouts in `stores`.

    stores: a new store of the kind that the plot names when left out; it is gone afterwards.
    """
    if stores is not None:
        return play(plot, stores, ChaosProgram)
    with _on_moto() if plot.store == "dynamodb" else _in_a_file() as stores:
        return play(plot, stores, ChaosProgram)


@contextmanager
def _in_a_file() -> Iterator[Stores]:
    with TemporaryDirectory() as folder:
        yield SqliteStores(Path(folder) / "chaos.db")


def _on_moto() -> AbstractContextManager[Stores]:
    from tests.chaos.dynamodb import on_moto  # moto is slow to import, and few stories need it

    return on_moto()


class ChaosProgram:
    """`Program` on the real runner and adapters."""

    def __init__(self, outside: Outside, policy: Policy, store: Store) -> None:
        self._outside, self._policy = outside, policy
        metrics = outside.measured(CloudWatchMetrics(outside.client("cloudwatch")))
        looking = Looking(store, self._open, metrics, outside.clock)
        self._runner = Runner(looking, outside.notifier, by=outside.name)

    def start(self, retry_reason: str | None = None) -> int:
        """Start the policy, or with a reason try its revision again."""
        start(self._runner, Request(self._policy, retry_reason=retry_reason))
        return Exit.DONE

    def tick(self) -> int:
        """Visit every active rollout."""
        return self._runner.tick_active().status

    def ask(self, verb: Verb, reason: str = "", way: Way = "") -> int:
        """Do what a person asks of the newest rollout of the policy."""
        ids = self._runner.store.of_name(self._policy.name)
        if not ids:
            raise UnknownRolloutError("there is none")
        self._runner.ask(ids[-1], Ask(verb, reason, way))
        return Exit.DONE

    def lower_bare(self) -> int:
        """Lower the target of the policy by its names alone."""
        reading = lower_and_confirm(self._open(self._policy.target), self._outside.clock)
        return Exit.DONE if reading.stands_at(0) else Exit.UNCONFIRMED

    def _open(self, target: LambdaEnv) -> OpenTarget:
        outside = self._outside
        return LambdaEnvTarget(outside.client("lambda"), target, outside.clock, outside.jitter)
