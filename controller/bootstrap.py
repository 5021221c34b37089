"""The composition root: the only module that names concrete adapters."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from controller.adapters.aws import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.cloudwatch import CloudWatchMetrics
from controller.adapters.dry_run import DryRunNotifier, DryRunStore, DryRunTarget, Journal
from controller.adapters.lambda_env import LambdaEnvTarget
from controller.adapters.log_notifier import LogNotifier
from controller.adapters.sqlite import SqliteStore
from controller.adapters.sqlite_file import explained
from controller.by_hand import lower_and_confirm
from controller.core.policy import LambdaEnv, Policy
from controller.errors import TargetError, UsageError
from controller.looking import Looking
from controller.ports import OpenTarget, Store
from controller.runner import Runner
from controller.settings import Settings

if TYPE_CHECKING:
    from controller.simulation.world import World


@dataclass(frozen=True, slots=True)
class App:
    """A runner with everything behind it; in a dry run, `journal` has what would have been done."""

    runner: Runner
    journal: Journal | None = None


@contextmanager
def live(settings: Settings, *, dry_run: bool = False, create: bool = False) -> Iterator[App]:
    """Yield the application on the real account; a dry run is the same with other adapters.

    create: a store that is not there is made, or is an empty one to a dry run; else UsageError.
    """
    if not create:
        _check_store(settings)
    clients = Clients()
    clock = SystemClock()

    def open_target(target: LambdaEnv) -> OpenTarget:
        return LambdaEnvTarget(clients.get("lambda"), target, clock)

    with SqliteStore(settings.store, create=not dry_run) as store:
        looking = Looking(store, open_target, CloudWatchMetrics(clients.get("cloudwatch")), clock)
        runner = Runner(looking, LogNotifier(), settings.by)
        yield _dry(runner) if dry_run else App(runner)


def _dry(runner: Runner) -> App:
    journal = Journal()
    real = runner.looking

    def open_target(target: LambdaEnv) -> OpenTarget:
        return DryRunTarget(real.targets(target), target.function, journal)

    looking = replace(real, store=DryRunStore(real.store, journal), targets=open_target)
    return App(replace(runner, looking=looking, notifier=DryRunNotifier(journal)), journal)


@contextmanager
def open_store(
    settings: Settings, *, may_be_missing: bool = False
) -> Iterator[tuple[Store, datetime]]:
    """Yield the store alone, and the current moment: for verbs that only look, and create none.

    Raises UsageError when there is no store; one that may be missing is an empty one then.
    """
    if not may_be_missing:
        _check_store(settings)
    with SqliteStore(settings.store, create=False) as store:
        yield store, SystemClock().now()


def _check_store(settings: Settings) -> None:
    """Raise UsageError when there is no store: a mistyped path must not look like an empty one."""
    with explained(settings.store, "open the store"):
        if not settings.store.exists():
            raise UsageError(
                f"there is no store at {settings.store}; check --store and ROLLOUTCTL_STORE "
                "(`rolloutctl start` makes it)"
            )


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a rehearsal plays on: the real runner and adapters, a simulated world."""

    runner: Runner
    world: "World"
    policy: Policy


@contextmanager
def rehearsal(policy: Policy, scenario: str, seed: int) -> Iterator[Stage]:
    """Yield a stage for `policy`: fake AWS clients, a virtual clock, a real SQLite file.

    Raises PolicyError when the scenario is wrong or does not fit the policy.
    """
    from controller.simulation.scenario import load_scenario
    from controller.simulation.world import World

    world = World.for_policy(policy, load_scenario(scenario), seed=seed)
    jitter = Random(seed).uniform  # noqa: S311 - the same seed tells the same story

    def open_target(target: LambdaEnv) -> OpenTarget:
        return LambdaEnvTarget(world.client("lambda"), target, world.clock, jitter)

    with (
        TemporaryDirectory(prefix="rolloutctl-") as folder,
        SqliteStore(Path(folder) / "rehearsal.db", durable=False) as store,
    ):
        metrics = CloudWatchMetrics(world.client("cloudwatch"))
        looking = Looking(store, open_target, metrics, world.clock)
        runner = Runner(looking, LogNotifier(), by="rehearsal")
        yield Stage(runner, world, policy)


@dataclass(frozen=True, slots=True)
class Lowered:
    """What became of a bare rollback: confirmed, what the target shows, what a dry run would do.

    doubts: why the variables may be the wrong ones.
    """

    confirmed: bool
    shown: str
    would: list[str]
    doubts: list[str] = field(default_factory=list)


def bare_target(function: str, percentage: str, boolean: str | None) -> LambdaEnv:
    """Return a target from bare names. Raises UsageError when a name cannot be one."""
    try:
        return LambdaEnv(
            kind="lambda-env", function=function, percentage=percentage, boolean=boolean
        )
    except ValueError as error:
        raise UsageError(f"this names no target: {error}") from error


def lower_bare(target: LambdaEnv, *, typed: bool, dry_run: bool) -> Lowered:
    """Set `target` to 0 % without any store, and read it back for as long as that may take.

    typed: a person gave the names by hand, who may have mistyped them; UsageError then, when they
    are not on the function. Raises TargetError when it cannot be lowered or read.
    """
    clock = SystemClock()
    real = LambdaEnvTarget(Clients().get("lambda"), target, clock)
    journal = Journal()
    opened = DryRunTarget(real, target.function, journal) if dry_run else real
    doubts: list[str] | None = None
    with suppress(TargetError):  # lowering tries longer, and says what is wrong
        doubts = _doubts(real, typed=typed)
    reading = lower_and_confirm(opened, clock)
    if doubts is None:
        doubts = _doubts(real, typed=typed)
    return Lowered(reading.stands_at(0), reading.shown, journal.lines, doubts)


def _doubts(target: LambdaEnvTarget, *, typed: bool) -> list[str]:
    found = target.doubts()
    wrong = "; ".join(one.text for one in found if one.fatal)
    if typed and wrong:
        raise UsageError(f"nothing was lowered: {wrong}")
    return [one.text for one in found]
