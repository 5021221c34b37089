"""Blindness: a rollout that cannot read its target or its metrics warns of it."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from tests.support.cases import cases
from tests.support.core import (
    AlarmReading,
    AlarmState,
    Condition,
    ConditionKind,
    Decision,
    Measured,
    Observation,
    Observed,
    QueryStatus,
    Rollout,
    Series,
    Target,
    TargetReading,
    decide,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_reading, with_facts
from tests.support.three_steps import (
    AT_100,
    HEALTHY,
    NO_DATA,
    OUTAGE,
    PARTIAL,
    UNREADABLE,
    decide_tick,
    under,
)

BLIND: Mapping[str, Any] = {
    "the target cannot be read": (UNREADABLE, HEALTHY),
    "no metric can be read": (a_reading(100), OUTAGE),
    "a log is no metric": (a_reading(100), {**OUTAGE, "log:C": Series()}),
}  # fmt: skip
# At its last weight since noon, for three days.
BAKING = under(AT_100, steps=[*LADDER["steps"][:2], {"weight": 100, "bake": "3d"}])


def blind_since_noon(rollout: Rollout) -> Rollout:
    return rollout.with_condition(ConditionKind.BLIND, Condition(NOON, "nothing was read"))


def tick_and_warn(
    rollout: Rollout, target: Target, measured: Measured, minutes: Iterable[int]
) -> tuple[Rollout, list[int]]:
    """Return the rollout after ticks at `minutes` after noon, and at which of them it warned."""
    warned_at = []
    for minute in minutes:
        decision = decide_tick(rollout, target, minute, measured)
        warned_at += [minute] * len(decision.notices)
        rollout = decision.rollout
    return rollout, warned_at


def test_a_log_that_cannot_be_read_is_no_blindness() -> None:
    unread = Series(status=QueryStatus.ERROR, message="throttled")
    _, minutes = tick_and_warn(BAKING, a_reading(100), {**HEALTHY, "log:C": unread}, range(5, 100))
    assert minutes == []


@cases("target, measured", BLIND)
def test_blindness_is_reported_after_a_quarter_of_an_hour_and_then_once_a_day(
    target: Target, measured: Measured
) -> None:
    ticks = [*range(5, 25), *range(35, 3_000, 15)]
    _, minutes = tick_and_warn(BAKING, target, measured, ticks)
    assert minutes == [20, 20 + 24 * 60, 20 + 48 * 60]


@cases("target, measured", BLIND)
def test_a_blindness_of_a_day_is_counted_in_hours(target: Target, measured: Measured) -> None:
    (notice,) = decide_tick(blind_since_noon(BAKING), target, 24 * 60 + 15, measured).notices
    assert " for 1d 0h 15m (" in notice.text


@cases("target, measured", BLIND)
def test_blindness_that_ended_is_forgotten(target: Target, measured: Measured) -> None:
    rollout, _ = tick_and_warn(BAKING, target, measured, range(5, 30))
    seeing = decide_tick(rollout, a_reading(100), 30).rollout
    assert ConditionKind.BLIND not in seeing.conditions
    _, minutes = tick_and_warn(seeing, target, measured, range(31, 60))
    assert minutes == [46]


@cases("target, measured", {
    "silence": (a_reading(100), NO_DATA),
    "an answer in part": (a_reading(100), PARTIAL),
    "nothing asked": (a_reading(100), {}),
})  # fmt: skip
def test_what_is_seen_is_not_called_blindness(target: TargetReading, measured: Measured) -> None:
    assert tick_and_warn(BAKING, target, measured, range(5, 60))[1] == []


BLIND_SINCE_NOON = blind_since_noon(with_facts(BAKING, checkpoint_at=NOON))


UNREAD = AlarmReading(AlarmState.UNREAD, reason="AccessDenied")
THROTTLED = Series(status=QueryStatus.ERROR, message="throttled")


NO_REASON = {key: Series({}, QueryStatus.ERROR) for key in OUTAGE}
# By claim: the series and alarms that are read, and whether that is blindness, with which reason.
SOURCES: Mapping[str, tuple[Measured, Mapping[str, AlarmReading], str | None]] = {
    "metrics": (OUTAGE, {}, "Throttling"),
    "metrics, without a reason": (NO_REASON, {}, ""),
    "alarms": ({}, {"red": UNREAD}, "AccessDenied"),
    "logs": ({"log:C": THROTTLED}, {}, "throttled"),
    "logs and alarms": ({"log:C": THROTTLED}, {"red": UNREAD}, "throttled"),
    "a log that is read is sight": ({"log:C": Series()}, {"red": UNREAD}, None),
    "so is an alarm": ({"log:C": THROTTLED}, {"red": AlarmReading(AlarmState.OK)}, None),
    "metrics that answer are enough": ({**HEALTHY, "log:C": THROTTLED}, {"red": UNREAD}, None),
    "an alarm that is read is no metric":
        (OUTAGE, {"red": AlarmReading(AlarmState.OK)}, "Throttling"),
}  # fmt: skip


def at_20(series: Measured, alarms: Mapping[str, AlarmReading]) -> Decision:
    """Return the decision of a tick that has been blind for 20 minutes, if these are unread."""
    observation = Observation(a_reading(100), series, alarms=alarms)
    return decide(BLIND_SINCE_NOON, Observed(observation), NOON + 20 * MINUTE)


@cases("series, alarms, reason", SOURCES)
def test_without_metrics_logs_and_alarms_are_all_there_is_to_see(
    series: Measured, alarms: Mapping[str, AlarmReading], reason: str | None
) -> None:
    decision = at_20(series, alarms)
    blind = reason is not None
    assert [(notice.kind, (reason or "") in notice.text) for notice in decision.notices] == (
        [("blind", True)] * blind
    )
    assert (ConditionKind.BLIND in decision.rollout.conditions) is blind


def texts() -> dict[str, str]:
    """Return the warning of each blindness."""
    decisions = {claim: at_20(series, alarms) for claim, (series, alarms, _) in SOURCES.items()}
    decisions["the target"] = decide_tick(BLIND_SINCE_NOON, UNREADABLE, 95)
    return {
        claim: "\n".join(notice.text for notice in decision.notices)
        for claim, decision in decisions.items()
        if decision.notices
    }


def test_an_hourly_entry_does_not_silence_the_warning() -> None:
    due = with_facts(BLIND_SINCE_NOON, checkpoint_at=NOON - timedelta(hours=1))
    decision = decide_tick(due, a_reading(100), 20, OUTAGE)
    assert decision.record is not None
    assert (decision.record.kind, len(decision.notices)) == ("evidence", 1)
