"""A channel of another package: messages to a webhook that takes JSON, as Microsoft Teams does.

IAM: none; the URL of the webhook is a secret, which rolloutctl reads.
"""

import json
from typing import Final, Literal

from pydantic import Field

from controller.adapters.http import HttpsError, host_of, post
from controller.core.message import Message
from controller.core.policy import Channel, SecretReference
from controller.core.policy.notify import Host, SecretField
from controller.core.rollout import Rollout
from controller.core.words.headline import headline
from controller.errors import DeliveryError
from controller.ports.account import Account

_WITHIN_S: Final = 5.0


class TeamsChannel(Channel):
    """A webhook of a team."""

    kind: Literal["teams"] = Field(description="What sort of channel it is.")
    webhook: SecretField = Field(description="Where the URL of the webhook is kept.")
    host: Host = Field(description="The host that the URL has to name.")

    @property
    def display_name(self) -> str:
        """The channel in a few words."""
        return f"teams by {self.webhook.display_name}"

    @property
    def secret_reference(self) -> SecretReference:
        """The URL: the role of a tick may read it."""
        return self.webhook

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        """Post `message`. Raises DeliveryError; no error repeats the URL."""
        url = account.read_secret(self.webhook)
        body = json.dumps({"title": headline(rollout, message), "text": message.text})
        headers = {"Content-Type": "application/json"}
        try:
            if host_of(url) != self.host:
                raise DeliveryError(f"{self.webhook.display_name} names another host")
            answer = post(
                url,
                body.encode(),
                headers,
                within_s=_WITHIN_S,
                private={self.host},
                egress=account.egress,
            )
        except HttpsError as error:
            raise DeliveryError(f"the webhook took no message: {error}") from error
        if answer.status >= 300:
            raise DeliveryError(f"the webhook took no message: the answer was {answer.status}")
