"""Doctor checks of the clock, schedule, target, monitoring stack, topics and roles."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from controller.immutable import replace
from controller.operations.checks import CheckLevel
from controller.operations.live_checks.target import reach_checks, update_check, weight_check
from controller.ports.monitoring import Deployed, Subscription
from controller.ports.target import Obstacle
from controller.tools.doctor import (
    alarms_check,
    schedule_check,
    stack_check,
    subscription_checks,
)
from controller.tools.doctor.verb import clock_check, permissions_check, principal_of
from tests.support.cases import cases
from tests.support.core import AlarmReading, AlarmState, TargetReading, UpdateStatus
from tests.support.rollouts import NOON, a_rollout

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL


@cases("seconds, level, detail", {
    "the same": (0, OK, "agrees with"),
    "within the precision of a header": (-5, OK, "agrees with"),
    "a little ahead": (12, WARN, "12 s ahead of that of AWS"),
    "half a minute behind": (-31, FAIL, "31 s behind that of AWS"),
    "a wrong time zone": (3_600, FAIL, "3600 s ahead of"),
    "an answer without a date": (None, WARN, "not checked"),
})  # fmt: skip
def test_a_clock_that_is_off(seconds: int | None, level: CheckLevel, detail: str) -> None:
    aws_time = None if seconds is None else NOON - timedelta(seconds=seconds)
    check = clock_check(NOON, aws_time)
    assert (check.level, detail in check.detail) == (level, True)


@cases("minutes, level", {
    "a minute ago": (1, OK),
    "the slowest schedule there may be": (15, OK),
    "later than that": (16, FAIL),
    "a clock that went back": (-3, OK),
})  # fmt: skip
def test_the_newest_tick_was(minutes: int, level: CheckLevel) -> None:
    older = replace(a_rollout("a#1"), updated=NOON - timedelta(hours=9))
    newest = replace(a_rollout("b#1"), updated=NOON - timedelta(minutes=minutes))
    check = schedule_check([newest, older], NOON)
    assert (check.level, "(b#1)" in check.detail) == (level, True)


def test_without_an_active_rollout_the_schedule_is_unknown() -> None:
    assert schedule_check([], NOON).level is WARN


# --- the target ---------------------------------------------------------------------------------


@cases("weight, level", {"one weight": (10, OK), "two weights at once": (None, FAIL)})
def test_a_target_shows(weight: int | None, level: CheckLevel) -> None:
    reading = TargetReading("arn", weight, "A=10, B=false", "token", UpdateStatus.SUCCESSFUL)
    check = weight_check(reading)
    assert (check.level, "A=10, B=false" in check.detail) == (level, True)


@cases("update, starting, level", {
    "applied": (UpdateStatus.SUCCESSFUL, True, OK),
    "in progress": (UpdateStatus.IN_PROGRESS, False, WARN),
    "in progress while a rollout starts": (UpdateStatus.IN_PROGRESS, True, FAIL),
    "failed": (UpdateStatus.FAILED, False, FAIL),
})  # fmt: skip
def test_the_last_update_is(update: UpdateStatus, starting: bool, level: CheckLevel) -> None:
    reading = TargetReading("arn", 10, "A=10, B=false", "token", update)
    assert update_check(reading, starting=starting).level is level


def test_an_obstacle_that_certainly_hides_a_change_fails_and_a_possible_one_is_a_warning() -> None:
    checks = reach_checks(
        [Obstacle(fatal=True, text="SnapStart"), Obstacle(fatal=False, text="an alias")]
    )
    assert [(check.level, check.detail) for check in checks] == [
        (FAIL, "SnapStart"),
        (WARN, "an alias"),
    ]
    assert [check.level for check in reach_checks([])] == [OK]


# --- the monitoring stack -------------------------------------------------------------------------

DEPLOYED = Deployed("CREATE_COMPLETE", (), "arn:aws:sns:eu-central-1:1:rolloutctl-shop")


@cases("deployed, level, detail", {
    "as it should be": (DEPLOYED, OK, "CREATE_COMPLETE and matches"),
    "updated": (replace(DEPLOYED, status="UPDATE_COMPLETE"), OK, "matches the policy"),
    "no stack": (None, WARN, "no alarms are installed"),
    "an update that failed": (
        replace(DEPLOYED, status="UPDATE_ROLLBACK_COMPLETE"), WARN,
        "its stack is UPDATE_ROLLBACK_COMPLETE",
    ),
    "something differs": (
        replace(DEPLOYED, differing_resources=("AlarmSC004", "Dashboard")), WARN,
        "differs from the policy in AlarmSC004, Dashboard",
    ),
})  # fmt: skip
def test_the_stack_of_the_monitoring(
    deployed: Deployed | None, level: CheckLevel, detail: str
) -> None:
    check = stack_check(deployed)
    assert (check.what, check.level, detail in check.detail) == ("monitoring", level, True)
    assert ("rolloutctl monitoring deploy POLICY" in check.remedy) is (level is WARN)


@cases("states, level, detail", {
    "quiet": ([AlarmState.OK] * 2, OK, "none of 2 is in ALARM"),
    "without data": (
        [AlarmState.OK, AlarmState.INSUFFICIENT_DATA], OK,
        "none of 2 is in ALARM, 1 of them without data",
    ),
    "red": ([AlarmState.ALARM, AlarmState.OK], WARN, "in ALARM: alarm-0"),
    "deleted by hand":
        ([AlarmState.OK, AlarmState.MISSING], WARN, "deleted outside the stack: alarm-1"),
    "not readable": ([AlarmState.UNREAD] * 2, WARN, "not checked: denied"),
})  # fmt: skip
def test_the_alarms_of_the_monitoring(
    states: list[AlarmState], level: CheckLevel, detail: str
) -> None:
    readings = {
        f"alarm-{number}": AlarmReading(state, reason="denied")
        for number, state in enumerate(states)
    }
    check = alarms_check(readings)
    assert (check.what, check.level, check.detail) == ("alarms", level, detail)


@pytest.mark.parametrize(
    ("confirmed", "expected"),
    [
        ([True], [(OK, "1 confirmed subscription")]),
        ([True, True], [(OK, "2 confirmed subscriptions")]),
        ([], [(WARN, "it has no subscription")]),
        ([False], [(WARN, "not confirmed: a0@example.com")]),
        (
            [True, False],
            [(WARN, "not confirmed: a1@example.com"), (OK, "1 confirmed subscription")],
        ),
    ],
)
def test_the_subscriptions_of_a_topic(
    confirmed: list[bool], expected: list[tuple[CheckLevel, str]]
) -> None:
    subscriptions = [
        Subscription(f"a{number}@example.com", one) for number, one in enumerate(confirmed)
    ]
    assert [
        (check.level, check.detail) for check in subscription_checks("topic", subscriptions, "")
    ] == expected


# --- roles --------------------------------------------------------------------------------------

ROLE = "arn:aws:iam::123456789012:role/tick"


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ("arn:aws:sts::123456789012:assumed-role/tick/session-1", ROLE),
        ("arn:aws-cn:sts::123456789012:assumed-role/a.b/c@d",
         "arn:aws-cn:iam::123456789012:role/a.b"),
        ("arn:aws:iam::123456789012:user/jo", "arn:aws:iam::123456789012:user/jo"),
        ("arn:aws:iam::123456789012:root", ""),
    ],
)  # fmt: skip
def test_the_principal_of_a_caller(caller: str, principal: str) -> None:
    assert principal_of(caller) == principal


@pytest.mark.parametrize(
    ("decisions", "level", "detail"),
    [
        (
            {("lambda:A", "f"): "allowed", ("lambda:B", "f"): "allowed"},
            OK, f"{ROLE} may do all 2 actions of a tick",
        ),
        (
            {
                ("lambda:A", "f"): "allowed",
                ("lambda:A", "g"): "implicitDeny",
                ("s3:B", "*"): "explicitDeny",
            },
            FAIL, f"{ROLE} may not do lambda:A, s3:B",
        ),
    ],
)  # fmt: skip
def test_a_role_that_is_simulated(
    decisions: Mapping[tuple[str, str], str], level: CheckLevel, detail: str
) -> None:
    check = permissions_check(ROLE, decisions)
    assert (check.level, detail in check.detail) == (level, True)
