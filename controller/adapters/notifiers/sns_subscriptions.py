"""The subscriptions of an SNS topic.

IAM: sns:ListSubscriptionsByTopic on the topics of a policy's channels, and on that of its alarms.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.iam.permission import ALARM_TOPIC, TOPIC, Job, Permission
from controller.errors import MonitoringError
from controller.ports.monitoring import Subscription

IAM: Final = tuple(
    Permission("sns:ListSubscriptionsByTopic", on, {Job.DOCTOR}) for on in (TOPIC, ALARM_TOPIC)
)

PAGES: Final = 20  # of a hundred subscriptions each


class Subscribers:
    """Reads the subscriptions of topics, on a boto3 client of SNS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def of(self, topic: str) -> Iterator[Subscription]:
        """Yield the subscriptions of a topic, by its ARN. Raises MonitoringError."""
        request = {"TopicArn": topic}
        for _ in range(PAGES):
            try:
                page = self._client.list_subscriptions_by_topic(**request)
            except AWS_ERRORS as error:
                what = f"the subscriptions of {topic.rpartition(':')[2]} could not be read"
                doing = f"{what} (sns:ListSubscriptionsByTopic)"
                raise MonitoringError(error_text(doing, error), code=code_of(error)) from error
            yield from map(_subscription, page.get("Subscriptions", ()))
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def _subscription(entry: Mapping[str, str]) -> Subscription:
    """Return a subscription; only e-mail endpoints are named, because others may be secret."""
    protocol, arn = entry.get("Protocol", ""), entry.get("SubscriptionArn", "")
    name = entry.get("Endpoint", "") if protocol.startswith("email") else f"by {protocol}"
    return Subscription(name, arn.startswith("arn:"))
