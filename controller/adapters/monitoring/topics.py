"""The topic that alarms tell, and who hears it.

IAM: on the topic of a policy sns:ListTagsForResource, sns:ListSubscriptionsByTopic,
sns:CreateTopic, sns:Subscribe, sns:DeleteTopic and, because it is made with a tag,
sns:TagResource.
"""

from collections.abc import Iterator
from typing import Any, Final

from controller.adapters.aws import AWS_ERRORS
from controller.adapters.monitoring.refusals import failed, is_absent
from controller.adapters.monitoring.spelling import tags
from controller.adapters.monitoring.tagged import marked
from controller.adapters.permission import ALARM_TOPIC, Job, Permission
from controller.adapters.subscribers import Subscribers
from controller.core.monitoring import Found, Kind, Monitoring
from controller.errors import MonitoringError

_BOTH: Final = {Job.MONITORING, Job.DOCTOR}
IAM: Final = (
    Permission("sns:ListTagsForResource", ALARM_TOPIC, _BOTH),
    Permission("sns:ListSubscriptionsByTopic", ALARM_TOPIC, _BOTH),
    Permission("sns:CreateTopic", ALARM_TOPIC, {Job.MONITORING}),
    Permission("sns:TagResource", ALARM_TOPIC, {Job.MONITORING}),
    Permission("sns:Subscribe", ALARM_TOPIC, {Job.MONITORING}),
    Permission("sns:DeleteTopic", ALARM_TOPIC, {Job.MONITORING}),
)


class Topics:
    """The topic `arn`, which may not be there."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def look(self, monitoring: Monitoring) -> Iterator[Found]:
        """Yield the topic if it is there, and its subscriptions. Raises MonitoringError."""
        try:
            answer = self._client.list_tags_for_resource(ResourceArn=self._arn)
        except AWS_ERRORS as error:
            if is_absent(error):
                return
            raise self._failed("could not be read", "ListTagsForResource", error) from error
        whose = marked(answer.get("Tags", ()))
        yield Found(Kind.TOPIC, monitoring.name, whose.policy, whose.stack)
        yield from Subscribers(self._client).of(self._arn)

    def create(self, monitoring: Monitoring) -> None:
        """Make the topic. Raises MonitoringError."""
        try:
            self._client.create_topic(Name=monitoring.name, Tags=tags(monitoring.policy))
        except AWS_ERRORS as error:
            raise self._failed("was not made", "CreateTopic", error) from error

    def subscribe(self, email: str) -> None:
        """Have SNS ask `email` whether it wants to hear of the alarms. Raises MonitoringError."""
        try:
            self._client.subscribe(TopicArn=self._arn, Protocol="email", Endpoint=email)
        except AWS_ERRORS as error:
            raise self._failed(f"has no subscription of {email}", "Subscribe", error) from error

    def delete(self) -> None:
        """Delete the topic with its subscriptions. Raises MonitoringError."""
        try:
            self._client.delete_topic(TopicArn=self._arn)
        except AWS_ERRORS as error:
            if not is_absent(error):
                raise self._failed("was not deleted", "DeleteTopic", error) from error

    def _failed(self, what: str, operation: str, error: Exception) -> MonitoringError:
        name = self._arn.rpartition(":")[2]
        return failed(f"topic {name} {what}", operation, error, "sns")
