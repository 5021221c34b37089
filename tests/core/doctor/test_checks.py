"""What doctor says of clocks, schedules, targets, alarms and roles."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.checks import Check, Level
from controller.core.doctor.permissions import (
    permissions_check,
    principal_of,
    unknown_check,
)
from controller.core.doctor.place import clock_check, schedule_check
from controller.core.doctor.target import reach_checks, reading_check
from controller.core.doctor.watching import watching_checks
from controller.core.monitoring import CONFIRMED, PENDING, STEPS, Found, Kind, wanted
from controller.core.observation import Reading, Update
from tests.core.monitoring.watched import a_watched
from tests.rollouts import NOON, a_rollout

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


@pytest.mark.parametrize(
    ("seconds", "level", "told"),
    [
        pytest.param(0, OK, "agrees with", id="the same"),
        pytest.param(-5, OK, "agrees with", id="as far as a header tells"),
        pytest.param(12, WARN, "12 s ahead of that of AWS", id="a little ahead"),
        pytest.param(-31, FAIL, "31 s behind that of AWS", id="half a minute behind"),
        pytest.param(3_600, FAIL, "3600 s ahead of", id="a wrong time zone"),
        pytest.param(None, WARN, "not checked", id="an answer without a date"),
    ],
)
def test_a_clock_that_is_off(seconds: int | None, level: Level, told: str) -> None:
    theirs = None if seconds is None else NOON - timedelta(seconds=seconds)
    found = clock_check(NOON, theirs)
    assert (found.level, told in found.seen) == (level, True)


@pytest.mark.parametrize(
    ("minutes", "level"),
    [
        pytest.param(1, OK, id="a minute ago"),
        pytest.param(15, OK, id="the slowest schedule there may be"),
        pytest.param(16, FAIL, id="later than that"),
        pytest.param(-3, OK, id="a clock that went back"),
    ],
)
def test_the_newest_tick_was(minutes: int, level: Level) -> None:
    older = replace(a_rollout("a#1"), updated=NOON - timedelta(hours=9))
    newest = replace(a_rollout("b#1"), updated=NOON - timedelta(minutes=minutes))
    found = schedule_check([newest, older], NOON)
    assert (found.level, "(b#1)" in found.seen) == (level, True)


def test_without_an_active_rollout_nobody_can_tell_whether_anything_ticks() -> None:
    assert schedule_check([], NOON).level is WARN


# --- the target ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "update", "level"),
    [
        pytest.param(10, Update.SUCCESSFUL, OK, id="in force"),
        pytest.param(10, Update.IN_PROGRESS, WARN, id="on its way"),
        pytest.param(10, Update.FAILED, FAIL, id="an update that failed"),
        pytest.param(None, Update.SUCCESSFUL, FAIL, id="two weights at once"),
    ],
)
def test_a_target_shows(weight: int | None, update: Update, level: Level) -> None:
    reading = Reading("arn", weight, "A=10, B=false", "token", update)
    found = reading_check(reading)
    assert (found.level, "A=10, B=false" in found.seen) == (level, True)


def test_what_certainly_keeps_callers_from_a_change_fails_and_what_may_is_a_warning() -> None:
    found = reach_checks([(True, "SnapStart"), (False, "an alias")])
    assert [(one.level, one.seen) for one in found] == [(FAIL, "SnapStart"), (WARN, "an alias")]
    assert [one.level for one in reach_checks([])] == [OK]


# --- what watches it ----------------------------------------------------------------------------

MONITORING = wanted(a_watched("p95-latency"))
ALARM = Found(Kind.ALARM, "rolloutctl-shop-p95-latency", "shop", state="OK")
DASHBOARD = Found(Kind.DASHBOARD, "rolloutctl-shop", "shop")
TOPIC = Found(Kind.TOPIC, "rolloutctl-shop", "shop")
TOLD = Found(Kind.SUBSCRIPTION, "a@example.com", state=CONFIRMED)
ALL = (ALARM, DASHBOARD, TOPIC, TOLD)


def watching(*found: Found) -> dict[str, Check]:
    return {one.what: one for one in watching_checks(MONITORING, found)}


def test_monitoring_that_is_whole_and_quiet_and_heard() -> None:
    found = watching(*ALL)
    assert [one.level for one in found.values()] == [OK, OK, OK]
    assert found["topic"].seen == "1 confirmed subscription"


def test_no_monitoring_is_one_warning() -> None:
    foreign = replace(ALARM, owner="")
    for there in ((), (foreign,), (TOPIC, TOLD)):
        assert [(one.what, one.level) for one in watching(*there).values()] == [("alarms", WARN)]


@pytest.mark.parametrize(
    ("there", "what", "told"),
    [
        pytest.param(
            (replace(ALARM, state="ALARM"), DASHBOARD, TOPIC, TOLD),
            "alarms", "in ALARM: rolloutctl-shop-p95-latency", id="a red alarm",
        ),
        pytest.param(
            (ALARM, TOPIC, TOLD), "monitoring", "create dashboard rolloutctl-shop",
            id="something is missing",
        ),
        pytest.param(
            (replace(ALARM, differs=("Threshold",)), DASHBOARD, TOPIC, TOLD),
            "monitoring", "change alarm rolloutctl-shop-p95-latency", id="something differs",
        ),
        pytest.param((ALARM, DASHBOARD), "topic", "the alarms tell nobody", id="no topic"),
        pytest.param((ALARM, DASHBOARD, TOPIC), "topic", "nobody has subscribed", id="no address"),
        pytest.param(
            (ALARM, DASHBOARD, TOPIC, replace(TOLD, state=PENDING)),
            "topic", "not confirmed: a@example.com", id="an address that has not said yes",
        ),
    ],
)  # fmt: skip
def test_monitoring_that_is_not_as_it_should_be(
    there: tuple[Found, ...], what: str, told: str
) -> None:
    found = watching(*there)[what]
    assert (found.level, told in found.seen) == (WARN, True)


def test_an_alarm_without_data_is_told_and_is_no_alarm() -> None:
    found = watching(replace(ALARM, state="INSUFFICIENT_DATA"), DASHBOARD, TOPIC, TOLD)["alarms"]
    assert (found.level, found.seen) == (OK, "none of 1 is in ALARM, 1 of them without data")


def test_a_dashboard_without_the_newest_steps_is_as_good_as_new() -> None:
    found = watching(ALARM, replace(DASHBOARD, differs=(STEPS,)), TOPIC, TOLD)
    assert found["monitoring"].level is OK


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
def test_whose_policies_count(caller: str, principal: str) -> None:
    assert principal_of(caller) == principal


@pytest.mark.parametrize(
    ("decisions", "level", "told"),
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
    decisions: Mapping[tuple[str, str], str], level: Level, told: str
) -> None:
    found = permissions_check(ROLE, decisions)
    assert (found.level, told in found.seen) == (level, True)


def test_what_cannot_be_simulated_is_said_to_be_unknown() -> None:
    found = unknown_check("IAM was not asked", ["lambda:UpdateFunctionConfiguration"])
    assert found.level is WARN
    assert "lambda:UpdateFunctionConfiguration are allowed shows only when" in found.seen
