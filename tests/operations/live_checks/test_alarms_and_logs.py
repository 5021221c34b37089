"""Checks of alarms that criteria read, and of logs in which events are counted."""

from typing import Any

import pytest

from controller.operations.checks import CheckLevel
from controller.operations.live_checks.sources import (
    alarm_check,
    alarms_of,
    log_check,
    log_queries,
)
from tests.support.cases import cases
from tests.support.core import AlarmReading, AlarmState, QueryStatus, Series
from tests.support.rollouts import NOON
from tests.tools.monitoring.watched import a_watched

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
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
    ("reading", "level", "detail"),
    [
        (AlarmReading(AlarmState.OK), OK, "shop-errors is OK"),
        (AlarmReading(AlarmState.ALARM, NOON_S), WARN, "in ALARM since 2026-11-24 12:00"),
        (AlarmReading(AlarmState.INSUFFICIENT_DATA), WARN, "has no data"),
        (AlarmReading(AlarmState.MISSING), FAIL, "there is no alarm shop-errors"),
        (AlarmReading(AlarmState.UNREAD, reason="(cloudwatch:DescribeAlarms)"), FAIL, "Describe"),
    ],
    ids=lambda value: value.state if isinstance(value, AlarmReading) else "",
)
def test_an_alarm_that_gates(reading: AlarmReading, level: CheckLevel, detail: str) -> None:
    ((name, one),) = alarms_of(POLICY).items()
    check = alarm_check(name, one, reading)
    assert (check.what, check.level, detail in check.detail) == ("alarm of red", level, True)


def test_an_alarm_in_alarm_fails_only_a_start_that_happens_now() -> None:
    ((name, one),) = alarms_of(POLICY).items()
    check = alarm_check(name, one, AlarmReading(AlarmState.ALARM), starting=True)
    assert check.level is FAIL
    assert "start is refused" in check.remedy


@pytest.mark.parametrize("state", list(AlarmState))
def test_an_alarm_that_only_reports_fails_nothing_and_keeps_no_start_waiting(
    state: AlarmState,
) -> None:
    one = alarms_of(POLICY)["red"].model_copy(update={"gates": False})
    check = alarm_check("red", one, AlarmReading(state), starting=True)
    assert check.level is (OK if state is AlarmState.OK else WARN)
    assert "start" not in (check.remedy or "")
    assert "gate" not in (check.remedy or "")


@cases("direct, gateway, level, detail", {
    "all goes directly": (Series({0: 1}), Series(), OK, "own has a match"),
    "all takes the gateway": (Series(), Series({0: 1}), OK, "own has a match"),
    "silence": (Series(), Series(), WARN, "neither direct nor gateway in the last hour"),
    "a log that may not be searched": (
        Series({0: 1}), Series({}, QueryStatus.FORBIDDEN, "no"), WARN,
        "not checked: grant logs:FilterLogEvents on own",
    ),
    "a log group that does not exist":
        (Series({0: 1}), Series({}, QueryStatus.ERROR, "no such group"), FAIL, "no such group"),
})  # fmt: skip
def test_the_log_of_a_rollback(
    direct: Series, gateway: Series, level: CheckLevel, detail: str
) -> None:
    name = "log of verify_rollback"
    queries = log_queries(POLICY, NOON)[name]
    check = log_check(name, queries, dict(zip(queries, (direct, gateway), strict=True)))
    assert (check.level, detail in check.detail) == (level, True)
