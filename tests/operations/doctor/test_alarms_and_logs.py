"""What doctor says of alarms that gate, and of logs in which events are counted."""

from typing import Any

import pytest

from controller.core.checks import Level
from controller.core.observation import AlarmReading, AlarmState, QueryStatus, Series
from controller.operations.doctor.alarms_and_logs import (
    alarm_check,
    alarms_of,
    log_check,
    log_queries,
)
from tests.operations.monitoring.watched import a_watched
from tests.support.rollouts import NOON

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
NOON_S = int(NOON.timestamp())

CRITERIA: dict[str, Any] = {
    "traffic": {"kind": "traffic", "judge": "threshold", "metric": "requests", "min": 1},
    "red": {"kind": "alarm", "alarm": "shop-errors"},
    "quiet": {"kind": "log_events", "absent": "fallback", "control": "check"},
}
POLICY = a_watched(
    "traffic",
    criteria=CRITERIA,
    verify_rollback={"absent": "gateway", "present": "direct", "log_group": "own"},
)


@pytest.mark.parametrize(
    ("reading", "level", "told"),
    [
        (AlarmReading(AlarmState.OK), OK, "shop-errors is OK"),
        (AlarmReading(AlarmState.ALARM, NOON_S), WARN, "in ALARM since 2026-11-24 12:00 UTC"),
        (AlarmReading(AlarmState.INSUFFICIENT_DATA), WARN, "has no data"),
        (AlarmReading(AlarmState.MISSING), FAIL, "there is no alarm shop-errors"),
        (AlarmReading(AlarmState.UNREAD, reason="(cloudwatch:DescribeAlarms)"), FAIL, "Describe"),
    ],
    ids=lambda value: value.state if isinstance(value, AlarmReading) else "",
)
def test_an_alarm_that_gates(reading: AlarmReading, level: Level, told: str) -> None:
    ((name, one),) = alarms_of(POLICY).items()
    found = alarm_check(name, one, reading)
    assert (found.what, found.level, told in found.detail) == ("alarm of red", level, True)


@pytest.mark.parametrize("state", list(AlarmState))
def test_an_alarm_that_only_reports_fails_nothing_and_keeps_no_start_waiting(
    state: AlarmState,
) -> None:
    one = alarms_of(POLICY)["red"].model_copy(update={"gates": False})
    found = alarm_check("red", one, AlarmReading(state))
    assert found.level is (OK if state is AlarmState.OK else WARN)
    assert "start" not in (found.remedy or "")
    assert "gate" not in (found.remedy or "")


def test_an_event_is_looked_for_where_the_policy_counts_it_in_the_last_hour() -> None:
    found = log_queries(POLICY, NOON)
    asked = {what: [(one.group, one.pattern) for one in some] for what, some in found.items()}
    assert asked == {
        "log of verify_rollback": [("own", "direct"), ("own", "gateway")],
        "log of quiet": [("/aws/lambda/shop", "check")],
    }
    spans = {(one.span.start, one.span.end) for some in found.values() for one in some}
    assert spans == {(NOON_S - 3_600, NOON_S)}


@pytest.mark.parametrize(
    ("direct", "gateway", "level", "told"),
    [
        pytest.param(Series({0: 1}), Series(), OK, "own has such an event", id="all goes directly"),
        pytest.param(Series(), Series({0: 1}), OK, "own has such", id="all takes the gateway"),
        pytest.param(
            Series(), Series(), WARN, "neither direct nor gateway in the last hour", id="silence"
        ),
        pytest.param(
            Series({0: 1}), Series({}, QueryStatus.FORBIDDEN, "no (logs:FilterLogEvents)"),
            FAIL, "no (logs:FilterLogEvents)", id="a log that may not be searched",
        ),
    ],
)  # fmt: skip
def test_the_log_of_a_rollback(direct: Series, gateway: Series, level: Level, told: str) -> None:
    what = "log of verify_rollback"
    queries = log_queries(POLICY, NOON)[what]
    found = log_check(what, queries, dict(zip(queries, (direct, gateway), strict=True)))
    assert (found.level, told in found.detail) == (level, True)


def test_a_control_that_is_not_logged_is_told_alone() -> None:
    queries = log_queries(POLICY, NOON)["log of quiet"]
    found = log_check("log of quiet", queries, {queries[0]: Series()})
    assert found.detail == "/aws/lambda/shop has no check in the last hour"
