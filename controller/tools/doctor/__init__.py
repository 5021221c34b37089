"""The checks of `rolloutctl doctor`, with those of a start (`operations/live_checks`) among them.

A source that cannot be read degrades only its own check.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from controller.core.message import TEST, Message, RecipientList, Severity, resources_of
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import Channel, Policy
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.notify import Recipient
from controller.core.policy.sources import SourceSpec
from controller.core.rollout import Pending, Progressing, Reason, Rollout
from controller.core.units import clock_text, duration_text
from controller.errors import MonitoringError, NoStoreError, StoreError, UsageError, is_record_error
from controller.immutable import Immutable
from controller.operations.checks import Check, fail, ok, warn
from controller.operations.live_checks import LiveChecks
from controller.operations.live_checks.target import read_target
from controller.policy_file.rules import ask_text, flaw_texts, rules_of
from controller.ports.clock import Clock
from controller.ports.metrics import AlarmSource
from controller.ports.monitoring import Deployed, Subscription
from controller.ports.notify import ChannelNotifier
from controller.ports.store import RulesReader, Store
from controller.tools.monitoring.resources import Monitoring
from controller.tools.monitoring.wanted_stack import desired_monitoring, monitoring_of


class TopicSubscribers(Protocol):
    """The subscriptions of SNS topics."""

    def of(self, topic: str) -> Iterable[Subscription]:
        """Return the subscriptions of `topic`. Raises MonitoringError."""


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
    file: where the policy was read, for the lines of what breaks the rules of the store.
    """

    live: LiveChecks
    clock: Clock
    store: Store | StoreError
    alarms: AlarmSource
    subscribers: TopicSubscribers
    deployed: Callable[[Monitoring], Deployed | None]
    caller_checks: Callable[[], Iterator[Check]]
    permission_checks: Callable[[], Iterator[Check]]
    file: Path | None = None

    def checks(self) -> Iterator[Check]:
        """Yield every check, in the order in which problems are best fixed."""
        yield from self.caller_checks()
        yield from self._store()
        yield from self.live.checks(read_target(self.live.target), self.clock.now())
        yield from self._monitoring_checks()
        yield from self._channels()
        yield from self._settings_of_store()
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
        active = [rollout for rollout in rollouts if not rollout.final]
        names = ", ".join(one.id for one in active) or "none"
        yield ok("store", f"can be read; active rollouts of this policy: {names}")
        for one in damaged:
            yield fail("store", str(one), "this rollout is neither judged nor moved")
        yield schedule_check(active, now)

    def _monitoring_checks(self) -> Iterator[Check]:
        monitoring = desired_monitoring(self.live.policy)
        if not isinstance(self.store, StoreError):
            with suppress(StoreError):  # the check of the store reports it
                monitoring = monitoring_of(self.live.policy, self.store)
        try:
            deployed = self.deployed(monitoring)
        except (MonitoringError, UsageError) as error:
            yield warn("monitoring", f"not checked: {error}")
            return
        yield stack_check(deployed)
        if deployed is None:
            return
        yield alarms_check(self.alarms.states(alarm.name for alarm in monitoring.alarms))
        remedy = f"{_DEPLOY} --email ADDRESS"
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

    def _settings_of_store(self) -> Iterator[Check]:
        """Yield the checks of the list of recipients and of the rules, where there is something."""
        if isinstance(self.store, StoreError):
            return  # the check of the store reports it
        try:
            check = recipients_check(self.live.policy, self.store.recipients())
        except StoreError as error:
            check = fail("recipients", str(error), "without it nothing is sent, and no hook called")
        if check is not None:
            yield check
        check = rules_check(self.live.policy, self.store, self.file)
        if check is not None:
            yield check

    def _subscription_checks(self, what: str, topic: str, remedy: str) -> Iterator[Check]:
        try:
            subscriptions = list(self.subscribers.of(topic))
        except MonitoringError as error:
            yield warn(what, f"not checked: {error}")
            return
        yield from subscription_checks(what, subscriptions, remedy)


