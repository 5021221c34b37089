"""The composition root: the only package that names concrete adapters."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from pydantic import ValidationError

from controller.adapters.aws import Clients
from controller.adapters.caller import caller
from controller.adapters.clock import SystemClock
from controller.adapters.cloudwatch import CloudWatchMetrics
from controller.adapters.cloudwatch_alarms import CloudWatchAlarms
from controller.adapters.cloudwatch_logs import CloudWatchLogs
from controller.adapters.dry_run import (
    DryRunCourier,
    DryRunHooks,
    DryRunNotifier,
    DryRunStore,
    DryRunTarget,
    Journal,
)
from controller.adapters.lambda_env import LambdaEnvTarget
from controller.adapters.log_notifier import LogNotifier
from controller.adapters.meter import MeteredMetrics
from controller.bootstrap.couriers import Couriers
from controller.bootstrap.hook_callers import HookCallers
from controller.bootstrap.places import make, opened, template
from controller.bootstrap.stage import Stage, rehearsal
from controller.by_hand import command, lower_and_confirm
from controller.core.policy import LambdaEnv
from controller.core.policy.wording import message
from controller.errors import TargetError, UsageError
from controller.looking import Looking
from controller.ports import Clock, OpenTarget, Store
from controller.runner import Runner
from controller.settings import Place, Settings, SqlitePlace
from controller.transfer import End, Transfer

__all__ = [
    "App",
    "Lowered",
    "Stage",
    "bare_target",
    "live",
    "lower_bare",
    "make_store",
    "open_store",
    "rehearsal",
    "template",
    "transfer",
    "wall_clock",
]


@dataclass(frozen=True, slots=True)
class App:
    """A runner with everything behind it; in a dry run, `journal` has what would have been done.

    clients, metrics: they have counted the calls, and seen how old the data are.
    namespace: where a tick publishes what it says of itself; empty: nowhere.
    """

    runner: Runner
    clients: Clients
    metrics: MeteredMetrics
    namespace: str = ""
    journal: Journal | None = None


@contextmanager
def live(
    settings: Settings, *, dry_run: bool = False, create: bool = False, person: bool = False
) -> Iterator[App]:
    """Yield the application on the real account; a dry run is the same with other adapters.

    create: a file that is not there is made, or is an empty store to a dry run; else NoStoreError.
    person: somebody waits for this, and AWS is asked for the name when nobody gave one.
    """
    clients = Clients()
    clock = SystemClock()

    def open_target(target: LambdaEnv) -> OpenTarget:
        return LambdaEnvTarget(clients.get("lambda"), target, clock)

    with opened(settings.store, clients, must_exist=not create, writes=not dry_run) as store:
        if isinstance(settings.store, SqlitePlace):
            clients.get("cloudwatch")  # who has no account hears it before anything is touched
        metrics = MeteredMetrics(lambda: CloudWatchMetrics(clients.get("cloudwatch")), clock)
        logs = CloudWatchLogs(partial(clients.get, "logs"), clock)
        alarms = CloudWatchAlarms(partial(clients.get, "cloudwatch"))
        looking = Looking(store, open_target, metrics, clock, logs, alarms)
        by = _actor(settings, clients) if person else settings.by
        couriers = Couriers(clients.get, os.environ)
        hooks = HookCallers(clients.patient, couriers.read_secret, clock)
        runner = Runner(looking, LogNotifier(), by, couriers, hooks)
        app = App(runner, clients, metrics, settings.metrics)
        yield _dry(app) if dry_run else app


def _dry(app: App) -> App:
    journal = Journal()
    runner, real = app.runner, app.runner.looking

    def open_target(target: LambdaEnv) -> OpenTarget:
        return DryRunTarget(real.targets(target), target.function, journal)

    looking = replace(real, store=DryRunStore(real.store, journal), targets=open_target)
    dry = replace(
        runner,
        looking=looking,
        notifier=DryRunNotifier(journal),
        courier=DryRunCourier(journal),
        hooks=DryRunHooks(journal),
    )
    return replace(app, runner=dry, journal=journal)


@contextmanager
def open_store(
    settings: Settings, *, may_be_missing: bool = False
) -> Iterator[tuple[Store, datetime]]:
    """Yield the store alone, and the current moment: for verbs that only look, and create none.

    Raises NoStoreError when there is no store; a file that may be missing is an empty one then.
    """
    must_exist = not may_be_missing
    with opened(settings.store, Clients(), must_exist=must_exist, writes=False) as store:
        yield store, SystemClock().now()


def current_moment() -> datetime:
    """Return the current moment, UTC-aware, for a verb that needs nothing else from outside."""
    return SystemClock().now()


def wall_clock() -> Clock:
    """Return the clock of this machine: for verbs that look again and again."""
    return SystemClock()


def make_store(place: Place) -> bool:
    """Make the store at `place`; False when it was there already. Raises StoreError."""
    return make(place, Clients(), SystemClock())


@contextmanager
def transfer(
    settings: Settings, destination: Place, *, dry_run: bool = False
) -> Iterator[Transfer]:
    """Yield what moves rollouts from the store of `settings` to another; both must be there.

    Raises UsageError when both are the same store, NoStoreError.
    """
    source = settings.store
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    clients, clock, writes = Clients(), SystemClock(), not dry_run
    with (
        opened(source, clients, must_exist=True, writes=writes) as origin,
        opened(destination, clients, must_exist=True, writes=writes) as arrival,
    ):
        ends = End(origin, source.url), End(arrival, destination.url)
        yield Transfer(*ends, clock, _actor(settings, clients))


def _actor(settings: Settings, clients: Clients) -> str:
    """Return who acts by hand: AWS knows better than this machine, whose user may be root."""
    return (caller(clients) if settings.by_login else "") or settings.by


@dataclass(frozen=True, slots=True)
class Lowered:
    """What became of a bare rollback: confirmed, what the target shows, what a dry run would do.

    doubts: why the variables may be the wrong ones. commands: what lowers those, too, that were
    left on and look as if they belonged to them.
    """

    confirmed: bool
    shown: str
    would: list[str]
    doubts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def bare_target(function: str, percentage: str, boolean: str | None) -> LambdaEnv:
    """Return a target from bare names. Raises UsageError when a name cannot be one."""
    try:
        return LambdaEnv(
            kind="lambda-env", function=function, percentage=percentage, boolean=boolean
        )
    except ValidationError as error:
        wrong = "; ".join(f"--{item['loc'][0]}: {message(item)}" for item in error.errors())
        raise UsageError(f"this names no target: {wrong}") from error


def lower_bare(target: LambdaEnv, *, typed: bool, dry_run: bool) -> Lowered:
    """Set `target` to 0 % without any store, and read it back for as long as that may take.

    typed: a person gave the names by hand, who may have mistyped or forgotten one. UsageError then
    when they are not on the function; and what looks as if it belonged to them and is left on makes
    it unconfirmed. Raises TargetError when it cannot be lowered or read.
    """
    clock = SystemClock()
    real = LambdaEnvTarget(Clients().get("lambda"), target, clock)
    journal = Journal()
    opened = DryRunTarget(real, target.function, journal) if dry_run else real
    doubts: _Doubts | None = None
    with suppress(TargetError):  # lowering tries longer, and says what is wrong
        doubts = _doubts(real, target, typed=typed)
    reading = lower_and_confirm(opened, clock)
    if doubts is None:
        doubts = _doubts(real, target, typed=typed)
    confirmed = reading.stands_at(0) and not (typed and doubts.commands)
    return Lowered(confirmed, reading.shown, journal.lines, doubts.texts, doubts.commands)


@dataclass(frozen=True, slots=True)
class _Doubts:
    texts: list[str]
    commands: list[str]


def _doubts(opened: LambdaEnvTarget, target: LambdaEnv, *, typed: bool) -> _Doubts:
    """Return what is doubtful about the names of `target`. Raises as `lower_bare` says."""
    texts, commands, refused = list[str](), list[str](), False
    for doubt in opened.doubts():
        text = doubt.text
        if doubt.left_on:
            commands.append(command(target.model_copy(update={"boolean": doubt.left_on})))
            text += f"; if it does: {commands[-1]}"
        texts.append(text)
        refused = refused or doubt.mistaken
    if typed and refused:
        raise UsageError(f"nothing was lowered: {'; '.join(texts)}")
    return _Doubts(texts, commands)
