"""Messages as events on an EventBridge bus; docs/events.md has their schema.

IAM: events:PutEvents on the buses that a policy names.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import BUS, TRAFFIC_JOBS, Permission
from controller.core.message import Message
from controller.core.outbox import event_data
from controller.core.policy import EventBridgeChannel
from controller.core.rollout import Rollout
from controller.errors import DeliveryError

IAM: Final = (Permission("events:PutEvents", BUS, TRAFFIC_JOBS),)

SOURCE: Final = "rolloutctl"
DETAIL_TYPE: Final = "Rollout Message"
MOST_BYTES: Final = 240_000  # of a detail; AWS takes 256 KB for a whole entry


class EventBridgeNotifier:
    """Puts messages on event buses. open_client: returns the client; called for each message."""

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def deliver(self, channel: EventBridgeChannel, rollout: Rollout, message: Message) -> None:
        """Put `message` on the bus of `channel`. Raises DeliveryError."""
        problem = f"the event bus {channel.bus} took no event (events:PutEvents)"
        entry = {
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": detail(rollout, message),
            "EventBusName": channel.bus,
            "Time": message.at,
            "Resources": [rollout.target],
        }
        try:
            answer = self._open_client().put_events(Entries=[entry])
        except AWS_ERRORS as error:
            raise DeliveryError(error_text(problem, error)) from error
        if answer.get("FailedEntryCount"):
            refused = (answer.get("Entries") or [{}])[0]
            code, text = refused.get("ErrorCode", "Unknown"), refused.get("ErrorMessage", "")
            raise DeliveryError(f"{problem}: {code}: {text}")


def detail(rollout: Rollout, message: Message) -> str:
    """Return the detail of the event as JSON, without findings when it would be too long."""
    data = event_data(rollout, message)
    encoded = json.dumps(data)
    return encoded if len(encoded) <= MOST_BYTES else json.dumps({**data, "findings": []})
