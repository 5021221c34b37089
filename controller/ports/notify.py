"""Hooks and channels of a policy: what is called, and what gets messages."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import HookAnswer
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout
from controller.ports.account import Account


class HookCaller(Protocol):
    """Calls the hooks of a policy: Lambda functions and HTTPS endpoints."""

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return the consent of `hook` to `call`, after as many attempts as fit into `within`.

        private: the hosts whose address need not be public. Never raises: an error is an answer.
        """
        ...

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Send `call` to `hook` once, after the event. Raises DeliveryError."""
        ...


class DeliveringChannel(Protocol):
    """A channel of a policy that delivers: what each kind in `rolloutctl.notifiers` has to do."""

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        """Deliver `message` within a few seconds.

        Raises DeliveryError when it did not arrive, or when that is unknown, and UsageError without
        a region or credentials; the next tick may try again.
        """
        ...


class ChannelNotifier(Protocol):
    """Delivers messages to the channels that a policy names."""

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Deliver `message` to `channel` within a few seconds.

        Raises DeliveryError when it did not arrive, or when that is unknown; the next tick may try
        again.
        """
        ...
