"""Messages as events on an EventBridge bus; docs/events.md has their schema.

IAM: events:PutEvents on the buses that a policy names.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam import BUS, TRAFFIC_JOBS, Permission
from controller.core.message import Message
from controller.core.policy import Channel
from controller.core.policy.field_types import AwsLocation, Form
from controller.core.rollout import Rollout
from controller.errors import DeliveryError
from controller.ports.account import Account
from controller.ports.notify import fitting_event_data

IAM: Final = (Permission("events:PutEvents", BUS, TRAFFIC_JOBS),)

SOURCE: Final = "rolloutctl"
DETAIL_TYPE: Final = "Rollout Message"
MOST_BYTES: Final = 240_000  # of a detail; AWS takes 256 KB for a whole entry

BUS_PATTERN = r"^(arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9_./-]{1,256}$"


class EventBridgeChannel(Channel):
    """An EventBridge event bus: rules may start anything."""

    example: ClassVar[str] = "{kind: eventbridge}"

    kind: Literal["eventbridge"] = Field(description="What sort of channel it is.")
    bus: Annotated[str, Field(pattern=BUS_PATTERN), Form("the name or ARN of an event bus")] = (
        Field(default="default", description="Name or ARN of the bus.")
    )

    @property
    def display_name(self) -> str:
        return f"eventbridge {self.bus.rpartition('/')[2]}"

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {"bus": [where.full_arn(self.bus, "events", "event-bus/{}")]}

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        problem = f"the event bus {self.bus} took no event (events:PutEvents)"
        entry = {
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": detail(rollout, message),
            "EventBusName": self.bus,
            "Time": message.at,
            "Resources": [rollout.target],
        }
        try:
            answer = account.client("events").put_events(Entries=[entry])
        except AWS_ERRORS as error:
            raise DeliveryError(error_text(problem, error)) from error
        if answer.get("FailedEntryCount"):
            refused = (answer.get("Entries") or [{}])[0]
            code, text = refused.get("ErrorCode", "Unknown"), refused.get("ErrorMessage", "")
            raise DeliveryError(f"{problem}: {code}: {text}")


def detail(rollout: Rollout, message: Message) -> str:
    """Return the detail of the event as JSON, without findings when it would be too long."""
    return json.dumps(fitting_event_data(rollout, message, MOST_BYTES))
