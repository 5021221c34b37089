"""Sentences of what is no metric: alarms, sign-offs and log events."""

from collections.abc import Mapping
from typing import Final

from controller.core.judge.findings import Finding, FindingReason
from controller.core.judge.number_and_time_text import utc_text
from controller.core.judge.sentences.shared_phrases import Facts, Sentence, since_text
from controller.core.units import count_text

# --- Alarms and attestations ----------------------------------------------------------------------


def _alarm_ok(finding: Finding, facts: Facts) -> str:
    return f"passes: alarm {facts['alarm']} is OK{_alarm_since(facts)}."


def _in_alarm(finding: Finding, facts: Facts) -> str:
    since, why = _alarm_since(facts), _alarm_why(facts)
    return f"fails: alarm {facts['alarm']} is in ALARM{since}{why}."


def _alarm_without_data(finding: Finding, facts: Facts) -> str:
    return f"has no data: alarm {facts['alarm']} is in INSUFFICIENT_DATA{_alarm_since(facts)}."


def _alarm_missing(finding: Finding, facts: Facts) -> str:
    return (
        f"cannot be judged: there is no alarm {facts['alarm']} in the account "
        "and region of the rollout; create it, or start again with a policy that names another."
    )


def _alarm_unread(finding: Finding, facts: Facts) -> str:
    why = _alarm_why(facts)
    return f"cannot be judged: alarm {facts['alarm']} was not read{why}."


def _alarm_in_warm_up(finding: Finding, facts: Facts) -> str:
    return "is not judged during the warm-up."


def _alarm_before_start(finding: Finding, facts: Facts) -> str:
    return (
        f"cannot be judged: alarm {facts['alarm']} is in ALARM{_alarm_since(facts)}, "
        f"already before the start; it counts once it has been OK{_alarm_why(facts)}."
    )


def _alarm_since(facts: Facts) -> str:
    return f" since {utc_text(facts['since'])}" if facts["since"] else ""


def _alarm_why(facts: Facts) -> str:
    return f" ({facts['why'].rstrip('.')})" if facts["why"] else ""


def _not_attested(finding: Finding, facts: Facts) -> str:
    return (
        f'is not attested yet ("{facts["statement"]}"); to sign: '
        f"rolloutctl attest {facts['rollout']} {finding.criterion} --note TEXT"
    )


def _attested(finding: Finding, facts: Facts) -> str:
    return f"passes: attested by {_signature(facts)}."


def _refused(finding: Finding, facts: Facts) -> str:
    return f"fails: refused by {_signature(facts)}."


def _signature(facts: Facts) -> str:
    return f"{facts['by']} at {utc_text(facts['at'])}: {facts['note']}"


# --- Log events -----------------------------------------------------------------------------------


def _event_logged(finding: Finding, facts: Facts) -> str:
    return f"fails: {_event(finding, facts)}."


def _no_minute_yet(finding: Finding, facts: Facts) -> str:
    return "is not judged yet: its first minute of log events is not final yet."


def _log_unread(finding: Finding, facts: Facts) -> str:
    return f"cannot be judged: {facts['message'] or 'its log was not read'}."


def _events_fit(finding: Finding, facts: Facts) -> str:
    control = f"; {_control(facts)}" if facts["control_events"] else ""
    return f"passes: {_event(finding, facts)}{control}."


def _too_few_events(finding: Finding, facts: Facts) -> str:
    return f"is undecided: {_event(finding, facts)}; {_control(facts)}."


def _log_backlog(finding: Finding, facts: Facts) -> str:
    return (
        f"is not judged yet: {facts['group']} has been searched up to "
        f"{utc_text(facts['searched_until'])} only; the next ticks search the rest."
    )


def _no_control_event(finding: Finding, facts: Facts) -> str:
    return (
        f"has no data: its control event {facts['control']} was not logged in "
        f"{facts['group']} in the newest {facts['control_window']}, so events may be missing."
    )


def _event(finding: Finding, facts: Facts) -> str:
    amount, bound = finding.measured or 0.0, finding.bound
    at_least = "" if amount <= bound else "at least "
    logged = f"was logged {at_least}{count_text(amount, 'time')}" if amount else "was not logged"
    word = "allowed" if facts["side"] == "at most" else "required"
    limit = f"{facts['side']} {count_text(bound, 'time')} {word}" if bound else "none allowed"
    return f"event {facts['event']} {logged} in {facts['group']} {since_text(finding)}, {limit}"


def _control(facts: Facts) -> str:
    events = facts["control_events"]
    times = f"{'at least ' if events >= facts['control_limit'] else ''}{count_text(events, 'time')}"
    return f"event {facts['control']} was logged {times} in the newest {facts['control_window']}"


SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.ALARM_OK: _alarm_ok,
    FindingReason.IN_ALARM: _in_alarm,
    FindingReason.ALARM_WITHOUT_DATA: _alarm_without_data,
    FindingReason.ALARM_MISSING: _alarm_missing,
    FindingReason.ALARM_UNREAD: _alarm_unread,
    FindingReason.ALARM_IN_WARM_UP: _alarm_in_warm_up,
    FindingReason.ALARM_BEFORE_START: _alarm_before_start,
    FindingReason.NOT_ATTESTED: _not_attested,
    FindingReason.ATTESTED: _attested,
    FindingReason.REFUSED: _refused,
    FindingReason.EVENT_LOGGED: _event_logged,
    FindingReason.NO_MINUTE_YET: _no_minute_yet,
    FindingReason.LOG_UNREAD: _log_unread,
    FindingReason.EVENTS_FIT: _events_fit,
    FindingReason.TOO_FEW_EVENTS: _too_few_events,
    FindingReason.LOG_BACKLOG: _log_backlog,
    FindingReason.NO_CONTROL_EVENT: _no_control_event,
}
