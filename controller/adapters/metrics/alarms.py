"""The states of CloudWatch alarms, through DescribeAlarms alone.

IAM: cloudwatch:DescribeAlarms (on every resource, where a policy names an alarm: without that,
CloudWatch returns no composite alarms; `doctor` reads the alarms of `monitoring`, too).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import ALARMS, ANY, TRAFFIC_JOBS, Job, Permission
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import alarm_name
from controller.errors import UsageError
from controller.safe_text import printable

IAM: Final = (
    Permission("cloudwatch:DescribeAlarms", ALARMS, TRAFFIC_JOBS),
    Permission("cloudwatch:DescribeAlarms", ANY, {Job.DOCTOR}),
)

ALARMS_PER_CALL: Final = 100
PAGES_PER_CALL: Final = 10
_TYPES: Final = ["MetricAlarm", "CompositeAlarm"]  # by default, only metric alarms
_STATES: Final = {
    "OK": AlarmState.OK,
    "ALARM": AlarmState.ALARM,
    "INSUFFICIENT_DATA": AlarmState.INSUFFICIENT_DATA,
}
_MOST_REASON: Final = 200  # characters of CloudWatch's reason


class CloudWatchAlarms:
    """`AlarmSource` on a boto3 CloudWatch client.

    open_client: returns the client; called only when an alarm is read.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        """Return the state of each alarm, by the name or ARN in `alarms`; one call reads 100.

        Never raises an error of CloudWatch: the reading of an alarm that could not be read is
        UNREAD, with the reason.
        """
        names = list(dict.fromkeys(alarms))
        readings: dict[str, AlarmReading] = {}
        for begin in range(0, len(names), ALARMS_PER_CALL):
            batch = names[begin : begin + ALARMS_PER_CALL]
            try:
                readings |= self._read(batch)
            except UsageError as error:
                readings |= _unread(batch, str(error))
            except AWS_ERRORS as error:
                action = "alarms could not be read (cloudwatch:DescribeAlarms)"
                readings |= _unread(batch, error_text(action, error))
        return readings

    def _read(self, alarms: Sequence[str]) -> dict[str, AlarmReading]:
        names = list(dict.fromkeys(alarm_name(alarm) for alarm in alarms))
        described = {one.get("AlarmName"): one for one in self._describe(names)}
        return {alarm: _reading(alarm, described.get(alarm_name(alarm))) for alarm in alarms}

    def _describe(self, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        request: dict[str, Any] = {"AlarmNames": names, "AlarmTypes": _TYPES}
        client = self._open_client()
        for _ in range(PAGES_PER_CALL):
            page = client.describe_alarms(**request)
            yield from page.get("MetricAlarms", ())
            yield from page.get("CompositeAlarms", ())
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def _unread(alarms: Iterable[str], reason: str) -> dict[str, AlarmReading]:
    return {alarm: AlarmReading(AlarmState.UNREAD, reason=reason) for alarm in alarms}


def _reading(name_or_arn: str, alarm: Mapping[str, Any] | None) -> AlarmReading:
    """Return the state of `alarm`; MISSING when an ARN names another region or account."""
    by_arn = name_or_arn.startswith("arn:")
    if alarm is None or (by_arn and alarm.get("AlarmArn") != name_or_arn):
        return AlarmReading(AlarmState.MISSING)
    state = _STATES.get(alarm.get("StateValue", ""))
    reason = " ".join(printable(alarm.get("StateReason") or "").split())
    if len(reason) > _MOST_REASON:
        reason = f"{reason[:_MOST_REASON]}..."
    evaluation = alarm.get("EvaluationState", "")
    if state is None:
        return AlarmReading(AlarmState.UNREAD, reason=f"its state is {alarm.get('StateValue')!r}")
    if state is not AlarmState.ALARM and evaluation.startswith("EVALUATION_"):
        problem = f"CloudWatch could not evaluate it ({evaluation}): {reason}"
        return AlarmReading(AlarmState.UNREAD, reason=problem)
    moment = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return AlarmReading(state, 0 if moment is None else int(moment.timestamp()), reason)
