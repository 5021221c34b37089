"""Sentences of CloudWatch alarms, and of what operators sign off."""

from controller.core.judge.facts import AlarmFacts, SignOffFacts, Statement
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import utc_text
from controller.core.words.shared_phrases import Sentences

# --- Alarms ---------------------------------------------------------------------------------------


def _alarm_ok(finding: Finding) -> str:
    alarm = AlarmFacts.of(finding)
    return f"passes: alarm {alarm.alarm} is OK{_since(alarm)}."


def _in_alarm(finding: Finding) -> str:
    alarm = AlarmFacts.of(finding)
    return f"fails: alarm {alarm.alarm} is in ALARM{_since(alarm)}{_why(alarm)}."


def _alarm_without_data(finding: Finding) -> str:
    alarm = AlarmFacts.of(finding)
    return f"has no data: alarm {alarm.alarm} is in INSUFFICIENT_DATA{_since(alarm)}."


def _alarm_missing(finding: Finding) -> str:
    return (
        f"cannot be judged: there is no alarm {AlarmFacts.of(finding).alarm} in the account "
        "and region of the rollout; create it, or start again with a policy that names another."
    )


def _alarm_unread(finding: Finding) -> str:
    alarm = AlarmFacts.of(finding)
    return f"cannot be judged: alarm {alarm.alarm} was not read{_why(alarm)}."


def _alarm_before_start(finding: Finding) -> str:
    alarm = AlarmFacts.of(finding)
    return (
        f"cannot be judged: alarm {alarm.alarm} is in ALARM{_since(alarm)}, "
        f"already before the start; it counts once it has been OK{_why(alarm)}."
    )


def _since(alarm: AlarmFacts) -> str:
    return f" since {utc_text(alarm.since)}" if alarm.since else ""


def _why(alarm: AlarmFacts) -> str:
    return f" ({alarm.why.rstrip('.')})" if alarm.why else ""


# --- Sign-offs ------------------------------------------------------------------------------------


def _not_attested(finding: Finding) -> str:
    unsigned = Statement.of(finding)
    return (
        f'is not attested yet ("{unsigned.statement}"); to sign: '
        f"rolloutctl attest {unsigned.rollout} {finding.criterion} --note TEXT"
    )


def _signature(finding: Finding) -> str:
    signature = SignOffFacts.of(finding)
    return f"{signature.by} at {utc_text(signature.at)}: {signature.note}"


SENTENCES: Sentences = {
    FindingReason.ALARM_OK: _alarm_ok,
    FindingReason.IN_ALARM: _in_alarm,
    FindingReason.ALARM_WITHOUT_DATA: _alarm_without_data,
    FindingReason.ALARM_MISSING: _alarm_missing,
    FindingReason.ALARM_UNREAD: _alarm_unread,
    FindingReason.ALARM_IN_WARM_UP: lambda _: "is not judged during the warm-up.",
    FindingReason.ALARM_BEFORE_START: _alarm_before_start,
    FindingReason.NOT_ATTESTED: _not_attested,
    FindingReason.ATTESTED: lambda finding: f"passes: attested by {_signature(finding)}.",
    FindingReason.REFUSED: lambda finding: f"fails: refused by {_signature(finding)}.",
}
