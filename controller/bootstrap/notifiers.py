"""Delivery of messages: one adapter for each kind of channel, imported on use."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from controller.core.message import Message
from controller.core.policy import (
    Channel,
    EventBridgeChannel,
    SecretReference,
    SlackChannel,
    SnsChannel,
)
from controller.core.rollout import Rollout
from controller.errors import DeliveryError, UsageError
from controller.ports.egress import Egress


class ChannelNotifiers:
    """`ChannelNotifier` for every kind of channel.

    client: returns the client of an AWS service. environment: variables that may hold secrets.
    egress: rules for calls of hosts.
    """

    def __init__(
        self, client: Callable[[str], Any], environment: Mapping[str, str], egress: Egress
    ) -> None:
        self._client, self._environment, self._egress = client, environment, egress

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Deliver `message` to `channel`. Raises DeliveryError."""
        try:
            self._deliver(channel, rollout, message)
        except UsageError as error:  # no client: no region, or no credentials
            raise DeliveryError(str(error)) from error

    def _deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        match channel:
            case SnsChannel():
                from controller.adapters.notifiers.sns import SnsNotifier

                SnsNotifier(partial(self._client, "sns")).deliver(channel, rollout, message)
            case EventBridgeChannel():
                from controller.adapters.notifiers.eventbridge import EventBridgeNotifier

                notifier = EventBridgeNotifier(partial(self._client, "events"))
                notifier.deliver(channel, rollout, message)
            case SlackChannel():
                from controller.adapters.notifiers.slack import SlackNotifier

                SlackNotifier(self.read_secret, self._egress).deliver(channel, rollout, message)
            case _:
                raise DeliveryError(f"no installed package delivers to {channel.display_name}")

    def read_secret(self, place: SecretReference) -> str:
        """Return the secret at `place`. Raises DeliveryError."""
        from controller.adapters.secrets import SecretReader

        return SecretReader(partial(self._client, "secretsmanager"), self._environment).read(place)
