"""Reading alarms when CloudWatch is slow, odd, or denies access: no tick fails because of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.adapters.metrics.cloudwatch import PAGES, CloudWatchAlarms
from controller.errors import UsageError
from controller.tools.simulation.fakes.errors import client_error, read_timeout
from tests.support.core import AlarmReading, AlarmState

MOMENT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = int(MOMENT.timestamp())


class Answering:
    """A client that answers each call with `answer`, or raises it, and remembers the requests."""

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self._answer = answer

    def describe_alarms(self, **request: Any) -> Mapping[str, Any]:
        self.requests.append(dict(request))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def reading(**alarm: Any) -> AlarmReading:
    """Return the reading of the alarm `red` with this description."""
    plain = {"AlarmName": "red", "StateValue": "OK", "StateTransitionedTimestamp": MOMENT}
    client = Answering({"MetricAlarms": [{**plain, **alarm}], "CompositeAlarms": []})
    return CloudWatchAlarms(lambda: client).states(["red"])["red"]


def test_a_state_begins_when_it_changed_and_not_when_it_was_updated() -> None:
    later = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
    assert reading(StateUpdatedTimestamp=later).since == SECOND
    older = reading(StateTransitionedTimestamp=None, StateUpdatedTimestamp=later)
    assert older.since == SECOND + 3_600
    assert reading(StateTransitionedTimestamp=None).since == 0


@pytest.mark.parametrize(
    ("alarm", "state"),
    [
        pytest.param({"EvaluationState": "EVALUATION_ERROR"}, AlarmState.UNREAD, id="OK of old"),
        pytest.param({"EvaluationState": "PARTIAL_DATA"}, AlarmState.OK, id="OK of a part"),
        pytest.param(
            {"EvaluationState": "EVALUATION_FAILURE", "StateValue": "ALARM"}, AlarmState.ALARM,
            id="red stays red",
        ),
        pytest.param({"StateValue": "GREEN"}, AlarmState.UNREAD, id="a state of tomorrow"),
    ],
)  # fmt: skip
def test_an_alarm_that_could_not_be_evaluated_is_not_ok(
    alarm: dict[str, Any], state: AlarmState
) -> None:
    assert reading(**alarm).state is state


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            client_error("DescribeAlarms", "AccessDeniedException", "no"),
            "alarms could not be read (cloudwatch:DescribeAlarms): AccessDeniedException: no; "
            "grant the action to this role",
        ),
        (read_timeout("monitoring"), "; run again"),
    ],
)
def test_a_failed_call_is_the_reason_of_each_alarm(error: Exception, why: str) -> None:
    readings = CloudWatchAlarms(lambda: Answering(error)).states(["a", "b"])
    assert {one.state for one in readings.values()} == {AlarmState.UNREAD}
    assert all(one.reason.endswith(why) for one in readings.values())


def test_missing_credentials_are_the_reason_of_each_alarm() -> None:
    def no_client() -> Any:
        raise UsageError("there are no AWS credentials")

    readings = CloudWatchAlarms(no_client).states(["a"])
    assert readings["a"] == AlarmReading(AlarmState.UNREAD, reason="there are no AWS credentials")


def test_pages_without_an_end_are_read_to_a_limit() -> None:
    client = Answering({"MetricAlarms": [], "NextToken": "more"})
    assert CloudWatchAlarms(lambda: client).states(["a"])["a"].state is AlarmState.MISSING
    assert len(client.requests) == PAGES