# --- Schedule -------------------------------------------------------------------------------------

# The slowest schedule that still keeps the weight at 0% after a rollback.
_TICK_AGE_LIMIT: Final = timedelta(minutes=15)


def schedule_check(active: Sequence[Rollout], now: datetime) -> Check:
    """Return the check that ticks run: each tick stores its time in every unfinished rollout.

    active: the unfinished rollouts of the policy.
    """
    if not active:
        return warn(
            "schedule",
            "no rollout of this policy is active, so whether the schedule runs is unknown",
            "check the schedule itself, or run again after the start",
        )
    newest = max(active, key=lambda one: one.updated)
    age = max(now - newest.updated, timedelta())
    text = f"the newest tick was {duration_text(age)} ago ({newest.id})"
    if age <= _TICK_AGE_LIMIT:
        return ok("schedule", text)
    return fail(
        "schedule",
        text,
        "is the schedule running? `rolloutctl tick` must run every 1 to 15 minutes with this "
        "store; check the log of its last run",
    )


# --- Monitoring -----------------------------------------------------------------------------------

_DEPLOY = "rolloutctl monitoring deploy POLICY"


def stack_check(deployed: Deployed | None) -> Check:
    """Return the check that the stack exists, is healthy, and matches the policy."""
    if deployed is None:
        return warn(
            "monitoring", "no dashboard and no alarms are installed", f"install them: {_DEPLOY}"
        )
    if not deployed.sound:
        remedy = f"see its events in the CloudFormation console; then {_DEPLOY}"
        return warn("monitoring", f"its stack is {deployed.status}", remedy)
    if deployed.differing_resources:
        detail = f"its stack differs from the policy in {', '.join(deployed.differing_resources)}"
        return warn("monitoring", detail, _DEPLOY)
    return ok("monitoring", f"its stack is {deployed.status} and matches the policy")


def alarms_check(readings: Mapping[str, AlarmReading]) -> Check:
    """Return the check that no alarm of the monitoring stack is in ALARM."""
    names = {
        state: sorted(name for name, reading in readings.items() if reading.state is state)
        for state in AlarmState
    }
    if unread := {readings[name].reason for name in names[AlarmState.UNREAD]}:
        return warn("alarms", f"not checked: {'; '.join(sorted(unread))}")
    if in_alarm := names[AlarmState.ALARM]:
        remedy = "check them before you start or continue"
        return warn("alarms", f"in ALARM: {', '.join(in_alarm)}", remedy)
    if missing := names[AlarmState.MISSING]:
        return warn("alarms", f"deleted outside the stack: {', '.join(missing)}")
    without_data = len(names[AlarmState.INSUFFICIENT_DATA])
    caveat = f", {without_data} of them without data" if without_data else ""
    return ok("alarms", f"none of {len(readings)} is in ALARM{caveat}")


def subscription_checks(
    what: str, subscriptions: Sequence[Subscription], remedy: str
) -> Iterator[Check]:
    """Yield the checks of the subscriptions of a topic.

    remedy: what to do when there is no subscription.
    """
    unconfirmed = [one.address for one in subscriptions if not one.confirmed]
    if unconfirmed:
        yield warn(
            what,
            f"not confirmed: {', '.join(sorted(unconfirmed))}",
            "follow the link in the mail of AWS; it is good for two days, then subscribe again",
        )
    confirmed = len(subscriptions) - len(unconfirmed)
    if confirmed:
        yield ok(what, f"{confirmed} confirmed subscription{'' if confirmed == 1 else 's'}")
    elif not unconfirmed:
        yield warn(what, "it has no subscription", remedy)


# --- Recipients -----------------------------------------------------------------------------------


