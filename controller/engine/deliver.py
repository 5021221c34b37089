"""Logs each notice at once, and sends the outbox of a rollout to channels and hooks."""

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.core.decision import Notice
from controller.core.message import Message, Severity
from controller.core.policy import Hook
from controller.core.rollout import Rollout
from controller.core.stored_formats import may_have
from controller.engine.hooks import after_call
from controller.engine.outbox import delivery_order, recipient, remaining_message
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
    """Return what is left of the outbox.

    A message is given up when it is too old for another try, or where its recipient refuses it.
    """
    outbox, given_up = list[Message](), list[str]()
    for message in rollout.outbox:
        reached = tries.addresses(tries.receipts, message)
        refused = tries.addresses(tries.refused, message)
        if not (reached or refused) and tries.unreachable.isdisjoint(message.recipients):
            outbox.append(message)  # no recipient was tried
            continue
        remaining = remaining_message(message, reached | refused, now)
        waiting = () if remaining is None else remaining.recipients
        if remaining is not None:
            outbox.append(remaining)
        if missed := [one for one in message.recipients if one not in {*reached, *waiting}]:
            given_up += missed
            log.error("message_given_up", rollout=rollout.id, message=message.key, missed=missed)
    called = [
        address
        for message in rollout.outbox
        for address in message.recipients
        if (message.key, address) in tries.receipts
    ]
    failed = tries.unreachable | {address for _, address in tries.refused}
    hooks = _hook_summary(called, given_up)
    return Delivery(tuple(outbox), rollout.threads, len(tries.receipts), len(failed), hooks)


def _hook_summary(called: Collection[str], given_up: Collection[str]) -> str:
    outcomes = dict.fromkeys(called, "was called")
    outcomes |= dict.fromkeys(given_up, "was not reached and is given up")
    return "; ".join(
        f"{address} {outcome}"
        for address, outcome in outcomes.items()
        if not address.startswith("notify[")
    )
