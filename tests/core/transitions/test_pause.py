"""A person is told what happened and what now: once, and of a pause once a day."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.commands import Ask, Verb, asked
from controller.core.decision import Alert, Severity
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.rollout import Reason, Rollout
from tests.support.rollouts import MINUTE, NOON, reads
from tests.support.three_steps import AT_10, BACK, DONE, GONE, ON_HOLD, RAISING, SILENT, THIN, tick


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
        "fails still rolls it back. To go on: rolloutctl resume checkout#1 with --restore (down "
        "only) or --keep, unless the weight is put back; to end it: rolloutctl rollback checkout#1"
    )


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "ways"),
    [
        pytest.param(AT_10, reads(10), 32, "", id="inconclusive"),
        pytest.param(
            RAISING, reads(10, token="token-9"), 1, " with --keep, to go on from 10 %",
            id="an uncertain raise",
        ),
    ],
)  # fmt: skip
def test_a_pause_names_the_resume_that_fits(
    rollout: Rollout, target: Reading, minute: float, ways: str
) -> None:
    (notice,) = tick(rollout, target, minute, THIN).notices
    assert f" To go on: rolloutctl resume checkout#1{ways}; to end it:" in notice.text


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


@pytest.mark.parametrize("told", [False, True], ids=["first", "after other drift"])
def test_a_success_found_at_zero_has_ended_its_exposure(told: bool) -> None:
    decision = tick(replace(DONE, drift_told=told), reads(0), 60)
    assert (decision.rollout.exposed_to, decision.alert) == (NOON + 60 * MINUTE, Alert.DRIFT)
    assert decision.record is not None
    again = tick(decision.rollout, reads(0), 61)
    assert (again.rollout.exposed_to, again.alert) == (NOON + 60 * MINUTE, None)


def test_a_success_found_above_zero_is_still_exposed() -> None:
    assert tick(DONE, reads(30), 60).rollout.exposed_to is None


def test_an_exposure_ends_with_the_last_zero_that_was_seen() -> None:
    """Zero, traffic again, and a rollback: what lies between was exposed too."""
    rollout, told = DONE, []
    for minute, weight in ((10, 0), (20, 100), (21, 100), (30, 0), (40, 30), (41, 30)):
        decision = tick(rollout, reads(weight), minute)
        rollout = decision.rollout
        told.append((minute, rollout.exposed_to, decision.record is not None))
    assert told == [
        (10, NOON + 10 * MINUTE, True), (20, None, True), (21, None, False),
        (30, NOON + 30 * MINUTE, True), (40, None, True), (41, None, False),
    ]  # fmt: skip
    back = asked(rollout, Ask(Verb.ROLLBACK), Observation(reads(30)), NOON + 50 * MINUTE).rollout
    assert tick(back, reads(0), 51).rollout.exposed_to == NOON + 51 * MINUTE


def test_traffic_that_comes_back_after_a_success_is_said_in_its_own_words() -> None:
    at_zero = tick(DONE, reads(0), 10).rollout
    (notice,) = tick(at_zero, reads(100), 20).notices
    assert notice.text == (
        "checkout#1 ended at 100 % and was found at 0 % since; now the target shows "
        "NEW_PATH_PERCENTAGE=100; left alone"
    )


@pytest.mark.parametrize(
    ("target", "minutes"),
    [
        pytest.param(reads(100), 61, id="traffic again"),
        pytest.param(GONE, 61, id="nobody knows"),
        pytest.param(reads(0), 10, id="0 % since"),
    ],
)
def test_a_rollback_long_after_a_success_ends_the_exposure_that_it_meets(
    target: Reading | Unreadable, minutes: int
) -> None:
    at_zero = replace(DONE, exposed_to=NOON + 10 * MINUTE)
    back = asked(at_zero, Ask(Verb.ROLLBACK), Observation(target), NOON + 60 * MINUTE).rollout
    assert tick(back, reads(0), 61).rollout.exposed_to == NOON + minutes * MINUTE


def paused_drift(*weights: int | None) -> list[tuple[int | None, bool, int]]:
    """Return the weights at which a paused rollout spoke: whether of drift, and how often."""
    rollout, told = replace(ON_HOLD, seen_weight=10), []
    for minute, weight in enumerate(weights, start=1):
        decision = tick(rollout, reads(weight), minute, SILENT)
        if decision.notices:
            told.append((weight, decision.alert is Alert.DRIFT, len(decision.notices)))
        rollout = decision.rollout
    return told


@pytest.mark.parametrize(
    ("weights", "heard"),
    [
        pytest.param([10, 10], [], id="where it was"),
        pytest.param([30, 30, 30], [30], id="moved once"),
        pytest.param([30, 60, 60, 30], [30, 60, 30], id="moved again and again"),
        pytest.param([30, 10, 10], [30], id="moved and put back"),
        pytest.param([None, None, 30], [None, 30], id="torn, then moved"),
        pytest.param([5], [5], id="moved down"),
    ],
)
def test_a_paused_rollout_hears_each_further_drift_once(
    weights: list[int | None], heard: list[int | None]
) -> None:
    assert paused_drift(*weights) == [(weight, True, 1) for weight in heard]


def test_drift_seen_while_baking_is_not_told_again_by_the_pause() -> None:
    paused = tick(AT_10, reads(30), 5, SILENT).rollout
    assert tick(paused, reads(30), 6, SILENT).alert is None


def test_a_pause_from_before_the_live_weight_was_remembered_does_not_invent_drift() -> None:
    assert tick(replace(ON_HOLD, seen_weight=None), reads(10), 1, SILENT).alert is None


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
    back = asked(told, Ask(Verb.ROLLBACK, "by hand"), Observation(reads(30)), NOON + MINUTE).rollout
    back = tick(back, reads(0), 2).rollout
    assert tick(back, reads(30), 3).alert is Alert.DRIFT
