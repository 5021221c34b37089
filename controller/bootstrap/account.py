"""The AWS account of a process: its clients, its clock and the ports on them, made in one place."""

import os
import random
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from controller.adapters.aws.clients import Clients, ClientSource
from controller.adapters.clock import SystemClock
from controller.adapters.metrics.cloudwatch import CloudWatchAlarms, CloudWatchMetrics, MetricList
from controller.adapters.metrics.logs import CloudWatchLogCounts
from controller.adapters.metrics.sources import MetricSources, opener
from controller.core.message import Message
from controller.core.observation import HookAnswer
from controller.core.policy import Channel, Hook, SecretReference, TargetSpec
from controller.core.policy.kind_registry import load
from controller.core.policy.notify import MissingChannel
from controller.core.policy.targets import MissingTarget
from controller.core.rollout import Rollout
from controller.engine.observe import Observer
from controller.errors import DeliveryError, TargetError, UsageError
from controller.immutable import Immutable, field
from controller.ports.clock import Clock
from controller.ports.egress import Egress
from controller.ports.metrics import MetricSource
from controller.ports.notify import HookCall
from controller.ports.store import Store
from controller.ports.target import InspectableTarget

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
