"""Who is asked and told outside the account's own services, as Protocols; adapters translate."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from controller.core.decision import Notice
from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import HookAnswer
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout


class HookCaller(Protocol):
    """Calls functions and hosts outside, and hears what they say."""

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return what `hook` says to `call`, after as many tries as `within` has room for.

        private: hosts whose address need not be public. Never raises: what goes wrong is an answer.
        """
        ...

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Tell `hook` what happened, once. Raises DeliveryError."""
        ...


class ChannelNotifier(Protocol):
    """Brings messages to the places that a policy names."""

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Deliver `message` to `channel` within a few seconds.

        Raises DeliveryError when it did not arrive, or nobody knows; it may be tried again.
        """
        ...


class Notifier(Protocol):
    """Tells people."""

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Deliver `notice`, or raise: the runner logs a failure and goes on."""
        ...
