"""What `doctor` looks at: what cannot be looked at degrades its own line, and no other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from controller.core.checks import Check, fail, ok, warn
from controller.core.observation import Series
from controller.core.policy import Metric, Policy, SnsChannel
from controller.core.rollout import Rollout
from controller.errors import (
    MetricsError,
    MonitoringError,
    NoStoreError,
    StoreError,
    TargetError,
    UsageError,
    is_record_error,
)
from controller.operations.doctor import alarms_and_logs, metrics, target
from controller.operations.doctor import monitoring as watching
from controller.operations.doctor import store as place
from controller.operations.monitoring.desired import monitoring_of, wanted
from controller.operations.monitoring.resources import Monitoring
from controller.ports.clock import Clock
from controller.ports.logs import LogSource
from controller.ports.metrics import AlarmSource, MetricListing, MetricSource
from controller.ports.monitoring import Deployed, Subscription
from controller.ports.store import Store
from controller.ports.target import InspectableTarget


class TargetWarning(Protocol):
    """Why a variable of the policy may be the wrong one."""

    @property
    def text(self) -> str: ...


class NameCheckedTarget(InspectableTarget, Protocol):
    """A target that also knows whether its variables are those of the function."""

    def name_warnings(self) -> Sequence[TargetWarning]:
        """Return why they may not be. Raises TargetError."""
        ...


class MetricCatalogue(Protocol):
    """Which metrics there are."""

    def similar(self, metric: Metric) -> MetricListing:
        """Return what there is of this name, or in its namespace."""
        ...


class TopicSubscribers(Protocol):
    """Who hears a topic."""

    def of(self, topic: str) -> Iterable[Subscription]:
        """Return its subscriptions. Raises MonitoringError."""
        ...


def _load_all(store: Store, ids: Iterable[str]) -> tuple[list[Rollout], list[StoreError]]:
    """Return the rollouts that can be read, and what is wrong with the records of the others.

    Raises StoreError when something is wrong with the whole store.
    """
    found: list[Rollout] = []
    damaged: list[StoreError] = []
    for one in ids:
        try:
            found.append(store.load(one))
        except StoreError as error:
            if not is_record_error(error):
                raise
            damaged.append(error)
    return found, damaged


@dataclass(frozen=True, slots=True)
class Doctor:
    """What is looked at, and with what.

    store: or why it cannot be opened. deployed: the stack beside what should watch the policy; it
    raises MonitoringError and UsageError. caller_checks, permission_checks: checks that the account alone can make.
    """

    policy: Policy
    clock: Clock
    store: Store | StoreError
    target: NameCheckedTarget
    metrics: MetricSource
    catalogue: MetricCatalogue
    alarms: AlarmSource
    logs: LogSource
    subscribers: TopicSubscribers
    deployed: Callable[[Monitoring], Deployed | None]
    caller_checks: Callable[[], Iterator[Check]]
    permission_checks: Callable[[], Iterator[Check]]

    def checks(self) -> Iterator[Check]:
        """Yield every check, in the order in which one would mend things."""
        yield from self.caller_checks()
        yield from self._store()
        yield from self._target()
        yield from self._metrics()
        yield from self._alarms_and_logs()
        yield from self._monitoring_checks()
        yield from self._channels()
        yield from self.permission_checks()

    def _store(self) -> Iterator[Check]:
        try:
            if isinstance(self.store, StoreError):
                raise self.store
            now = self.clock.now()
            found, damaged = _load_all(self.store, self.store.active(now, [self.policy.name]))
        except NoStoreError as error:
            yield warn("store", str(error))
            return
        except StoreError as error:
            yield fail("store", str(error), "without it nothing is judged and nothing goes up")
            return
        active = [one for one in found if not one.final]
        names = ", ".join(one.id for one in active) or "none"
        yield ok("store", f"can be read; active rollouts: {names}")
        for one in damaged:
            yield fail("store", str(one), "that rollout alone is neither judged nor moved")
        yield place.schedule_check(active, now)

    def _target(self) -> Iterator[Check]:
        try:
            yield target.reading_check(self.target.read())
            yield from target.names_checks(one.text for one in self.target.name_warnings())
        except TargetError as error:
            yield fail("target", str(error), "nothing can be moved before it can be read")
            return
        found = [(one.fatal, one.text) for one in self.target.obstacles()]
        yield from target.reach_checks(found)

    def _metrics(self) -> Iterator[Check]:
        now = self.clock.now()
        asked = {name: metrics.queries_of(one) for name, one in self.policy.metrics.items()}
        queries = [query for pair in asked.values() for query in pair]
        try:
            series = self.metrics.read(queries, metrics.span_until(now))
        except MetricsError as error:
            yield fail("metrics", str(error), "nothing can be judged without them")
            return
        for name, metric in self.policy.metrics.items():
            samples, values = (series.get(one, Series()) for one in asked[name])
            found = metrics.data_check(name, metric, samples, values, now)
            yield found or metrics.missing_data_check(
                name, self.policy, self.catalogue.similar(metric)
            )

    def _alarms_and_logs(self) -> Iterator[Check]:
        alarms = alarms_and_logs.alarms_of(self.policy)
        stand = self.alarms.states(one.alarm for one in alarms.values())
        for name, one in alarms.items():
            yield alarms_and_logs.alarm_check(name, one, stand[one.alarm])
        asked = alarms_and_logs.log_queries(self.policy, self.clock.now())
        counted = self.logs.count(query for queries in asked.values() for query in queries)
        for what, queries in asked.items():
            yield alarms_and_logs.log_check(what, queries, counted)

    def _monitoring_checks(self) -> Iterator[Check]:
        monitoring = self._monitoring()
        try:
            found = self.deployed(monitoring)
        except (MonitoringError, UsageError) as error:
            yield warn("monitoring", f"not checked: {error}")
            return
        yield watching.stack_check(found)
        if found is None:
            return
        yield watching.alarms_check(self.alarms.states(one.name for one in monitoring.alarms))
        remedy = f"{watching.DEPLOY} --email ADDRESS"
        if found.topic:
            yield from self._heard("topic", found.topic, remedy)
        else:
            yield warn("topic", "the stack has no topic: its alarms send no mail", remedy)

    def _channels(self) -> Iterator[Check]:
        """Yield whether somebody hears the topics that the policy tells."""
        for channel in self.policy.notify or ():
            if isinstance(channel, SnsChannel):
                yield from self._heard(
                    channel.display_name, channel.topic, "subscribe to it, or drop it"
                )

    def _heard(self, what: str, topic: str, otherwise: str) -> Iterator[Check]:
        try:
            found = list(self.subscribers.of(topic))
        except MonitoringError as error:
            yield warn(what, f"not checked: {error}")
            return
        yield from watching.subscription_checks(what, found, otherwise)

    def _monitoring(self) -> Monitoring:
        """Return what should watch the policy, as `monitoring deploy` would make it now."""
        if not isinstance(self.store, StoreError):
            with suppress(StoreError):  # its own check tells
                return monitoring_of(self.policy, self.store)
        return wanted(self.policy)
