"""Notices of pauses and drift: what happened and what to do, once, and a daily reminder."""

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Condition,
    ConditionKind,
    Reason,
    Rollout,
    Severity,
    Verb,
)
from tests.support.rollouts import MINUTE, NOON, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    NO_DATA,
    ON_HOLD,
    decide_command,
    decide_tick,
)


@pytest.mark.parametrize(
    ("weight", "severity"),
    [(30, Severity.CRITICAL), (5, Severity.WARNING), (None, Severity.CRITICAL)],
)
def test_drift_is_critical_unless_it_is_surely_down(weight: int | None, severity: Severity) -> None:
    assert [notice.severity for notice in decide_tick(AT_10, a_reading(weight), 5).notices] == [
        severity
    ]


def test_a_pause_reminds_once_a_day() -> None:
    rollout, reminded = ON_HOLD, []
    for hour in range(1, 75):
        decision = decide_tick(rollout, a_reading(10), hour * 60, NO_DATA)
        reminded += [hour] * len(decision.notices)
        rollout = decision.rollout
    assert reminded == [24, 48, 72]


@cases("rollout, weight", {
    "back": (AFTER_ROLLBACK, 20),
    "torn": (AFTER_ROLLBACK, None),
    "done": (AFTER_SUCCESS, 0),
})  # fmt: skip
def test_drift_of_a_finished_rollout_is_reported_once(rollout: Rollout, weight: int | None) -> None:
    first = decide_tick(rollout, a_reading(weight), 1)
    assert (len(first.notices), first.alert) == (1, Alert.DRIFT)
    assert first.record is not None
    assert first.record.reason is Reason.DRIFTED
    second = decide_tick(first.rollout, a_reading(weight), 2)
    assert (second.notices, second.record, second.alert) == ((), None, None)


REPORTED = AFTER_SUCCESS.with_condition(
    ConditionKind.DRIFTED, Condition(NOON, "30%", announced=NOON)
)


@cases("rollout", {"first": AFTER_SUCCESS, "after other drift": REPORTED})
def test_a_success_found_at_zero_has_ended_its_exposure(rollout: Rollout) -> None:
    decision = decide_tick(rollout, a_reading(0), 60)
    assert (decision.rollout.exposed_to, decision.alert) == (NOON + 60 * MINUTE, Alert.DRIFT)
    assert decision.record is not None
    again = decide_tick(decision.rollout, a_reading(0), 61)
    assert (again.rollout.exposed_to, again.alert) == (NOON + 60 * MINUTE, None)


def test_an_exposure_ends_with_the_last_zero_that_was_seen() -> None:
    """Zero, traffic again, and a rollback: what lies between was exposed too."""
    rollout, exposures = AFTER_SUCCESS, []
    for minute, weight in ((10, 0), (20, 100), (21, 100), (30, 0), (40, 30), (41, 30)):
        decision = decide_tick(rollout, a_reading(weight), minute)
        rollout = decision.rollout
        exposures.append((minute, rollout.exposed_to, decision.record is not None))
    assert exposures == [
        (10, NOON + 10 * MINUTE, True), (20, None, True), (21, None, False),
        (30, NOON + 30 * MINUTE, True), (40, None, True), (41, None, False),
    ]  # fmt: skip
    back = decide_command(rollout, Verb.ROLLBACK, a_reading(30), minute=50).rollout
    assert decide_tick(back, a_reading(0), 51).rollout.exposed_to == NOON + 51 * MINUTE


def paused_drift(*weights: int | None) -> list[tuple[int | None, bool, int]]:
    """Return the notices of a paused rollout: at which weight, whether of drift, and how many."""
    rollout, reports = replace(ON_HOLD, seen_weight=10), []
    for minute, weight in enumerate(weights, start=1):
        decision = decide_tick(rollout, a_reading(weight), minute, NO_DATA)
        if decision.notices:
            reports.append((weight, decision.alert is Alert.DRIFT, len(decision.notices)))
        rollout = decision.rollout
    return reports


@cases("weights, reported", {
    "where it was": ([10, 10], []),
    "moved once": ([30, 30, 30], [30]),
    "moved again and again": ([30, 60, 60, 30], [30, 60, 30]),
    "moved and put back": ([30, 10, 10], [30]),
    "torn, then moved": ([None, None, 30], [None, 30]),
    "moved down": ([5], [5]),
})  # fmt: skip
def test_a_paused_rollout_reports_each_further_drift_once(
    weights: list[int | None], reported: list[int | None]
) -> None:
    assert paused_drift(*weights) == [(weight, True, 1) for weight in reported]


def test_drift_is_reported_again_after_a_rollback_by_hand() -> None:
    back = decide_command(REPORTED, Verb.ROLLBACK, a_reading(30), minute=1).rollout
    back = decide_tick(back, a_reading(0), 2).rollout
    assert decide_tick(back, a_reading(30), 3).alert is Alert.DRIFT
