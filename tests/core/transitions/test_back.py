"""A rollback is confirmed or pages, and 0 % is guarded briefly and narrowly."""

from dataclasses import replace

import pytest

from controller.core.decide import roll_back
from controller.core.effects import Alert, Severity
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.rollout import Reason
from tests.ladder import AT_10, BACK, DONE, FAILED, GOING_BACK, GONE, HOPELESS, MOVING, SICK, tick
from tests.rollouts import ARN, MINUTE, NOON, reads


@pytest.mark.parametrize(
    ("target", "minute", "critical"),
    [
        pytest.param(reads(10), 5, False, id="within rollback_timeout"),
        pytest.param(reads(10), 5.1, True, id="past rollback_timeout"),
        pytest.param(reads(0, MOVING), 5.1, True, id="past rollback_timeout, still moving"),
        pytest.param(GONE, 5.1, True, id="past rollback_timeout, unreadable"),
        pytest.param(HOPELESS, 0, True, id="hopeless, at once"),
    ],
)
def test_a_rollback_that_is_not_confirmed_pages(
    target: Reading | Unreadable, minute: float, critical: bool
) -> None:
    decision = tick(GOING_BACK, target, minute)
    assert decision.alert is (Alert.ROLLBACK_UNCONFIRMED if critical else None)
    assert [one.severity for one in decision.notices] == [Severity.CRITICAL] * critical


def test_an_unconfirmed_rollback_ends_every_tick_in_alarm_and_pages_every_quarter_hour() -> None:
    rollout, alarms, pages, entries = GOING_BACK, 0, [], []
    for minute in range(1, 31):
        decision = tick(rollout, reads(10), minute)
        alarms += decision.alert is Alert.ROLLBACK_UNCONFIRMED
        pages += [minute] * len(decision.notices)
        entries += [minute] if decision.record else []
        rollout = decision.rollout
    assert (alarms, pages, entries) == (25, [6, 21], [6])


def test_the_page_says_what_to_write_where() -> None:
    (notice,) = tick(GOING_BACK, reads(10), 6).notices
    assert notice.text == (
        "checkout#1 is NOT rolled back: the target shows NEW_PATH_PERCENTAGE=10. Rolling back "
        "since 2026-11-24 12:00 UTC; set NEW_PATH_PERCENTAGE=0 and NEW_PATH=false by hand on "
        f"{ARN}."
    )


def test_the_history_says_when_a_rollback_was_not_confirmed_and_why() -> None:
    decision = tick(GOING_BACK, reads(0, FAILED, detail="no space"), 6)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == (
        "rollback_unconfirmed", Reason.GATE_FAILED,
    )  # fmt: skip
    assert decision.record.sentence.startswith(
        "checkout#1 is NOT rolled back: the target shows NEW_PATH_PERCENTAGE=0, and its last "
        "update failed: no space."
    )


def test_a_rollback_forgets_what_the_rollout_waited_for() -> None:
    waiting = replace(AT_10, blocked="the bake", since=NOON - 60 * MINUTE)
    after = tick(waiting, reads(10), 7, SICK).rollout
    assert (after.since, after.blocked, after.weight) == (NOON + 7 * MINUTE, "", 0)


def test_a_rollback_ends_the_exposure_and_guards_zero() -> None:
    after = tick(replace(GOING_BACK, blocked="the target"), reads(0), 2).rollout
    assert (after.since, after.exposed_to, after.watch_until, after.blocked) == (
        NOON + 2 * MINUTE, NOON + 2 * MINUTE, NOON + 17 * MINUTE, "",
    )  # fmt: skip


def test_a_success_that_is_rolled_back_is_not_watched_as_a_success_any_more() -> None:
    back = roll_back(DONE, Observation(reads(100)), NOON + MINUTE, "by hand").rollout
    assert back.watch_until is None


def test_a_weight_that_comes_back_is_recorded_as_guarded() -> None:
    decision = tick(BACK, reads(10), 14)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == ("guarding_zero", Reason.GUARDING_ZERO)
    assert decision.record.sentence == (
        "checkout#1: 10 % came back after the rollback; lowering it again"
    )
    assert [one.severity for one in decision.notices] == [Severity.WARNING]


def test_zero_is_not_guarded_against_a_newer_rollout() -> None:
    decision = tick(BACK, reads(10), 14, owns=False)
    assert (decision.move, decision.notices, decision.alert) == (None, (), None)


def test_asking_twice_for_a_rollback_does_not_put_off_its_alarm() -> None:
    again = roll_back(GOING_BACK, Observation(reads(10)), NOON + 4 * MINUTE, "again").rollout
    assert tick(again, reads(10), 6).alert is Alert.ROLLBACK_UNCONFIRMED
