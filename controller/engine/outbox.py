"""The outbox of a rollout: messages are saved with a decision and removed once they are delivered.

A decision and its messages are saved in the same write, so a run that dies before it has sent them
leaves them to the next tick. A run that dies between sending a message and removing it sends it
twice: a receiver that must not act twice compares the key.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.core.decision import Decision, Notice, Record
from controller.core.message import DELIVERY_TIMEOUT, Message, Severity
from controller.core.policy import Channel, Hook, Policy
from controller.core.policy.hooks import AFTER_HOOKS
from controller.core.rollout import Phase, Rollout
from controller.core.stored_formats import may_have
from controller.engine.hooks import after_call
from controller.engine.recipients import RecipientCheck
from controller.errors import DeliveryError, MessageRefusedError
from controller.immutable import Immutable, replace
from controller.ports.clock import Clock
from controller.ports.notify import ChannelNotifier, HookCaller
from controller.process import logging, signals

log = logging.logger()

Announce: TypeAlias = Callable[[Rollout, Notice], None]
"""Shows a notice once its decision is saved, whether or not the policy names a channel for it."""


def log_notice(rollout: Rollout, notice: Notice) -> None:
    """Log `notice` as `notice_sent`, at the level of its severity."""
    write = {
        Severity.INFO: log.info,
        Severity.WARNING: log.warning,
        Severity.CRITICAL: log.critical,
    }[notice.severity]
    write("notice_sent", rollout=rollout.id, severity=str(notice.severity), notice=notice.text)


# --- messages that wait ---------------------------------------------------------------------------

# The most messages that wait; above it, the oldest that are not critical are dropped first.
MAX_MESSAGES: Final = 20
# The most characters of a text that are stored and sent.
MAX_TEXT_LENGTH: Final = 4_000

# The kind of an entry about hooks that were called after an event: it records no decision.
HOOK_CALLED: Final = "hooked"

_CHANNEL: Final = "notify["


def enqueue_notices(decision: Decision, run: str = "") -> Decision:
    """Return `decision` with its notices in the outbox, for the recipients that the policy names.

    run: the id of the run that decided; empty where it keeps no log.
    """
    rollout = decision.rollout
    messages = [_message(decision, notice, run) for notice in decision.notices]
    messages = [message for message in messages if message.recipients]
    if not messages:
        return decision
    return replace(
        decision, rollout=replace(rollout, outbox=_limit_outbox((*rollout.outbox, *messages)))
    )


def _message(decision: Decision, notice: Notice, run: str) -> Message:
    rollout, entry = decision.rollout, decision.record
    kind = notice.kind or (entry.kind if entry else "notice")
    at, weight = rollout.updated, rollout.weight
    if rollout.phase is Phase.ROLLING_BACK and rollout.seen_weight:
        weight = rollout.seen_weight  # which is still live
    return Message(
        key=f"{rollout.id}:{kind}:{at.isoformat()}",
        at=at,
        severity=notice.severity,
        kind=kind,
        text=notice.text[:MAX_TEXT_LENGTH],
        phase=str(rollout.phase),
        weight=weight,
        step=rollout.step,
        reason=str(rollout.reason),
        recipients=_addresses(rollout.policy, notice, "" if entry is None else entry.kind),
        run=run,
    )


def _addresses(policy: Policy, notice: Notice, kind: str) -> tuple[str, ...]:
    """Return the recipients of a notice: channels, and the hooks after an entry of `kind`."""
    channels = [
        f"{_CHANNEL}{index}]"
        for index, channel in enumerate(policy.notify or ())
        if channel.takes(str(notice.severity))
    ]
    return (*channels, *policy.hooks_at("" if notice.kind else AFTER_HOOKS.get(kind, "")))


def _limit_outbox(waiting: tuple[Message, ...]) -> tuple[Message, ...]:
    excess = len(waiting) - MAX_MESSAGES
    if excess <= 0:
        return waiting
    by_priority = sorted(waiting, key=lambda one: (one.severity == "critical", one.at))
    dropped = {message.key for message in by_priority[:excess]}
    return tuple(message for message in waiting if message.key not in dropped)


def recipient(policy: Policy, address: str) -> Channel | Hook | None:
    """Return the channel or the hook at `address`; None where the policy has none there."""
    if not address.startswith(_CHANNEL):
        return policy.hooks_at(address.partition("[")[0]).get(address)
    index = address.removeprefix(_CHANNEL).removesuffix("]")
    channels = policy.notify or ()
    return channels[int(index)] if index.isdigit() and int(index) < len(channels) else None


def delivery_order(message: Message) -> tuple[str, ...]:
    """Return the recipients in order of delivery: rotated with each try, so that none blocks it."""
    first = message.attempts % len(message.recipients) if message.recipients else 0
    return message.recipients[first:] + message.recipients[:first]


def delivery_priority(rollout: Rollout) -> tuple[bool, int]:
    """Return the sort key of rollouts for delivery: critical messages first, then new ones.

    So slow recipients of one rollout delay the messages of another by one tick at most.
    """
    none_critical = all(message.severity != "critical" for message in rollout.outbox)
    return none_critical, min((message.attempts for message in rollout.outbox), default=0)


def hook_record(rollout: Rollout, sentence: str, now: datetime) -> Record:
    """Return the record of hooks that were called after an event, or that could not be called."""
    return Record.of(
        HOOK_CALLED, rollout, rollout, rollout.weight, now, sentence=sentence, findings=()
    )


# --- delivery -------------------------------------------------------------------------------------

_Receipt: TypeAlias = tuple[str, str]
"""The key of a message, and the address that it reached."""


class Delivery(Immutable):
    """What one delivery of an outbox led to.

    outbox: the messages that some recipient still lacks. threads: those of the rollout, with the
    new ones. sent: how many messages arrived, counted for each recipient. failed: how many
    recipients failed. hooks: which hooks were called or given up, for the history; empty when there
    is none.
    """

    outbox: tuple[Message, ...]
    threads: Mapping[str, str]
    sent: int = 0
    failed: int = 0
    hooks: str = ""


@dataclass(slots=True)
class _Tries:
    """The tries of one delivery so far.

    receipts: what arrived. refused: what a recipient will never take. unreachable: the recipients
    that failed, which are not tried again in this tick.
    """

    receipts: set[_Receipt] = field(default_factory=set)
    refused: set[_Receipt] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)

    @staticmethod
    def addresses(receipts: Set[_Receipt], message: Message) -> frozenset[str]:
        """Return the recipients of `message` that are in `receipts`."""
        return frozenset(one for one in message.recipients if (message.key, one) in receipts)


class OutboxDelivery(Immutable):
    """Sends messages to channels and hooks; the executor saves what is left.

    channel_notifier, hooks: None: this run sends nothing to channels, or to hooks.
    recipients: which of them a rollout may use.
    """

    clock: Clock
    channel_notifier: ChannelNotifier | None
    hooks: HookCaller | None
    recipients: RecipientCheck

    def send(self, rollout: Rollout, deadline: datetime) -> Delivery:
        """Send the outbox of `rollout`, each message to the recipients that still lack it.

        A recipient that fails is not tried again in this tick, and delays no other one.
        """
        if not rollout.outbox or (self.channel_notifier is None and self.hooks is None):
            return Delivery(rollout.outbox, rollout.threads)
        tries = _Tries()
        for message in rollout.outbox:
            for address in delivery_order(message):
                remaining = deadline - self.clock.now()
                over = signals.stop_requested() or remaining <= timedelta()
                if not over and address not in tries.unreachable:
                    rollout = self._try(rollout, message, address, remaining, tries)
        return _delivery(rollout, tries, self.clock.now())

    def _try(
        self, rollout: Rollout, message: Message, address: str, within: timedelta, tries: _Tries
    ) -> Rollout:
        """Send `message` to one recipient, and note in `tries` whether it arrived.

        Returns the rollout with the thread that the message has started.
        """
        channel, thread = recipient(rollout.policy, address), None
        if channel is None:
            tries.receipts.add((message.key, address))
            return rollout
        try:
            if isinstance(channel, Hook):
                self._call_hook(channel, rollout, message, address, within)
            elif self.channel_notifier is None:
                tries.unreachable.add(address)
                return rollout
            else:
                self.recipients.check(rollout.id, channel)
                thread = self.channel_notifier.deliver(channel, rollout, message)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
            if isinstance(error, MessageRefusedError):
                tries.refused.add((message.key, address))
            else:
                tries.unreachable.add(address)
            log.error(
                "message_failed",
                rollout=rollout.id,
                message=message.key,
                channel=channel.display_name,
                problem=str(error),
            )
            return rollout
        tries.receipts.add((message.key, address))
        log.info(
            "message_sent", rollout=rollout.id, message=message.key, channel=channel.display_name
        )
        if thread is None or not may_have(rollout.format, "threads"):
            return rollout
        return replace(rollout, threads={**rollout.threads, channel.display_name: thread})

    def _call_hook(
        self, hook: Hook, rollout: Rollout, message: Message, address: str, within: timedelta
    ) -> None:
        if self.hooks is None:
            raise DeliveryError("no hook can be called from here")
        self.recipients.check(rollout.id, hook)
        private = () if rollout.policy.hooks is None else rollout.policy.hooks.private_hosts or ()
        call = after_call(rollout, message, address)
        self.hooks.tell(hook, call, within=min(hook.timeout, within), private=private)


def _delivery(rollout: Rollout, tries: _Tries, now: datetime) -> Delivery:
    """Return what is left of the outbox: each message for the recipients that still lack it.

    A message is given up when it is older than DELIVERY_TIMEOUT, or where its recipient refuses it.
    """
    outbox, given_up = list[Message](), list[str]()
    for message in rollout.outbox:
        reached = tries.addresses(tries.receipts, message)
        refused = tries.addresses(tries.refused, message)
        if not (reached or refused) and tries.unreachable.isdisjoint(message.recipients):
            outbox.append(message)  # no recipient was tried
            continue
        left = [one for one in message.recipients if one not in reached | refused]
        if now - message.at > DELIVERY_TIMEOUT:
            left = []
        if left:
            attempts = message.attempts + 1
            outbox.append(replace(message, recipients=tuple(left), attempts=attempts))
        if missed := [one for one in message.recipients if one not in {*reached, *left}]:
            given_up += missed
            log.error("message_given_up", rollout=rollout.id, message=message.key, missed=missed)
    called = [
        address
        for message in rollout.outbox
        for address in message.recipients
        if (message.key, address) in tries.receipts
    ]
    failed = tries.unreachable | {address for _, address in tries.refused}
    outcomes = dict.fromkeys(called, "was called")
    outcomes |= dict.fromkeys(given_up, "was not reached and is given up")
    hooks = "; ".join(
        f"{address} {outcome}"
        for address, outcome in outcomes.items()
        if not address.startswith(_CHANNEL)
    )
    return Delivery(tuple(outbox), rollout.threads, len(tries.receipts), len(failed), hooks)
