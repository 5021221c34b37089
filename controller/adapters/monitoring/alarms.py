"""Alarms on the account.

IAM: cloudwatch:DescribeAlarms (on every alarm: a list has no finer resource), and on the alarms of
a policy cloudwatch:ListTagsForResource, cloudwatch:PutMetricAlarm, cloudwatch:DeleteAlarms and,
because they are made with a tag, cloudwatch:TagResource.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from controller.adapters.aws import AWS_ERRORS
from controller.adapters.monitoring.compared import differing
from controller.adapters.monitoring.refusals import failed
from controller.adapters.monitoring.spelling import alarm_properties, tags
from controller.adapters.monitoring.tagged import read_tags
from controller.adapters.permission import ANY, OWN_ALARMS, Job, Permission
from controller.core.monitoring import Alarm, Found, Kind, Monitoring

_BOTH: Final = {Job.MONITORING, Job.DOCTOR}
IAM: Final = (
    Permission("cloudwatch:DescribeAlarms", ANY, _BOTH),
    Permission("cloudwatch:ListTagsForResource", OWN_ALARMS, _BOTH),
    Permission("cloudwatch:PutMetricAlarm", OWN_ALARMS, {Job.MONITORING}),
    Permission("cloudwatch:TagResource", OWN_ALARMS, {Job.MONITORING}),
    Permission("cloudwatch:DeleteAlarms", OWN_ALARMS, {Job.MONITORING}),
)

PAGES: Final = 50
# Whom an alarm tells beside ours, and whether it tells anybody at the moment, is people's business.
_PEOPLES: Final = ("ActionsEnabled", "OKActions", "InsufficientDataActions")


class Alarms:
    """The alarms whose names begin like those of one policy."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._there: dict[str, Mapping[str, Any]] = {}

    def look(self, monitoring: Monitoring, actions: Sequence[str]) -> Iterator[Found]:
        """Yield what is there, held against what should be. Raises MonitoringError."""
        wanted = {one.name: alarm_properties(one, actions) for one in monitoring.alarms}
        self._there = {one["AlarmName"]: one for one in self._listed(f"{monitoring.name}-")}
        for name, there in self._there.items():
            marked = read_tags(self._client, there["AlarmArn"], f"alarm {name}")
            differs = differing(wanted[name], there) if name in wanted else ()
            state = str(there.get("StateValue", ""))
            yield Found(Kind.ALARM, name, marked.policy, marked.stack, differs, state)

    def put(self, alarm: Alarm, policy: str, actions: Sequence[str]) -> None:
        """Make the alarm, or make it as it should be again. Raises MonitoringError."""
        there = self._there.get(alarm.name, {})
        told = dict.fromkeys([*actions, *there.get("AlarmActions", ())])
        request = {
            **{name: there[name] for name in _PEOPLES if name in there},
            **alarm_properties(alarm, list(told)),
            **({} if there else {"Tags": tags(policy)}),
        }
        try:
            self._client.put_metric_alarm(**request)
        except AWS_ERRORS as error:
            raise failed(f"alarm {alarm.name} was not made", "PutMetricAlarm", error) from error

    def delete(self, name: str) -> None:
        """Delete an alarm; one that is gone already is no error. Raises MonitoringError."""
        try:
            self._client.delete_alarms(AlarmNames=[name])
        except AWS_ERRORS as error:
            raise failed(f"alarm {name} was not deleted", "DeleteAlarms", error) from error

    def _listed(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        request = {"AlarmNamePrefix": prefix, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        for _ in range(PAGES):
            try:
                page = self._client.describe_alarms(**request)
            except AWS_ERRORS as error:
                raise failed("alarms could not be read", "DescribeAlarms", error) from error
            yield from page.get("MetricAlarms", ())
            yield from page.get("CompositeAlarms", ())
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]
