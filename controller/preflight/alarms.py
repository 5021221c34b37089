"""Whether the alarms of a policy are there and not red, before anything moves."""

from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import Alarm, Policy, alarm_name
from controller.core.units import at, clock_text
from controller.runner import Runner


def alarm_findings(
    runner: Runner, policy: Policy, *, adopt: bool = False
) -> tuple[list[str], list[str]]:
    """Return a line for each alarm that keeps a start from making sense, and for each doubt.

    One that is red already would be blamed on the rollout, and one that is not there never says
    anything. Where the criterion only reports, both are told and keep nobody.
    """
    criteria = {name: one for name, one in policy.criteria.items() if isinstance(one, Alarm)}
    if not criteria:
        return [], []
    readings = runner.looking.alarms_now([one.alarm for one in criteria.values()])
    when = "" if adopt else ", before any traffic moved"
    refusals, doubts = list[str](), list[str]()
    for name, one in criteria.items():
        text, fatal = _wrong(name, alarm_name(one.alarm), readings[one.alarm], when)
        if text:
            (refusals if fatal and one.gating else doubts).append(text)
    return refusals, doubts


def _wrong(name: str, alarm: str, seen: AlarmReading, when: str) -> tuple[str, bool]:
    """Return what is wrong with an alarm, and whether a start makes no sense then.

    when: what is known of a red one; empty where the canary may be what made it red.
    """
    match seen.state:
        case AlarmState.OK:
            return "", False
        case AlarmState.ALARM:
            since = f" since {clock_text(at(seen.since))}" if seen.since else ""
            why = f" ({seen.reason})" if seen.reason else ""
            text = f"{name}: {alarm} is in ALARM already{since}{when}{why}"
            return text, True
        case AlarmState.INSUFFICIENT_DATA:
            return f"{name}: {alarm} has too few datapoints to be OK or not, so far", False
        case AlarmState.MISSING:
            text = (
                f"{name}: there is no alarm {alarm} in the account and region of these credentials"
            )
            return text, True
        case AlarmState.UNREAD:
            return f"{name}: {alarm} was not read: {seen.reason}", True
