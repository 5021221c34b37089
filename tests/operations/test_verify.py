"""Checks of `verify`: settled minutes, traffic shares, the target, and the leak check."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.observation import MetricQuery
from controller.core.units import clock_text
from controller.flag import CANARY, EVENT, STABLE
from controller.immutable import replace
from controller.operations.checks import Check, CheckLevel
from controller.operations.traffic_shares import (
    SettledWindow,
    event_share_checks,
    metric_share_check,
    path_metrics,
    settled_window,
)
from controller.operations.verify import leak_checks, target_checks
from controller.policy_file.loader import load
from controller.ports.logs import LogEvent
from tests.support.cases import cases
from tests.support.core import (
    Label,
    Policy,
    QueryStatus,
    Reason,
    Rollout,
    Series,
    TargetReading,
    Verdict,
)
from tests.support.findings import a_finding
from tests.support.rollouts import LADDER, MINUTE, NOON, a_reading, with_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    AT_100,
    DURING_ROLLBACK,
    RAISING,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
)
from tests.tools.simulation.worlds import POLICY

BEGIN = int(NOON.timestamp())
HALF_AN_HOUR = SettledWindow(10, BEGIN, BEGIN + 1_800, weight_known=True, causes="callers")
ORDERS = Policy.model_validate(POLICY)


# --- settled minutes ------------------------------------------------------------------------------


@cases("rollout, live, begin, known", {
    "from the end of the warm-up": (AT_10, 10, 2, True),
    "the same at 100": (AT_100, 100, 2, True),
    "the same after a success": (AFTER_SUCCESS, 100, 2, True),
    "after a rollback, from when no request is in flight any more": (AFTER_ROLLBACK, 0, 2, True),
    "a weight set by an operator": (a_paused_rollout(Reason.DRIFTED, seen_weight=40), 40, 17, True),
    "unknown since when another weight is live": (AT_10, 60, 0, False),
    "nor what a rollback has not lowered yet": (DURING_ROLLBACK, 10, 0, False),
    "nor without a rollout": (None, 40, 0, False),
})  # fmt: skip
def test_only_minutes_with_the_live_weight_applied_count(
    rollout: Rollout | None, live: int, begin: int, known: bool
) -> None:
    policy = AT_10.policy
    window = settled_window(policy, rollout, a_reading(live), 30, NOON + 33 * MINUTE)
    assert window == SettledWindow(live, BEGIN + begin * 60, BEGIN + 1_800, known, window.causes)


def test_a_share_that_does_not_fit_names_who_goes_around_this_kind_of_target() -> None:
    causes = {
        policy.target.kind: settled_window(policy, None, a_reading(10), 30, NOON).causes
        for policy in map(load, Path("policies").glob("*.yaml"))
    }
    assert "another rule or listener" in causes["alb-weights"]
    assert "instead of the alias" in causes["lambda-alias"]
    assert [kind for kind, text in causes.items() if "flag" in text] == ["lambda-env", "appconfig"]


# --- shares by metrics --------------------------------------------------------------------------


def metric_check(canary: Any, stable: Any, stretch: SettledWindow = HALF_AN_HOUR) -> Check:
    """Return the check of these requests on each path, all in the first minute."""
    counts = path_metrics(ORDERS)
    assert counts is not None
    values = {counts.canary: canary, counts.control: stable}
    series: dict[MetricQuery, Series] = {
        query: values[name]
        if isinstance(values[name], Series)
        else Series({BEGIN: float(values[name])})
        for name, query in counts.queries.items()
    }
    return metric_share_check(counts, series, stretch)


@cases("canary, stable, level", {
    "the weight itself": (100, 900, CheckLevel.OK),
    "what chance makes of it": (70, 930, CheckLevel.OK),
    "too few": (50, 950, CheckLevel.FAIL),
    "too many": (150, 850, CheckLevel.FAIL),
    "three requests tell nothing": (1, 2, CheckLevel.WARN),
    "one request tells nothing": (0, 1, CheckLevel.WARN),
    "no traffic": (0, 0, CheckLevel.WARN),
    "a flag that reached no caller": (0, 1_000, CheckLevel.FAIL),
})  # fmt: skip
def test_a_share_is_held_against_what_chance_leaves_likely(
    canary: int, stable: int, level: CheckLevel
) -> None:
    assert metric_check(canary, stable).level is level


@cases("weight, canary, stable, level", {
    "no request at 0": (0, 0, 500, CheckLevel.OK),
    "one at 0": (0, 1, 500, CheckLevel.FAIL),
    "everybody at 100": (100, 500, 0, CheckLevel.OK),
    "one beside at 100": (100, 500, 1, CheckLevel.FAIL),
})  # fmt: skip
def test_at_both_ends_chance_is_no_excuse(
    weight: int, canary: int, stable: int, level: CheckLevel
) -> None:
    assert metric_check(canary, stable, replace(HALF_AN_HOUR, weight=weight)).level is level


def test_minutes_outside_the_stretch_do_not_count() -> None:
    early = Series({BEGIN - 60: 500.0, BEGIN: 100.0, BEGIN + 1_800: 500.0})
    assert metric_check(early, 900).detail.startswith("100 of 1,000 requests (10%)")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (QueryStatus.FORBIDDEN, "not allowed"),
        (QueryStatus.PARTIAL, "in part"),
        (QueryStatus.ERROR, "broken"),
    ],
)
def test_counts_that_were_not_read_to_their_end_are_compared_with_nothing(
    answer: QueryStatus, message: str
) -> None:
    check = metric_check(Series({BEGIN: 500.0}, answer, message), 900)
    assert (check.level, check.detail) == (
        CheckLevel.UNREAD,
        f"the counts were not read: {message}",
    )


ARRIVES = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
BESIDE = {**ARRIVES, "control": "direct_requests"}
SHARE = {"kind": "share", "metric": "integration", "control": "direct_requests"}


@cases("criteria, canary", {
    "no criterion counts both paths": ({"arrives": ARRIVES}, None),
    "traffic": ({"arrives": BESIDE}, "requests"),
    "a share goes first": ({"arrives": BESIDE, "share": SHARE}, "integration"),
})  # fmt: skip
def test_both_paths_have_to_be_counted(criteria: Mapping[str, Any], canary: str | None) -> None:
    named = {name for criterion in criteria.values() for name in criterion.values()}
    metrics = {name: {**one, "statistic": "Sum"} for name, one in POLICY["metrics"].items()
               if name in named}  # fmt: skip
    policy = Policy.model_validate({**LADDER, "metrics": metrics, "criteria": criteria})
    counts = path_metrics(policy)
    assert (counts.canary if counts else None) == canary
    if counts is None:
        assert metric_share_check(counts, {}, HALF_AN_HOUR).level is CheckLevel.WARN


# --- shares by events ---------------------------------------------------------------------------


def flag_events(canary: int, stable: int, **fields: Any) -> list[LogEvent]:
    """Return this many log events of the flag on each path."""
    paths = [CANARY] * canary + [STABLE] * stable
    texts = [json.dumps({"event": EVENT, "Path": path, **fields}) for path in paths]
    return [LogEvent(str(number), BEGIN * 1_000, text) for number, text in enumerate(texts)]


def event_checks(
    events: list[LogEvent], stretch: SettledWindow = HALF_AN_HOUR, truncation: str = ""
) -> Any:
    return {
        check.what: check
        for check in event_share_checks(events, "/aws/lambda/handler", stretch, truncation)
    }


def test_other_events_and_those_that_name_no_path_do_not_count() -> None:
    other_events = [
        LogEvent("a", 0, '{"event": "other"}'),
        LogEvent("b", 0, f'{{"event": "{EVENT}"}}'),
    ]
    check = event_checks([*flag_events(10, 90), *other_events])["share (events)"]
    assert (check.level, check.detail[:34]) == (
        CheckLevel.OK,
        "10 of 100 requests (10%) took the canary"[:34],
    )
    assert event_checks(other_events)["share (events)"].level is CheckLevel.WARN


def test_an_application_that_does_not_log_the_weight_it_read_is_not_checked() -> None:
    assert set(event_checks(flag_events(10, 90))) == {"share (events)"}
    assert set(event_checks(flag_events(10, 90, percentage=10))) == {
        "share (events)",
        "application",
    }


def test_events_that_were_read_in_part_say_so() -> None:
    truncation = "reading stopped after 100 pages"
    assert event_checks(flag_events(10, 90), truncation=truncation)[
        "share (events)"
    ].detail.endswith(f"; {truncation}")


# --- the target ---------------------------------------------------------------------------------


@cases(
    "rollout, target, name, level, detail",
    {
        "on its way": (RAISING, a_reading(10), "weight", CheckLevel.WARN, "raise is pending"),
        "going back": (
            DURING_ROLLBACK,
            a_reading(10),
            "weight",
            CheckLevel.FAIL,
            "rolls back to 0%",
        ),
        "after a success": (
            AFTER_SUCCESS,
            a_reading(50),
            "weight",
            CheckLevel.FAIL,
            "expects 100%",
        ),
        "an update": (
            AT_10,
            a_reading(10, UPDATE_IN_PROGRESS),
            "update",
            CheckLevel.WARN,
            "in progress",
        ),
        "an update that failed": (
            AT_10,
            a_reading(10, UPDATE_FAILED, detail="no room"),
            "update",
            CheckLevel.FAIL,
            "the last update failed: no room",
        ),
    },
)
def test_the_target_against_its_rollout(
    rollout: Rollout, target: TargetReading, name: str, level: CheckLevel, detail: str
) -> None:
    checks = {
        check.what: check for check in target_checks(rollout.policy, rollout, target, NOON + MINUTE)
    }
    assert checks[name].level is level
    assert detail in checks[name].detail


# --- the leak check -----------------------------------------------------------------------------


def leak_checks_of(verdict: Verdict | None, minute: int = 20) -> list[Check]:
    finding = None
    if verdict is not None:
        sentence = "leak check as it was seen."
        finding = a_finding("leak_check", sentence, verdict=verdict, label=Label.REGRESSION)
    return list(leak_checks(with_state(AFTER_ROLLBACK, leak_check=finding), NOON + minute * MINUTE))


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (Verdict.PASS, CheckLevel.OK),
        (Verdict.FAIL, CheckLevel.FAIL),
        (Verdict.INCONCLUSIVE, CheckLevel.WARN),
        (None, CheckLevel.WARN),
    ],
)
def test_the_leak_check_after_a_rollback(verdict: Verdict | None, level: CheckLevel) -> None:
    (check,) = leak_checks_of(verdict)
    assert check.level is level


def test_a_leak_check_that_may_still_end_is_waited_for() -> None:
    (check,) = leak_checks_of(None, minute=5)
    assert check.detail == f"no result yet; ticks watch until {clock_text(NOON + 15 * MINUTE)}"


def test_a_leak_check_that_no_tick_made_is_the_schedules_fault_and_users_are_in_the_share() -> None:
    (check,) = leak_checks_of(None, minute=20)
    assert "no tick ran in the 15 minutes after the rollback" in check.detail
    assert "the last change in the store is from 2026-11-24 12:00" in check.detail
    assert "rolloutctl rollback checkout#1 --reason TEXT" in check.remedy
    assert "`share (metrics)`" in check.remedy


def test_the_boolean_is_true_only_at_100() -> None:
    texts = {
        weight: next(
            check.detail
            for check in target_checks(ORDERS, None, a_reading(weight), NOON)
            if check.what == "boolean"
        )
        for weight in (0, 10, 100)
    }
    assert texts[0] == texts[10]
    assert texts[10].endswith("=false, as it should be below 100% (true only at 100%)")
    assert texts[100].endswith("=true, as it should be at 100%")


def test_no_clear_weight_fails_without_a_rollout_too() -> None:
    first, *_ = target_checks(ORDERS, None, a_reading(None), NOON)
    assert (first.what, first.level) == ("weight", CheckLevel.FAIL)
    assert "set one weight" in first.remedy
