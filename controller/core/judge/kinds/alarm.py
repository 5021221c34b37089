"""Criteria of kind `alarm`: the state of a CloudWatch alarm.

An alarm that was in ALARM before the rollout began says nothing of it until it has been OK.
"""

from collections.abc import Mapping
from typing import Final

from controller.core.judge.evidence import NonMetricEvidence
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.wording import utc_text
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import Alarm, alarm_name

_NO_READING = AlarmReading(AlarmState.UNREAD, reason="it was not asked for")


def conclude_alarm(
    name: str, criterion: Alarm, evidence: NonMetricEvidence, start: int, now: int
) -> Finding:
    """Return the finding on an alarm whose step is judged from `start` on, as of `now`.

    Both in unix seconds. An alarm that went into ALARM in the warm-up, and still is, counts.
    """
    reading = evidence.alarms.get(criterion.alarm, _NO_READING)
    if now < start:
        outcome = Verdict.INCONCLUSIVE, Label.NOT_JUDGED, "is not judged during the warm-up."
    elif reading.state is AlarmState.ALARM and reading.since <= evidence.rollout_start:
        outcome = Verdict.INCONCLUSIVE, Label.ALARM_BEFORE_START, _ALARM_BEFORE_START
    else:
        outcome = _OUTCOMES[reading.state]
    verdict, label, words = outcome
    sentence = words.format(
        alarm=alarm_name(criterion.alarm), since=_since_text(reading), why=_reason_text(reading)
    )
    measured = {AlarmState.OK: 0.0, AlarmState.ALARM: 1.0}.get(reading.state)
    end = max(start, now)
    return Finding(name, verdict, label, measured, 0.0, 0, start, end, f"{name} {sentence}")


_ALARM_BEFORE_START: Final = (
    "cannot be judged: {alarm} is in ALARM{since}, so it was red before the rollout began; it "
    "counts once it has been OK{why}."
)
_OUTCOMES: Final[Mapping[AlarmState, tuple[Verdict, Label, str]]] = {
    AlarmState.OK: (Verdict.PASS, Label.NOT_REFUTED, "holds: {alarm} is OK{since}."),
    AlarmState.ALARM: (Verdict.FAIL, Label.REFUTED, "fails: {alarm} is in ALARM{since}{why}."),
    AlarmState.INSUFFICIENT_DATA: (
        Verdict.INCONCLUSIVE,
        Label.NO_DATA,
        "has no data: {alarm} has had too few datapoints to be OK or not{since}.",
    ),
    AlarmState.MISSING: (
        Verdict.INCONCLUSIVE,
        Label.NO_DATA,
        "cannot be judged: there is no alarm {alarm} in the account and region of the rollout; "
        "create it, or start again with a policy that names another.",
    ),
    AlarmState.UNREAD: (
        Verdict.INCONCLUSIVE,
        Label.QUERY_FAILED,
        "cannot be judged: {alarm} was not read{why}.",
    ),
}


def _since_text(reading: AlarmReading) -> str:
    return f" since {utc_text(reading.since)}" if reading.since else ""


def _reason_text(reading: AlarmReading) -> str:
    return f" ({reading.reason.rstrip('.')})" if reading.reason else ""