def recipients_check(policy: Policy, listed: RecipientList | None) -> Check | None:
    """Return the check of what `policy` sends to; None where it sends nothing."""
    used = list(
        dict.fromkeys(resource for each in _recipients(policy) for resource in resources_of(each))
    )
    if not used:
        return None
    if listed is None:
        return warn(
            "recipients",
            "the store has no list of them: a role that may write one record can make a tick send "
            f"wherever the tick may, also to {', '.join(used)}",
            f"list what each policy may use, here {policy.name}: [{', '.join(used)}]; then "
            "rolloutctl store recipients --set FILE",
        )
    if withheld := listed.withheld(policy.name, used):
        return fail(
            "recipients",
            f"the list in the store does not give {policy.name} {', '.join(withheld)}: nothing is "
            "sent there",
            "add it to the list: rolloutctl store recipients --set FILE",
        )
    return ok("recipients", f"the list in the store gives {policy.name} all that it uses")


def _recipients(policy: Policy) -> Iterator[Recipient | SourceSpec]:
    yield from policy.notify or ()
    if policy.hooks is not None:
        yield from (hook for _, hook in policy.hooks.all())
    yield from (metric.source for metric in policy.metrics.values() if metric.source is not None)


# --- Rules ----------------------------------------------------------------------------------------


def rules_check(policy: Policy, store: RulesReader, file: Path | None = None) -> Check | None:
    """Return the check of `policy` by the rules of `store`; None where it has none.

    file: where the policy was read.
    """
    try:
        rules = rules_of(store)
    except StoreError as error:
        return fail("rules", str(error), "until they can be read, no policy starts")
    if rules is None:
        return None
    if broken := flaw_texts(rules, policy, file):
        return fail("rules", "; ".join(broken), ask_text(rules))
    return ok("rules", f"the policy keeps those of this store, of {rules.owner}")


# --- Test messages: about no rollout --------------------------------------------------------------

NO_ROLLOUT = "none"  # the phase that a test message names


def channel_tests(
    policy: Policy, severity: Severity, notifier: ChannelNotifier, now: datetime, by: str
) -> Iterator[Check]:
    """Send a test message to each channel of `policy` that takes `severity`.

    Yields a check for each channel. by: who sends it.
    """
    rollout, message = _no_rollout(policy, now), _test_message(policy, severity, now, by)
    for channel in policy.notify or ():
        yield _channel_test(channel, rollout, message, notifier)
    if not policy.notify:
        yield fail("channels", "the policy has none: messages are only logged", "add `notify`")


def _channel_test(
    channel: Channel, rollout: Rollout, message: Message, notifier: ChannelNotifier
) -> Check:
    what, least = channel.display_name, channel.min_severity
    if not Channel.takes(channel, message.severity):  # an info that only resolves is none here
        worse = " only" if least == "critical" else " and worse"
        return warn(what, f"nothing was sent: it takes {least}{worse}", f"--test-message {least}")
    try:
        notifier.deliver(channel, rollout, message)
    except Exception as error:  # noqa: BLE001 - whatever a channel raises is its result
        return fail(what, str(error), "until it is repaired, no message arrives there")
    return ok(what, f"took the test message of {clock_text(message.at)}; see whether it arrived")


def _test_message(policy: Policy, severity: Severity, now: datetime, by: str) -> Message:
    return Message(
        key=f"{policy.name}:{TEST}:{now.isoformat()}",
        at=now,
        severity=severity,
        kind=TEST,
        text=f"TEST of the channels of {policy.name}: nothing happened, and nothing has to be "
        f"done. Sent by {by} with rolloutctl doctor.",
        phase=NO_ROLLOUT,
        weight=0,
        step=0,
        reason=TEST,
    )


def _no_rollout(policy: Policy, now: datetime) -> Rollout:
    """Return what channels take the name and the target of a message from: attempt 0 of none."""
    first = policy.steps[0].weight
    nothing = Pending(step=0, weight=first, previous=0, token="", decided=now)
    return Rollout(
        id=f"{policy.name}#0",
        revision="",
        policy=policy,
        digest="",
        target=policy.target.name,
        state=Progressing(since=now, reason=Reason.STARTED, sentence="", position=nothing),
        created=now,
        updated=now,
    )
