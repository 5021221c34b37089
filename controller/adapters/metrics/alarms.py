"""The states of CloudWatch alarms, through DescribeAlarms alone.

IAM: cloudwatch:DescribeAlarms (on every resource, where a policy names an alarm: CloudWatch tells
of composite alarms only then; `doctor` looks at the alarms of `monitoring`, too).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import ALARMS, ANY, TRAFFIC_JOBS, Job, Permission
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import alarm_name
from controller.errors import UsageError
from controller.text import printable

IAM: Final = (
    Permission("cloudwatch:DescribeAlarms", ALARMS, TRAFFIC_JOBS),
    Permission("cloudwatch:DescribeAlarms", ANY, {Job.DOCTOR}),
)

ALARMS_PER_CALL: Final = 100
PAGES_PER_CALL: Final = 10
_TYPES: Final = ["MetricAlarm", "CompositeAlarm"]  # without it, CloudWatch tells of no composite
_STATES: Final = {
    "OK": AlarmState.OK,
    "ALARM": AlarmState.ALARM,
    "INSUFFICIENT_DATA": AlarmState.INSUFFICIENT_DATA,
}
_MOST_REASON: Final = 200  # characters that are kept of CloudWatch's own words


class CloudWatchAlarms:
    """`AlarmSource` on a boto3 CloudWatch client.

    open_client: gives the client; called when an alarm is asked for, and not before.
    """

    def __init__(self, open_client: Callable[[], Any]) -> None:
        self._open_client = open_client

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        """Return how each alarm stands, by the name or ARN that was asked for; 100 to a call.

        Never raises for CloudWatch's sake: an alarm that could not be read says so, and why.
        """
        wanted = list(dict.fromkeys(alarms))
        found: dict[str, AlarmReading] = {}
        for begin in range(0, len(wanted), ALARMS_PER_CALL):
            some = wanted[begin : begin + ALARMS_PER_CALL]
            try:
                found |= self._read(some)
            except UsageError as error:
                found |= _unread(some, str(error))
            except AWS_ERRORS as error:
                action = "alarms could not be read (cloudwatch:DescribeAlarms)"
                found |= _unread(some, error_text(action, error))
        return found

    def _read(self, wanted: Sequence[str]) -> dict[str, AlarmReading]:
        names = list(dict.fromkeys(alarm_name(one) for one in wanted))
        described = {one.get("AlarmName"): one for one in self._describe(names)}
        return {one: _reading(one, described.get(alarm_name(one))) for one in wanted}

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


def _unread(alarms: Iterable[str], why: str) -> dict[str, AlarmReading]:
    return {one: AlarmReading(AlarmState.UNREAD, reason=why) for one in alarms}


def _reading(wanted: str, alarm: Mapping[str, Any] | None) -> AlarmReading:
    """Return how `alarm` stands; an alarm of that name elsewhere is another one."""
    if alarm is None or (wanted.startswith("arn:") and alarm.get("AlarmArn") != wanted):
        return AlarmReading(AlarmState.MISSING)
    state, reason = _STATES.get(alarm.get("StateValue", "")), _one_line(alarm.get("StateReason"))
    evaluation = alarm.get("EvaluationState", "")
    if state is None:
        return AlarmReading(AlarmState.UNREAD, reason=f"its state is {alarm.get('StateValue')!r}")
    if state is not AlarmState.ALARM and evaluation.startswith("EVALUATION_"):
        why = f"CloudWatch could not evaluate it ({evaluation}): {reason}"
        return AlarmReading(AlarmState.UNREAD, reason=why)
    return AlarmReading(state, _since(alarm), reason)


def _since(alarm: Mapping[str, Any]) -> int:
    """Return when it came into its state; older alarms tell only when they were looked at."""
    moment = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return 0 if moment is None else int(moment.timestamp())


def _one_line(text: str | None) -> str:
    line = " ".join(printable(text or "").split())
    return line if len(line) <= _MOST_REASON else f"{line[:_MOST_REASON]}..."
