"""Fake of CloudWatch alarms: their states, by name, page by page."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from controller.core.policy import alarm_name
from controller.core.units import from_unix
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import client_error
from controller.tools.simulation.scenario.timeline import Script

OPERATION: Final = "DescribeAlarms"
MAX_NAMES: Final = 100
# How long an alarm has been OK at the start.
_OK_FOR: Final = timedelta(days=1)
_ARN: Final = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:"


class FakeAlarms:
    """Fake DescribeAlarms for metric alarms; a scenario sets states other than OK."""

    def __init__(self, clock: VirtualClock, script: Script) -> None:
        self._clock, self._script = clock, script
        self._ok_since = int((clock.now() - _OK_FOR).timestamp())
        self._alarms: dict[str, str] = {}

    def add(self, alarm: str) -> None:
        """Add the alarm of this name or ARN."""
        name = alarm_name(alarm)
        self._alarms[name] = alarm if alarm != name else f"{_ARN}{name}"

    def describe_alarms(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer DescribeAlarms for alarms by name."""
        names = request.get("AlarmNames", sorted(self._alarms))
        if len(names) > MAX_NAMES:
            message = f"The collection AlarmNames must not have a size greater than {MAX_NAMES}"
            raise client_error(OPERATION, "ValidationError", message)
        now_s = self._clock.now().timestamp()
        records = [self._alarm_record(name, now_s) for name in names if name in self._alarms]
        limit, offset = request.get("MaxRecords", 50), int(request.get("NextToken", "0"))
        alarms = [record for record in records if record is not None]
        answer: dict[str, Any] = {
            "MetricAlarms": alarms[offset : offset + limit],
            "CompositeAlarms": [],
        }
        if len(alarms) > offset + limit:
            answer["NextToken"] = str(offset + limit)
        return answer

    def _alarm_record(self, name: str, now_s: float) -> dict[str, Any] | None:
        state, since = self._script.alarm(name, now_s, self._ok_since)
        if state == "missing":
            return None
        return {
            "AlarmName": name,
            "AlarmArn": self._alarms[name],
            "StateValue": state.upper(),
            "StateReason": f"the scenario says that it is {state.upper()}",
            "StateUpdatedTimestamp": from_unix(since),
            "StateTransitionedTimestamp": from_unix(since),
        }
