"""Messages published to an SNS topic: to people by e-mail, to machines by attributes.

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

MOST_SUBJECT: Final = 100  # printable ASCII; SNS refuses the rest


class SnsNotifier:
    """Publishes to topics. open_client: gives the client; called when something is published."""

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
    """Return the subject: what happened to what, in at most 100 printable characters of ASCII."""
    line = f"[{message.severity}] {rollout.id}: {message.kind} at {message.weight} %"
    fit = printable("".join(one if " " <= one <= "~" else "?" for one in line))
    return fit if len(fit) <= MOST_SUBJECT else f"{fit[: MOST_SUBJECT - 3]}..."


def text(message: Message, rollout: Rollout) -> str:
    """Return the message as an e-mail shows it: the sentence, and the facts below."""
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
    said = printable_block(message.text.split("\n"))  # the last message of a rollout has a table
    return f"{said}\n\n{lines}\n"


def _attributes(message: Message, rollout: Rollout) -> dict[str, dict[str, str]]:
    """Return what subscriptions filter by. A queue that takes raw messages allows ten of them."""
    facts = {
        "policy": rollout.name,
        "rollout": rollout.id,
        "severity": message.severity,
        "kind": message.kind,
        "phase": message.phase,
        "reason": message.reason,
        "key": message.key,
    }
    found = {
        name: {"DataType": "String", "StringValue": printable(value)}
        for name, value in facts.items()
    }
    weight = {"DataType": "Number", "StringValue": str(message.weight)}
    return {**found, "weight_percent": weight}
