"""The composition root: the only package that names concrete adapters."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from controller.adapters.aws.clients import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.metrics.alarms import CloudWatchAlarms
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.metrics.data_age import LagTrackingMetrics
from controller.adapters.metrics.log_counts import CloudWatchLogCounts
from controller.adapters.notifiers.log import LogNotifier
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.bootstrap.hooks import HookCallers
from controller.bootstrap.notifiers import ChannelNotifiers
from controller.bootstrap.stores import create, store_at, template
from controller.core.history import Author
from controller.core.policy import LambdaEnv
from controller.engine.observe import Observer
from controller.engine.tick import Runner
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.ports.target import InspectableTarget
from controller.process.settings import Settings, SqliteLocation, StoreLocation

if TYPE_CHECKING:
    from controller.adapters.dry_run import Journal

__all__ = [
    "App",
    "live_app",
    "make_store",
    "open_store",
    "template",
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
    metrics: LagTrackingMetrics
    namespace: str = ""
    journal: "Journal | None" = None


@contextmanager
def live_app(
    settings: Settings, *, dry_run: bool = False, create: bool = False, ask_caller: bool = False
) -> Iterator[App]:
    """Yield the application on the real account; a dry run is the same with other adapters.

    create: a file that is not there is made, or is an empty store to a dry run; else NoStoreError.
    ask_caller: somebody does this, and AWS is asked who that is, once something is recorded. A tick has
    no such call to spare: its name is that of its environment.
    """
    clients = Clients()
    clock = SystemClock()

    def open_target(target: LambdaEnv) -> InspectableTarget:
        return LambdaEnvTarget(clients.get("lambda"), target, clock)

    with store_at(settings.store, clients, must_exist=not create, writes=not dry_run) as store:
        if isinstance(settings.store, SqliteLocation):
            clients.get("cloudwatch")  # who has no account hears it before anything is touched
        metrics = LagTrackingMetrics(lambda: CloudWatchMetrics(clients.get("cloudwatch")), clock)
        logs = CloudWatchLogCounts(partial(clients.get, "logs"), clock)
        alarms = CloudWatchAlarms(partial(clients.get, "cloudwatch"))
        looking = Observer(store, open_target, metrics, clock, logs, alarms)
        couriers = ChannelNotifiers(clients.get, os.environ, settings.egress)
        hooks = HookCallers(clients.single_try, couriers.read_secret, clock, settings.egress)
        who = author(settings, clients) if ask_caller else Author
        runner = Runner(
            looking, LogNotifier(), settings.by, couriers, hooks, clients.limit_calls, author=who
        )
        app = App(runner, clients, metrics, settings.metrics)
        if dry_run:
            from controller.bootstrap.dry_run import as_dry_run

            app = as_dry_run(app)
        yield app


@contextmanager
def open_store(
    settings: Settings, *, may_be_missing: bool = False
) -> Iterator[tuple[Store, datetime]]:
    """Yield the store alone, and the current moment: for verbs that only look, and create none.

    Raises NoStoreError when there is no store; a file that may be missing is an empty one then.
    """
    must_exist = not may_be_missing
    with store_at(settings.store, Clients(), must_exist=must_exist, writes=False) as store:
        yield store, SystemClock().now()


def current_moment() -> datetime:
    """Return the current moment, UTC-aware, for a verb that needs nothing else from outside."""
    return SystemClock().now()


def wall_clock() -> Clock:
    """Return the clock of this machine: for verbs that look again and again."""
    return SystemClock()


def make_store(place: StoreLocation) -> bool:
    """Make the store at `place`; False when it was there already. Raises StoreError."""
    return create(place, Clients(), SystemClock())


def author(settings: Settings, clients: Clients) -> Callable[[str], Author]:
    """Return what says who acts by hand, by one question to STS that nothing fails for.

    Where no name was given, AWS knows a better one than this machine, whose user may be root.
    """

    @cache
    def asked(by: str) -> Author:
        from controller.adapters.iam.caller import caller_arn

        arn = caller_arn(clients)
        return Author(arn if arn and settings.by_login else by, arn)

    return asked
