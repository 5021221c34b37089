"""A person is told what happened and what now: once, and of a pause once a day."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.decide import roll_back
from controller.core.effects import Alert, Severity
from controller.core.observation import Observation
from controller.core.rollout import Reason, Rollout
from tests.ladder import AT_10, BACK, DONE, ON_HOLD, SILENT, tick
from tests.rollouts import MINUTE, NOON, reads


@pytest.mark.parametrize(
    ("weight", "severity"),
    [(30, Severity.CRITICAL), (5, Severity.WARNING), (None, Severity.CRITICAL)],
)
def test_drift_is_critical_unless_it_is_surely_down(weight: int | None, severity: Severity) -> None:
    assert [one.severity for one in tick(AT_10, reads(weight), 5).notices] == [severity]


def test_a_pause_tells_what_happened_and_what_to_do_now() -> None:
    (notice,) = tick(AT_10, reads(30), 5).notices
    assert notice.text == (
        "checkout#1 is paused: another hand moved the weight: NEW_PATH_PERCENTAGE=30 where 10 % "
        "was asked for. Traffic stays where it is and is not raised any more; a criterion that "
        "fails still rolls it back. To end it: rolloutctl rollback checkout#1"
    )


def test_a_pause_reminds_once_a_day() -> None:
    rollout, reminded = ON_HOLD, []
    for hour in range(1, 75):
        decision = tick(rollout, reads(10), hour * 60, SILENT)
        reminded += [hour] * len(decision.notices)
        rollout = decision.rollout
    assert reminded == [24, 48, 72]


def test_a_reminder_before_this_pause_does_not_count() -> None:
    rollout = replace(ON_HOLD, reminded=NOON - timedelta(days=9))
    assert tick(rollout, reads(10), 60, SILENT).notices == ()


@pytest.mark.parametrize(
    ("rollout", "weight"), [(BACK, 20), (BACK, None), (DONE, 0)], ids=["back", "torn", "done"]
)
def test_drift_of_a_finished_rollout_is_told_once(rollout: Rollout, weight: int | None) -> None:
    first = tick(rollout, reads(weight), 1)
    assert (len(first.notices), first.alert) == (1, Alert.DRIFT)
    assert first.record is not None
    assert first.record.reason is Reason.DRIFTED
    second = tick(first.rollout, reads(weight), 2)
    assert (second.notices, second.record, second.alert) == ((), None, None)


def test_a_success_is_watched_for_seven_days() -> None:
    week = 7 * 24 * 60
    assert [tick(DONE, reads(0), minute).alert for minute in (week - 1, week)] == [
        Alert.DRIFT,
        None,
    ]


def test_a_success_is_not_watched_once_a_newer_rollout_owns_the_target() -> None:
    assert tick(DONE, reads(0), 1, owns=False).alert is None


def test_drift_is_told_again_after_a_rollback_by_hand() -> None:
    told = replace(DONE, drift_told=True)
    back = roll_back(told, Observation(reads(30)), NOON + MINUTE, "by hand").rollout
    back = tick(back, reads(0), 2).rollout
    assert tick(back, reads(30), 3).alert is Alert.DRIFT
