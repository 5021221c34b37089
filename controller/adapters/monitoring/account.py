"""All monitoring of one policy on the account. IAM: none of its own; its parts have theirs."""

from typing import Any, assert_never

from controller.adapters.monitoring.alarms import Alarms
from controller.adapters.monitoring.dashboards import Dashboards
from controller.adapters.monitoring.topics import Topics
from controller.core.monitoring import Action, Change, Found, Kind, Monitoring, tells


class MonitoringAccount:
    """What is there, and how it becomes what should be there. Every method raises MonitoringError.

    topic_arn: what the topic of the policy is called, or would be.
    """

    def __init__(self, cloudwatch: Any, sns: Any, region: str, topic_arn: str) -> None:
        self._alarms = Alarms(cloudwatch)
        self._dashboards = Dashboards(cloudwatch, region)
        self._topics = Topics(sns, topic_arn)
        self._topic_arn = topic_arn
        self._actions: list[str] = []

    def look(self, monitoring: Monitoring) -> list[Found]:
        """Return everything that is there under a name of ours."""
        topic = list(self._topics.look(monitoring))
        told = tells(monitoring, next((one for one in topic if one.kind is Kind.TOPIC), None))
        self._actions = [self._topic_arn] if told else []
        alarms = self._alarms.look(monitoring, self._actions)
        return [*topic, *alarms, *self._dashboards.look(monitoring)]

    def carry_out(self, monitoring: Monitoring, change: Change) -> list[str]:
        """Do what `change` says, after a `look`; return what AWS warns of."""
        match change.action:
            case Action.CREATE | Action.CHANGE:
                return self._put(monitoring, change)
            case Action.REMOVE:
                self._remove(change)
            case Action.LEAVE | Action.FOREIGN:
                pass
            case unreachable:
                assert_never(unreachable)
        return []

    def _put(self, monitoring: Monitoring, change: Change) -> list[str]:
        match change.kind:
            case Kind.TOPIC:
                self._topics.create(monitoring)
            case Kind.SUBSCRIPTION:
                self._topics.subscribe(change.name)
            case Kind.ALARM:
                (alarm,) = (one for one in monitoring.alarms if one.name == change.name)
                self._alarms.put(alarm, monitoring.policy, self._actions)
            case Kind.DASHBOARD:
                return self._dashboards.put(monitoring)
            case unreachable:
                assert_never(unreachable)
        return []

    def _remove(self, change: Change) -> None:
        match change.kind:
            case Kind.TOPIC:
                self._topics.delete()
            case Kind.SUBSCRIPTION:
                pass  # it goes with its topic
            case Kind.ALARM:
                self._alarms.delete(change.name)
            case Kind.DASHBOARD:
                self._dashboards.delete(change.name)
            case unreachable:
                assert_never(unreachable)
