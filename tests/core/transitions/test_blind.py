"""Blindness: a rollout that cannot read its target or its metrics warns of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.cases import cases
from tests.support.core import (
    AlarmReading,
    AlarmState,
    Observation,
    Observed,
    QueryStatus,
    Rollout,
    Series,
    Severity,
    TargetReading,
    UnreadableTarget,
    decide,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AT_100,
    DURING_ROLLBACK,
    HEALTHY,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    PARTIAL,
    UNREADABLE,
    decide_tick,
)

BLIND = [
    pytest.param(UNREADABLE, HEALTHY, id="the target cannot be read"),
    pytest.param(a_reading(100), OUTAGE, id="no metric can be read"),
    pytest.param(a_reading(100), {**OUTAGE, "log:C": Series()}, id="a log is no metric"),
]
# At its last weight since noon, for three days.
BAKING = replace(
    AT_100,
    policy=a_policy(
        steps=[
            {"weight": 10, "bake": "10m"},
            {"weight": 50, "bake": "10m"},
            {"weight": 100, "bake": "3d"},
        ]
    ),
)


def tick_and_warn(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    measured: Mapping[str, Series],
    minutes: range,
) -> tuple[Rollout, list[int]]:
    """Return the rollout after ticks at `minutes` after noon, and at which of them it warned."""
    warned_at = []
    for minute in minutes:
        decision = decide_tick(rollout, target, minute, measured)
        warned_at += [minute] * len(decision.notices)
        rollout = decision.rollout
    return rollout, warned_at


def test_a_log_that_cannot_be_read_is_no_blindness() -> None:
    unread = Series(answer=QueryStatus.ERROR, message="throttled")
    _, minutes = tick_and_warn(BAKING, a_reading(100), {**HEALTHY, "log:C": unread}, range(5, 100))
    assert minutes == []


@pytest.mark.parametrize(("target", "measured"), BLIND)
def test_blindness_is_reported_after_a_quarter_of_an_hour_and_then_once_a_day(
    target: TargetReading | UnreadableTarget, measured: Mapping[str, Series]
) -> None:
    _, minutes = tick_and_warn(BAKING, target, measured, range(5, 3_000))
    assert minutes == [20, 20 + 24 * 60, 20 + 48 * 60]


@pytest.mark.parametrize(("target", "measured"), BLIND)
def test_blindness_that_ended_is_forgotten(
    target: TargetReading | UnreadableTarget, measured: Mapping[str, Series]
) -> None:
    rollout, _ = tick_and_warn(BAKING, target, measured, range(5, 30))
    seeing = decide_tick(rollout, a_reading(100), 30).rollout
    assert seeing.blind_since is None
    _, minutes = tick_and_warn(seeing, target, measured, range(31, 60))
    assert minutes == [46]


@pytest.mark.parametrize(
    ("target", "measured"),
    [(a_reading(100), NO_DATA), (a_reading(100), PARTIAL), (a_reading(100), {})],
    ids=["silence", "an answer in part", "nothing asked"],
)
def test_what_is_seen_is_not_called_blindness(
    target: TargetReading, measured: Mapping[str, Series]
) -> None:
    assert tick_and_warn(BAKING, target, measured, range(5, 60))[1] == []


def test_one_series_that_answers_is_sight() -> None:
    half = {**OUTAGE, "requests:Sum@60": HEALTHY["requests:Sum@60"]}
    assert tick_and_warn(BAKING, a_reading(100), half, range(5, 60))[1] == []


def test_the_warning_says_since_when_why_and_what_now() -> None:
    decision = decide_tick(
        replace(BAKING, blind_since=NOON, sealed_at=NOON + 60 * MINUTE), UNREADABLE, 95
    )
    (notice,) = decision.notices
    assert notice.severity is Severity.WARNING
    assert notice.text == (
        "checkout#1 has not seen its target for 95m (Lambda did not answer): traffic is not raised "
        "meanwhile; a criterion that fails still rolls it back. "
        "To end it: rolloutctl rollback checkout#1"
    )
    assert decision.record is not None
    assert (decision.record.kind, decision.record.sentence) == ("blind", notice.text)


def test_an_outage_of_the_metrics_is_reported_with_its_reason() -> None:
    (notice,) = decide_tick(replace(BAKING, blind_since=NOON), a_reading(100), 20, OUTAGE).notices
    assert notice.text == (
        "checkout#1 has not seen any metric for 20m (Throttling): traffic stays where it is, and "
        "nothing would notice that the canary fails. To end it: rolloutctl rollback checkout#1"
    )


UNREAD = AlarmReading(AlarmState.UNREAD, reason="AccessDenied")
THROTTLED = Series(answer=QueryStatus.ERROR, message="throttled")


@cases("series, alarms, text", {
    "alarms": ({}, {"red": UNREAD}, "any alarm for 20m (AccessDenied)"),
    "logs": ({"log:C": THROTTLED}, {}, "any log event for 20m (throttled)"),
    "both": ({"log:C": THROTTLED}, {"red": UNREAD}, "any log event or alarm for 20m (throttled)"),
    "a log that is read is sight": ({"log:C": Series()}, {"red": UNREAD}, ""),
    "so is an alarm": ({"log:C": THROTTLED}, {"red": AlarmReading(AlarmState.OK)}, ""),
    "metrics that answer are enough": ({**HEALTHY, "log:C": THROTTLED}, {"red": UNREAD}, ""),
    "an alarm that is read is no metric":
        (OUTAGE, {"red": AlarmReading(AlarmState.OK)}, "any metric for 20m (Throttling)"),
})  # fmt: skip
def test_without_metrics_logs_and_alarms_are_all_there_is_to_see(
    series: Mapping[str, Series], alarms: Mapping[str, AlarmReading], text: str
) -> None:
    observation = Observation(a_reading(100), series, alarms=alarms)
    decision = decide(replace(BAKING, blind_since=NOON), Observed(observation), NOON + 20 * MINUTE)
    texts = [one.text for one in decision.notices]
    assert [text in one for one in texts] == [True] * bool(text)
    assert (decision.rollout.blind_since is not None) is bool(text)


def test_an_outage_without_a_reason_is_reported_all_the_same() -> None:
    no_reason = {key: Series({}, QueryStatus.ERROR) for key in OUTAGE}
    (notice,) = decide_tick(
        replace(BAKING, blind_since=NOON), a_reading(100), 20, no_reason
    ).notices
    assert "has not seen any metric for 20m (no reason given)" in notice.text


def test_an_hourly_entry_does_not_silence_the_warning() -> None:
    due = replace(BAKING, blind_since=NOON, sealed_at=NOON - timedelta(hours=1))
    decision = decide_tick(due, a_reading(100), 20, OUTAGE)
    assert decision.record is not None
    assert (decision.record.kind, len(decision.notices)) == ("evidence", 1)


def test_a_paused_rollout_warns_of_blindness_and_then_reminds_once_a_day_in_all() -> None:
    _, minutes = tick_and_warn(ON_HOLD, UNREADABLE, HEALTHY, range(10, 3_000))
    assert minutes == [25, 25 + 24 * 60, 25 + 48 * 60]


def test_a_reminder_of_a_pause_is_no_warning_of_blindness() -> None:
    blind = replace(ON_HOLD, blind_since=NOON, reminded=NOON + 10 * MINUTE)
    assert len(decide_tick(blind, UNREADABLE, 15).notices) == 1


def test_a_rollback_speaks_of_itself_only() -> None:
    assert decide_tick(DURING_ROLLBACK, UNREADABLE, 1).rollout.blind_since is None


@pytest.mark.parametrize("weight", [30, None])
def test_the_live_weight_is_remembered_as_last_seen(weight: int | None) -> None:
    after = decide_tick(replace(ON_HOLD, seen_weight=10), a_reading(weight), 1).rollout
    assert after.seen_weight == weight
    assert decide_tick(after, UNREADABLE, 2).rollout.seen_weight == weight
