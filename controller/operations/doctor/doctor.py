"""All checks of `rolloutctl doctor`; a source that cannot be read degrades only its own check."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from controller.core.policy.aws_location import AwsLocation
from controller.core.rollout import Rollout
from controller.errors import (
    MonitoringError,
    NoStoreError,
    StoreError,
    UsageError,
    is_record_error,
)
from controller.immutable import Immutable
from controller.operations.checks import Check, fail, ok, warn
from controller.operations.doctor import monitoring as monitoring_checks
from controller.operations.doctor import recipients as recipient_checks
from controller.operations.doctor import store as store_checks
from controller.operations.live_checks.live_checks import LiveChecks
from controller.operations.live_checks.target import read_target
from controller.operations.monitoring.desired import desired_monitoring, monitoring_of
from controller.operations.monitoring.resources import Monitoring
from controller.ports.clock import Clock
from controller.ports.metrics import AlarmSource
from controller.ports.monitoring import Deployed, Subscription
from controller.ports.store import Store


class TopicSubscribers(Protocol):
    """The subscriptions of SNS topics."""

    def of(self, topic: str) -> Iterable[Subscription]:
        """Return the subscriptions of `topic`. Raises MonitoringError."""
        ...


def _load_all(store: Store, ids: Iterable[str]) -> tuple[list[Rollout], list[StoreError]]:
    """Return the rollouts that can be read, and an error for each record that cannot.

    Raises StoreError when the store as a whole cannot be read.
    """
    rollouts: list[Rollout] = []
    damaged: list[StoreError] = []
    for one in ids:
        try:
            rollouts.append(store.load(one))
        except StoreError as error:
            if not is_record_error(error):
                raise
            damaged.append(error)
    return rollouts, damaged


class Doctor(Immutable):
    """The checks of one policy, and the sources that they read.

    live: the checks that a start makes as well. store: the store, or the error that it cannot be
        opened with.
    alarms: the source of the alarms of the monitoring.
    deployed: returns the deployed stack, compared with the given monitoring; None: there is none.
        Raises MonitoringError and UsageError.
    caller_checks, permission_checks: the checks that need the AWS account (STS, IAM).
    """

    live: LiveChecks
    clock: Clock
    store: Store | StoreError
    alarms: AlarmSource
    subscribers: TopicSubscribers
    deployed: Callable[[Monitoring], Deployed | None]
    caller_checks: Callable[[], Iterator[Check]]
    permission_checks: Callable[[], Iterator[Check]]

    def checks(self) -> Iterator[Check]:
        """Yield every check, in the order in which problems are best fixed."""
        yield from self.caller_checks()
        yield from self._store()
        yield from self.live.checks(read_target(self.live.target), self.clock.now())
        yield from self._monitoring_checks()
        yield from self._channels()
        yield from self._recipients()
        yield from self.permission_checks()

    def _store(self) -> Iterator[Check]:
        try:
            if isinstance(self.store, StoreError):
                raise self.store
            now = self.clock.now()
            rollouts, damaged = _load_all(
                self.store, self.store.active(now, [self.live.policy.name])
            )
        except NoStoreError as error:
            yield warn("store", str(error))
            return
        except StoreError as error:
            yield fail("store", str(error), "without it no rollout is judged or raised")
            return
        active = [one for one in rollouts if not one.final]
        names = ", ".join(one.id for one in active) or "none"
        yield ok("store", f"can be read; active rollouts of this policy: {names}")
        for one in damaged:
            yield fail("store", str(one), "this rollout is neither judged nor moved")
        yield store_checks.schedule_check(active, now)

    def _monitoring_checks(self) -> Iterator[Check]:
        monitoring = self._desired_monitoring()
        try:
            deployed = self.deployed(monitoring)
        except (MonitoringError, UsageError) as error:
            yield warn("monitoring", f"not checked: {error}")
            return
        yield monitoring_checks.stack_check(deployed)
        if deployed is None:
            return
        yield monitoring_checks.alarms_check(
            self.alarms.states(one.name for one in monitoring.alarms)
        )
        remedy = f"{monitoring_checks.DEPLOY} --email ADDRESS"
        if deployed.topic:
            yield from self._subscription_checks("topic", deployed.topic, remedy)
        else:
            yield warn("topic", "the stack has no topic: its alarms send no mail", remedy)

    def _channels(self) -> Iterator[Check]:
        """Yield a check of the subscriptions of each SNS topic that the policy notifies."""
        for channel in self.live.policy.notify or ():
            for topic in channel.arns(AwsLocation()).get("topic", ()):
                yield from self._subscription_checks(
                    channel.display_name, topic, "subscribe to it, or remove the channel"
                )

    def _recipients(self) -> Iterator[Check]:
        """Yield the check of the list of recipients, where the store can be read."""
        if isinstance(self.store, StoreError):
            return  # the check of the store reports it
        try:
            check = recipient_checks.recipients_check(self.live.policy, self.store.recipients())
        except StoreError as error:
            yield fail("recipients", str(error), "without it nothing is sent, and no hook called")
            return
        if check is not None:
            yield check

    def _subscription_checks(self, what: str, topic: str, remedy: str) -> Iterator[Check]:
        try:
            subscriptions = list(self.subscribers.of(topic))
        except MonitoringError as error:
            yield warn(what, f"not checked: {error}")
            return
        yield from monitoring_checks.subscription_checks(what, subscriptions, remedy)

    def _desired_monitoring(self) -> Monitoring:
        """Return the dashboard and alarms that `monitoring deploy` would create now."""
        if not isinstance(self.store, StoreError):
            with suppress(StoreError):  # the check of the store reports it
                return monitoring_of(self.live.policy, self.store)
        return desired_monitoring(self.live.policy)
