"""Messages published to an SNS topic: text for e-mail, attributes for subscription filters.

IAM: sns:Publish on the topics that a policy names; sns:ListSubscriptionsByTopic on them, and on the
topic of its alarms.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text, pages
from controller.adapters.iam import ALARM_TOPIC, TOPIC, TRAFFIC_JOBS, Job, Permission
from controller.core.message import TEST, Message
from controller.core.policy import Channel
from controller.core.policy.field_types import AwsLocation, Form
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.errors import DeliveryError, MonitoringError
from controller.ports.account import Account
from controller.ports.monitoring import Subscription
from controller.safe_text import printable, printable_block

IAM: Final = (
    Permission("sns:Publish", TOPIC, TRAFFIC_JOBS),
    Permission("sns:ListSubscriptionsByTopic", TOPIC, {Job.DOCTOR}),
    Permission("sns:ListSubscriptionsByTopic", ALARM_TOPIC, {Job.DOCTOR}),
)

MOST_SUBJECT: Final = 100  # characters of printable ASCII; SNS refuses others

TOPIC_PATTERN = r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"


class SnsChannel(Channel):
    """An SNS topic: e-mail, SMS, queues, pagers."""

    example: ClassVar[str] = '{kind: sns, topic: "arn:aws:sns:eu-central-1:123456789012:rollouts"}'

    kind: Literal["sns"] = Field(description="What sort of channel it is.")
    topic: Annotated[str, Field(pattern=TOPIC_PATTERN), Form("the ARN of an SNS topic")] = Field(
        description="ARN of the topic, in the region of the rollout."
    )

    @property
    def display_name(self) -> str:
        return f"sns {self.topic.rpartition(':')[2]}"

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {"topic": [self.topic]}

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        request: dict[str, Any] = {
            "TopicArn": self.topic,
            "Subject": subject(message, rollout),
            "Message": text(message, rollout),
            "MessageAttributes": _attributes(message, rollout),
        }
        if self.topic.endswith(".fifo"):
            request["MessageGroupId"] = rollout.name
            request["MessageDeduplicationId"] = hashlib.sha256(message.key.encode()).hexdigest()
        try:
            account.client("sns").publish(**request)
        except AWS_ERRORS as error:
            what = f"{self.topic} took no message (sns:Publish)"
            raise DeliveryError(error_text(what, error)) from error


def subject(message: Message, rollout: Rollout) -> str:
    """Return the subject: severity, rollout, kind and weight, in printable ASCII, 100 at most."""
    line = f"[{message.severity}] {rollout.id}: {message.kind} at {message.weight}%"
    if message.kind == TEST:
        line = f"[TEST, {message.severity}] {rollout.name}: nothing happened"
    ascii_line = printable("".join(one if " " <= one <= "~" else "?" for one in line))
    fits = len(ascii_line) <= MOST_SUBJECT
    return ascii_line if fits else f"{ascii_line[: MOST_SUBJECT - 3]}..."


def text(message: Message, rollout: Rollout) -> str:
    """Return the text of the e-mail: the sentence, and the facts below."""
    facts = {
        "rollout": rollout.id,
        "phase": message.phase,
        "weight": f"{message.weight}%",
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


# --- Subscriptions --------------------------------------------------------------------------------

SUBSCRIPTION_PAGES: Final = 20  # of a hundred subscriptions each


class Subscribers:
    """Reads the subscriptions of topics, on a boto3 client of SNS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def of(self, topic: str) -> Iterator[Subscription]:
        """Yield the subscriptions of a topic, by its ARN. Raises MonitoringError."""
        call = self._client.list_subscriptions_by_topic
        try:
            for page in pages(call, SUBSCRIPTION_PAGES, TopicArn=topic):
                yield from map(_subscription, page.get("Subscriptions", ()))
        except AWS_ERRORS as error:
            what = f"the subscriptions of {topic.rpartition(':')[2]} could not be read"
            doing = f"{what} (sns:ListSubscriptionsByTopic)"
            raise MonitoringError(error_text(doing, error), code=code_of(error)) from error


def _subscription(entry: Mapping[str, str]) -> Subscription:
    """Return a subscription; only e-mail endpoints are named, because others may be secret."""
    protocol, arn = entry.get("Protocol", ""), entry.get("SubscriptionArn", "")
    name = entry.get("Endpoint", "") if protocol.startswith("email") else f"by {protocol}"
    return Subscription(name, arn.startswith("arn:"))
