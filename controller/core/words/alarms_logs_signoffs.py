"""Sentences of CloudWatch alarms, of log events, and of what operators sign off."""

from controller.core.judge import facts
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import count_text, utc_text
from controller.core.words.shared_phrases import Sentences, limit_text, since_text

# --- Alarms ---------------------------------------------------------------------------------------


def _alarm(finding: Finding, state: str) -> str:
    alarm = facts.AlarmFacts.of(finding)
    since = f" since {utc_text(alarm.since)}" if alarm.since else ""
    return f"alarm {alarm.alarm} is {state}{since}"


def _why(finding: Finding) -> str:
    why = facts.AlarmFacts.of(finding).why
    return f" ({why.rstrip('.')})" if why else ""


# --- Sign-offs ------------------------------------------------------------------------------------


def _not_attested(finding: Finding) -> str:
    unsigned = facts.Statement.of(finding)
    return (
        f'is not attested yet ("{unsigned.statement}"); to sign: '
        f"rolloutctl attest {unsigned.rollout} {finding.criterion} --note TEXT"
    )


def _signature(finding: Finding) -> str:
    signature = facts.SignOffFacts.of(finding)
    return f"{signature.by} at {utc_text(signature.at)}: {signature.note}"


# --- Log events -----------------------------------------------------------------------------------


def _events_fit(finding: Finding) -> str:
    control = f"; {_control(finding)}" if facts.LogFacts.of(finding).control_events else ""
    return f"passes: {_event(finding)}{control}."


def _no_control_event(finding: Finding) -> str:
    log = facts.LogFacts.of(finding)
    return (
        f"has no data: its control event {log.control} was not logged in {log.group} in the newest "
        f"{log.control_window}, so events may be missing."
    )


def _event(finding: Finding) -> str:
    log, amount, bound = facts.LogFacts.of(finding), finding.measured or 0.0, finding.bound
    at_least = "" if amount <= bound else "at least "
    logged = f"was logged {at_least}{count_text(amount, 'time')}" if amount else "was not logged"
    limit = limit_text(log.side, count_text(bound, "time")) if bound else "none allowed"
    return f"event {log.event} {logged} in {log.group} {since_text(finding)}, {limit}"


def _control(finding: Finding) -> str:
    log = facts.LogFacts.of(finding)
    at_least = "at least " if log.control_events >= log.control_limit else ""
    times = f"{at_least}{count_text(log.control_events, 'time')}"
    return f"event {log.control} was logged {times} in the newest {log.control_window}"


SENTENCES: Sentences = {
    FindingReason.ALARM_OK: lambda finding: f"passes: {_alarm(finding, 'OK')}.",
    FindingReason.IN_ALARM: lambda finding: f"fails: {_alarm(finding, 'in ALARM')}{_why(finding)}.",
    FindingReason.ALARM_WITHOUT_DATA: lambda finding: (
        f"has no data: {_alarm(finding, 'in INSUFFICIENT_DATA')}."
    ),
    FindingReason.ALARM_MISSING: lambda finding: (
        f"cannot be judged: there is no alarm {facts.AlarmFacts.of(finding).alarm} in the account "
        "and region of the rollout; create it, or start again with a policy that names another."
    ),
    FindingReason.ALARM_UNREAD: lambda finding: (
        f"cannot be judged: alarm {facts.AlarmFacts.of(finding).alarm} was not read{_why(finding)}."
    ),
    FindingReason.ALARM_IN_WARM_UP: lambda _: "is not judged during the warm-up.",
    FindingReason.ALARM_BEFORE_START: lambda finding: (
        f"cannot be judged: {_alarm(finding, 'in ALARM')}, already before the start; it counts "
        f"once it has been OK{_why(finding)}."
    ),
    FindingReason.NOT_ATTESTED: _not_attested,
    FindingReason.ATTESTED: lambda finding: f"passes: attested by {_signature(finding)}.",
    FindingReason.REFUSED: lambda finding: f"fails: refused by {_signature(finding)}.",
    FindingReason.EVENT_LOGGED: lambda finding: f"fails: {_event(finding)}.",
    FindingReason.NO_MINUTE_YET: lambda _: (
        "is not judged yet: its first minute of log events is not final yet."
    ),
    FindingReason.LOG_UNREAD: lambda finding: (
        f"cannot be judged: {facts.UnreadLog.of(finding).message or 'its log was not read'}."
    ),
    FindingReason.EVENTS_FIT: _events_fit,
    FindingReason.TOO_FEW_EVENTS: lambda finding: (
        f"is undecided: {_event(finding)}; {_control(finding)}."
    ),
    FindingReason.LOG_BACKLOG: lambda finding: (
        f"is not judged yet: {facts.LogFacts.of(finding).group} has been searched up to "
        f"{utc_text(facts.LogBacklog.of(finding).searched_until)} only; the next ticks search "
        "the rest."
    ),
    FindingReason.NO_CONTROL_EVENT: _no_control_event,
}
