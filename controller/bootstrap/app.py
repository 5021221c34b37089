"""Composes the runner of ticks and commands, on the real account or as a dry run."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from controller.adapters.aws.clients import Clients
from controller.adapters.aws.limited_client import monotonic_s
from controller.adapters.metrics.sources import MetricSources
from controller.bootstrap.account import observer_of, real_account, store_at
from controller.core.history import Author
from controller.core.policy import TargetSpec
from controller.engine.side_by_side import SideBySide, one_by_one
from controller.engine.tick import Runner
from controller.immutable import Immutable, replace
from controller.ports.store import Store
from controller.ports.target import InspectableTarget
from controller.process.settings import Settings, SqliteLocation


class App(Immutable):
    """A runner with all its adapters.

    clients: count the calls to AWS. metrics: knows the age of the newest data.
    namespace: of the metrics that a tick publishes about itself; empty: it publishes none.
    would: the writes that a dry run leaves out, so far; None: it is none.
    status_page: where a tick writes the page of all rollouts; empty: nowhere.
    """

    runner: Runner
    clients: Clients
    metrics: MetricSources
    namespace: str = ""
    would: Sequence[str] | None = None
    status_page: str = ""


@contextmanager
def live_app(
    settings: Settings, *, dry_run: bool = False, create: bool = False, ask_caller: bool = False
) -> Iterator[App]:
    """Yield the application on the real account; a dry run is the same with other adapters.

    create: a missing file is created, or is an empty store in a dry run; else NoStoreError.
    ask_caller: an operator runs this, and STS is asked for the caller when something is recorded.
        Ticks save that call: their author is the name from the environment.
    """
    clients = Clients()
    account = real_account(settings.egress, clients, settings.status_page_url)
    with store_at(settings.store, account, must_exist=not create, writes=not dry_run) as store:
        if isinstance(settings.store, SqliteLocation):
            account.client("cloudwatch")  # fails without credentials, before anything is written
        metrics = account.metrics()
        observer = observer_of(account, store, metrics)
        author_of = author(settings, clients) if ask_caller else Author
        runner = Runner(
            observer,
            settings.by,
            channel_notifier=account,
            hooks=account,
            limit_calls=clients.limit_calls,
            author=author_of,
            run=SideBySide(monotonic_s, settings.at_once),
        )
        would = None
        if dry_run:
            runner, would = _as_dry_run(runner)
        page = "" if dry_run else settings.status_page
        yield App(runner, clients, metrics, settings.metrics, would, page)


def _as_dry_run(runner: Runner) -> tuple[Runner, Sequence[str]]:
    """Return `runner` with the same reads, and the list that its writes only go to."""
    from controller.adapters import dry_run

    journal, real = dry_run.DryRunLog(), runner.observer

    def open_target(target: TargetSpec) -> InspectableTarget:
        return dry_run.dry_run_target(real.targets(target), target, journal)

    store = dry_run.DryRunStore(real.store, journal)
    runner = dataclasses.replace(
        runner,
        observer=replace(real, store=store, targets=open_target, dry_run=True),
        announce=journal.announce,
        channel_notifier=journal,
        hooks=journal,
        run=one_by_one,  # so that the journal has an order
    )
    return runner, journal.lines


@contextmanager
def open_store(
    settings: Settings, *, may_be_missing: bool = False, writes: bool = False
) -> Iterator[Store]:
    """Yield the store, for verbs that change no rollout.

    may_be_missing: a missing file is an empty store; else it is a NoStoreError.
    """
    account, must_exist = real_account(), not may_be_missing
    with store_at(settings.store, account, must_exist=must_exist, writes=writes) as store:
        yield store


def author(settings: Settings, clients: Clients) -> Callable[[str], Author]:
    """Return a function that names the author of a command, by at most one call of STS.

    It never raises. Without a given name the ARN of the caller is used, because the login on this
    machine may be root.
    """

    @cache
    def author_of(by: str) -> Author:
        from controller.adapters.iam import caller_arn

        arn = caller_arn(clients)
        return Author(arn if arn and settings.by_login else by, arn)

    return author_of
