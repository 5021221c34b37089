"""Logs each notice at once, and sends the outbox of a rollout to channels and hooks."""

from collections.abc import Callable, Collection, Set
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.core.decision import Notice
from controller.core.message import Message, Severity
from controller.core.policy import Hook
from controller.core.rollout import Rollout
from controller.engine.hooks import after_call
from controller.engine.outbox import delivery_order, recipient, remaining_message
from controller.engine.recipients import RecipientCheck
from controller.errors import DeliveryError
from controller.immutable import Immutable
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

    outbox: the messages that some recipient still lacks. sent: how many messages arrived, counted
    for each recipient. failed: how many recipients failed. hooks: which hooks were called or given
    up, for the history; empty when there is none.
    """

    outbox: tuple[Message, ...]
    sent: int = 0
    failed: int = 0
    hooks: str = ""


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
            return Delivery(rollout.outbox)
        receipts, unreachable = set[_Receipt](), set[str]()
        for message in rollout.outbox:
            for address in delivery_order(message):
                remaining = deadline - self.clock.now()
                if signals.stop_requested() or remaining <= timedelta() or address in unreachable:
                    continue
                if self._arrived(rollout, message, address, remaining):
                    receipts.add((message.key, address))
                else:
                    unreachable.add(address)
        return _delivery(rollout, receipts, unreachable, self.clock.now())

    def _arrived(self, rollout: Rollout, message: Message, address: str, within: timedelta) -> bool:
        channel = recipient(rollout.policy, address)
        if channel is None:
            return True
        try:
            if isinstance(channel, Hook):
                self._call_hook(channel, rollout, message, address, within)
            elif self.channel_notifier is None:
                return False
            else:
                self.recipients.check(rollout.id, channel)
                self.channel_notifier.deliver(channel, rollout, message)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
            log.error(
                "message_failed",
                rollout=rollout.id,
                message=message.key,
                channel=channel.display_name,
                problem=str(error),
            )
            return False
        log.info(
            "message_sent", rollout=rollout.id, message=message.key, channel=channel.display_name
        )
        return True

    def _call_hook(
        self, hook: Hook, rollout: Rollout, message: Message, address: str, within: timedelta
    ) -> None:
        if self.hooks is None:
            raise DeliveryError("no hook can be called from here")
        self.recipients.check(rollout.id, hook)
        private = () if rollout.policy.hooks is None else rollout.policy.hooks.private_hosts or ()
        call = after_call(rollout, message, address)
        self.hooks.tell(hook, call, within=min(hook.timeout, within), private=private)


def _delivery(
    rollout: Rollout, receipts: Set[_Receipt], unreachable: Set[str], now: datetime
) -> Delivery:
    """Return what is left of the outbox; a message that is too old for another try is given up."""
    outbox, given_up = list[Message](), list[str]()
    for message in rollout.outbox:
        reached = frozenset(one for one in message.recipients if (message.key, one) in receipts)
        if not reached and unreachable.isdisjoint(message.recipients):
            outbox.append(message)  # no recipient was tried
        elif remaining := remaining_message(message, reached, now):
            outbox.append(remaining)
        elif missed := [one for one in message.recipients if one not in reached]:
            given_up += missed
            log.error("message_given_up", rollout=rollout.id, message=message.key, missed=missed)
    called = [
        address
        for message in rollout.outbox
        for address in message.recipients
        if (message.key, address) in receipts
    ]
    hooks = _hook_summary(called, given_up)
    return Delivery(tuple(outbox), len(receipts), len(unreachable), hooks)


def _hook_summary(called: Collection[str], given_up: Collection[str]) -> str:
    outcomes = dict.fromkeys(called, "was called")
    outcomes |= dict.fromkeys(given_up, "was not reached and is given up")
    return "; ".join(
        f"{address} {outcome}"
        for address, outcome in outcomes.items()
        if not address.startswith("notify[")
    )
