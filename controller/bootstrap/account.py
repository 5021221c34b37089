"""The AWS account of a process: its clients, its clock and the ports on them, made in one place.

And the store of a process, and where it writes pages: each may be in that account, or in a file.
Only the needed kind of store is imported.
"""

import os
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any, assert_never, cast

from controller.adapters.aws.clients import Clients as Clients
from controller.adapters.aws.clients import ClientSource
from controller.adapters.clock import SystemClock
from controller.adapters.metrics.cloudwatch import CloudWatchAlarms, CloudWatchMetrics, MetricList
from controller.adapters.metrics.logs import CloudWatchLogCounts
from controller.adapters.metrics.sources import MetricSources, opener
from controller.adapters.stores.audit_log import AuditLogStore
from controller.core.message import Message
from controller.core.observation import HookAnswer
from controller.core.policy import Channel, Hook, SecretReference, TargetSpec
from controller.core.policy.kind_registry import load
from controller.core.policy.notify import MissingChannel
from controller.core.policy.targets import MissingTarget
from controller.core.rollout import Rollout
from controller.engine.observe import Observer
from controller.errors import DeliveryError, NoStoreError, TargetError, UsageError
from controller.immutable import Immutable, field
from controller.ports.account import Egress
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.notify import HookCall
from controller.ports.store import Store
from controller.ports.target import InspectableTarget
from controller.process.settings import (
    FROM_OPTION,
    STORE_OPTION,
    STORE_VARIABLE,
    DynamoDbLocation,
    PageLocation,
    S3Page,
    SqliteLocation,
    StoreLocation,
)

if TYPE_CHECKING:
    from controller.ports.notify import DeliveringChannel, HookCaller


class AwsAccount(Immutable):
    """`Account`, `ChannelNotifier` and `HookCaller`, and further ports of engine and verbs.

    environment: variables of this process, which may hold secrets. status_page_url: where people
    open the page of all rollouts; empty: nowhere.
    """

    clients: ClientSource
    clock: Clock
    egress: Egress = field(default_factory=Egress)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    random: Callable[[float, float], float] = random.uniform
    status_page_url: str = ""

    def client(self, service: str) -> Any:
        return self.clients.get(service)

    def lowering_client(self, service: str) -> Any:
        return self.clients.get(service, lowers=True)

    def single_try(self, service: str, read_s: float) -> Any:
        return self.clients.single_try(service, read_s)

    def jitter(self, low: float, high: float) -> float:
        return self.random(low, high)

    def signed(
        self, service: str, region: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        from controller.adapters.aws.session import signed_headers

        return signed_headers(self.clients.credentials(), service, region, url, body, headers)

    def read_secret(self, reference: SecretReference) -> str:
        from controller.adapters.secrets import SecretReader

        return SecretReader(self.client, self.environment).read(reference)

    # --- ports ----------------------------------------------------------------------------------

    def open(self, target: TargetSpec) -> InspectableTarget:
        """Return the adapter of `target`.

        Raises TargetError when no installed package has its kind, UsageError as `client` does.
        """
        if isinstance(target, MissingTarget):
            raise TargetError(target.problem)
        adapter: InspectableTarget = load(target.opened_by)(target, self)
        return adapter

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> str | None:
        if isinstance(channel, MissingChannel):
            raise DeliveryError(channel.problem)
        try:
            return cast("DeliveringChannel", channel).deliver(self, rollout, message)
        except UsageError as error:  # no client: no region, or no credentials
            raise DeliveryError(str(error)) from error

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        return self._caller(hook).ask(hook, call, within=within, private=private)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        self._caller(hook).tell(hook, call, within=within, private=private)

    def _caller(self, hook: Hook) -> "HookCaller":
        caller: HookCaller = load(hook.called_by)(self)
        return caller

    def metrics(self) -> MetricSources:
        """Return the source of all metrics."""
        cloudwatch = CloudWatchMetrics(partial(self.client, "cloudwatch"))
        return MetricSources(cloudwatch, opener(self), self.clock)

    def metric_list(self) -> MetricList:
        """Return the list of the metrics that exist."""
        return MetricList(partial(self.client, "cloudwatch"))

    def alarms(self) -> CloudWatchAlarms:
        """Return the source of alarms."""
        return CloudWatchAlarms(partial(self.client, "cloudwatch"))

    def log_counts(self) -> CloudWatchLogCounts:
        """Return the source of counts of log events."""
        return CloudWatchLogCounts(partial(self.client, "logs"), self.clock)


def observer_of(account: AwsAccount, store: Store, metrics: MetricSource) -> Observer:
    """Return what reads the rollouts of `store` and what they measure; metrics: of `account`."""
    return Observer(
        store,
        account.open,
        metrics,
        account.clock,
        account.log_counts(),
        account.alarms(),
        account.metric_list(),
    )


def real_account(
    egress: Egress | None = None, clients: Clients | None = None, status_page_url: str = ""
) -> AwsAccount:
    """Return the account of the AWS variables and the profile of this process."""
    return AwsAccount(
        clients or Clients(), SystemClock(), egress or Egress(), status_page_url=status_page_url
    )


# --- Stores and pages -----------------------------------------------------------------------------


@contextmanager
def store_at(
    place: StoreLocation, account: AwsAccount, *, must_exist: bool, writes: bool
) -> Iterator[Store]:
    """Yield the store at `place`.

    must_exist: a missing file is a NoStoreError; else it is created by a run that `writes`, and is
        an empty store to others. A table is not checked here: a missing one is a NoStoreError of
        the first call, and only `store init` creates it.
    writes: each save is logged, as `AuditLogStore` says.
    """
    match place:
        case SqliteLocation():
            from controller.adapters.stores.sqlite import SqliteStore, one_call_at_a_time
            from controller.adapters.stores.sqlite.file import store_errors

            if must_exist:  # a mistyped path must not look like an empty store
                with store_errors(place.path, "open the store"):
                    if not place.path.exists():
                        raise NoStoreError(_missing_text(place), store=place.url)
            with SqliteStore(place.path, create=writes) as file:
                store = one_call_at_a_time(file)
                yield AuditLogStore(store) if writes else store
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore

            rollouts = DynamoDbStore(account.client("dynamodb"), table)
            yield AuditLogStore(rollouts) if writes else rollouts
        case unreachable:
            assert_never(unreachable)


def _missing_text(place: SqliteLocation) -> str:
    """Return what is missing, which setting names it, and what to do."""
    option = f" --store {quote(place.url)}" if place.origin in ("", FROM_OPTION) else ""
    origin = f" ({place.origin})" if place.origin else ""
    return (
        f"there is no store at {place.path.absolute()}{origin}; a rollout that runs is "
        f"probably in another store: name that with {STORE_OPTION} or {STORE_VARIABLE}; only for "
        f"a first set-up, make an empty one: rolloutctl store init{option}"
    )


def write_page(place: PageLocation, text: str, clients: Clients | None = None) -> None:
    """Write the page `text` to `place`. Raises PageError, and UsageError without credentials.

    clients: those of a tick, whose time limits the call.
    """
    from controller.adapters.pages import put_page, write_file

    if isinstance(place, S3Page):
        put_page(real_account(clients=clients).client("s3"), place.bucket, place.key, text)
    else:
        write_file(place.path, text)
