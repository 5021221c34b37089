"""Who brings messages where: one adapter for each kind of channel, made when it is needed."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, assert_never

from controller.adapters.aws.clients import Service
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
from controller.process.settings import Egress


class ChannelNotifiers:
    """`Courier` for every kind of channel.

    client: gives the client of an AWS service. environment: where secrets may be kept. egress: how
    hosts are reached.
    """

    def __init__(
        self, client: Callable[[Service], Any], environment: Mapping[str, str], egress: Egress
    ) -> None:
        self._client, self._environment, self._egress = client, environment, egress

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Deliver `message` to `channel`. Raises DeliveryError."""
        try:
            self._deliver(channel, rollout, message)
        except UsageError as error:  # there is no client: no region, no credentials
            raise DeliveryError(str(error)) from error

    def _deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        match channel:
            case SnsChannel():
                from controller.adapters.notifiers.sns import SnsNotifier

                SnsNotifier(partial(self._client, "sns")).deliver(channel, rollout, message)
            case EventBridgeChannel():
                from controller.adapters.notifiers.eventbridge import EventBridgeNotifier

                courier = EventBridgeNotifier(partial(self._client, "events"))
                courier.deliver(channel, rollout, message)
            case SlackChannel():
                from controller.adapters.notifiers.slack import SlackNotifier

                SlackNotifier(self.read_secret, self._egress).deliver(channel, rollout, message)
            case unreachable:
                assert_never(unreachable)

    def read_secret(self, place: SecretReference) -> str:
        """Return the secret that is kept in `place`. Raises DeliveryError."""
        from controller.adapters.secrets import SecretReader

        return SecretReader(partial(self._client, "secretsmanager"), self._environment).read(place)
