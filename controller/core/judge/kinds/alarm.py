"""What no metric tells: the state of an alarm, and the word of a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.core.judge.evidence import Signature
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.wording import moment
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import Alarm, alarm_name

_NOT_ASKED = AlarmReading(AlarmState.UNREAD, reason="it was not asked for")


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a rollout beside its metrics.

    alarms: by name or ARN. signed: by criterion. begun: when the rollout began, unix seconds.
    rollout: its id, for what somebody has to type.
    """

    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    signed: Mapping[str, Signature] = field(default_factory=dict)
    begun: int = 0
    rollout: str = "ROLLOUT"

    def refusals(self) -> list[str]:
        """Return the criteria of which a person has said no."""
        return [name for name, one in self.signed.items() if one.refused]


def of_alarm(name: str, criterion: Alarm, said: Said, start: int, now: int) -> Finding:
    """Return what an alarm says from `start` on, as of `now`, unix seconds.

    One that was red before the rollout began says nothing of it until it has been OK. What became
    red while the step was warming up, and still is, counts.
    """
    seen = said.alarms.get(criterion.alarm, _NOT_ASKED)
    if now < start:
        told = Verdict.INCONCLUSIVE, Label.NOT_YET, "is not judged during the warm-up."
    elif seen.state is AlarmState.ALARM and seen.since <= said.begun:
        told = Verdict.INCONCLUSIVE, Label.RED_BEFORE, _RED_BEFORE
    else:
        told = _SAYS[seen.state]
    verdict, label, words = told
    sentence = words.format(
        alarm=alarm_name(criterion.alarm), since=_since(seen), why=_because(seen)
    )
    red = {AlarmState.OK: 0.0, AlarmState.ALARM: 1.0}.get(seen.state)
    end = max(start, now)
    return Finding(name, verdict, label, red, 0.0, 0, start, end, f"{name} {sentence}")


_RED_BEFORE: Final = (
    "cannot be judged: {alarm} is in ALARM{since}, so it was red before the rollout began; it "
    "counts once it has been OK{why}."
)
_SAYS: Final[Mapping[AlarmState, tuple[Verdict, Label, str]]] = {
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


def _since(seen: AlarmReading) -> str:
    return f" since {moment(seen.since)}" if seen.since else ""


def _because(seen: AlarmReading) -> str:
    return f" ({seen.reason.rstrip('.')})" if seen.reason else ""
