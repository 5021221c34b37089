"""Messages published to an SNS topic: text for e-mail, attributes for subscription filters.

IAM: sns:Publish on the topics that a policy names.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import TOPIC, TRAFFIC_JOBS, Permission
from controller.core.message import Message
from controller.core.policy import SnsChannel
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.errors import DeliveryError
from controller.text import printable, printable_block

IAM: Final = (Permission("sns:Publish", TOPIC, TRAFFIC_JOBS),)

MOST_SUBJECT: Final = 100  # characters of printable ASCII; SNS refuses others


class SnsNotifier:
    """Publishes messages to topics. open_client: returns the client; called for each message."""

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def deliver(self, channel: SnsChannel, rollout: Rollout, message: Message) -> None:
        """Publish `message` to the topic of `channel`. Raises DeliveryError."""
        request: dict[str, Any] = {
            "TopicArn": channel.topic,
            "Subject": subject(message, rollout),
            "Message": text(message, rollout),
            "MessageAttributes": _attributes(message, rollout),
        }
        if channel.topic.endswith(".fifo"):
            request["MessageGroupId"] = rollout.name
            request["MessageDeduplicationId"] = hashlib.sha256(message.key.encode()).hexdigest()
        try:
            self._open_client().publish(**request)
        except AWS_ERRORS as error:
            what = f"{channel.topic} took no message (sns:Publish)"
            raise DeliveryError(error_text(what, error)) from error


def subject(message: Message, rollout: Rollout) -> str:
    """Return the subject: severity, rollout, kind and weight, in printable ASCII, 100 at most."""
    line = f"[{message.severity}] {rollout.id}: {message.kind} at {message.weight} %"
    ascii_line = printable("".join(one if " " <= one <= "~" else "?" for one in line))
    fits = len(ascii_line) <= MOST_SUBJECT
    return ascii_line if fits else f"{ascii_line[: MOST_SUBJECT - 3]}..."


def text(message: Message, rollout: Rollout) -> str:
    """Return the text of the e-mail: the sentence, and the facts below."""
    facts = {
        "rollout": rollout.id,
        "phase": message.phase,
        "weight": f"{message.weight} %",
        "reason": message.reason,
        "target": rollout.target,
        "at": clock_text(message.at),
        "run": message.run,
        "key": message.key,
    }
    lines = printable_block(f"{name + ':':<9} {value}" for name, value in facts.items())
    # The last message of a rollout contains a table, so line breaks stay.
    sentence = printable_block(message.text.split("\n"))
    return f"{sentence}\n\n{lines}\n"


def _attributes(message: Message, rollout: Rollout) -> dict[str, dict[str, str]]:
    """Return the attributes to filter by; a queue with raw delivery allows ten of them."""
    facts = {
        "policy": rollout.name,
        "rollout": rollout.id,
        "severity": message.severity,
        "kind": message.kind,
        "phase": message.phase,
        "reason": message.reason,
        "key": message.key,
    }
    attributes = {
        name: {"DataType": "String", "StringValue": printable(value)}
        for name, value in facts.items()
    }
    weight = {"DataType": "Number", "StringValue": str(message.weight)}
    return {**attributes, "weight_percent": weight}
