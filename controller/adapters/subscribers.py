"""Who hears a topic of SNS.

IAM: sns:ListSubscriptionsByTopic on the topics that a policy tells; that of its alarms is
allowed beside them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws import AWS_ERRORS
from controller.adapters.monitoring.refusals import failed
from controller.adapters.permission import TOPIC, Job, Permission
from controller.core.monitoring import CONFIRMED, PENDING, Found, Kind

IAM: Final = (Permission("sns:ListSubscriptionsByTopic", TOPIC, {Job.DOCTOR}),)

PAGES: Final = 20  # of a hundred subscriptions each


class Subscribers:
    """Who hears topics, on a boto3 client of SNS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def of(self, topic: str) -> Iterator[Found]:
        """Yield the subscriptions of a topic, by its ARN. Raises MonitoringError."""
        request = {"TopicArn": topic}
        for _ in range(PAGES):
            try:
                page = self._client.list_subscriptions_by_topic(**request)
            except AWS_ERRORS as error:
                what = f"the subscriptions of {topic.rpartition(':')[2]} could not be read"
                raise failed(what, "ListSubscriptionsByTopic", error, "sns") from error
            yield from map(_subscription, page.get("Subscriptions", ()))
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def _subscription(found: Mapping[str, str]) -> Found:
    """Return a subscription; an endpoint that is no address of a person may be a secret."""
    protocol, arn = found.get("Protocol", ""), found.get("SubscriptionArn", "")
    name = found.get("Endpoint", "") if protocol.startswith("email") else f"by {protocol}"
    return Found(Kind.SUBSCRIPTION, name, state=CONFIRMED if arn.startswith("arn:") else PENDING)
