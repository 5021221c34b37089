"""Whether the stack of `monitoring` is there, its alarms are quiet, and topics have subscribers."""

from collections.abc import Iterable, Iterator, Mapping

from controller.core.checks import Check, ok, warn
from controller.core.observation import AlarmReading, AlarmState
from controller.ports.monitoring import Deployed, Subscription

DEPLOY = "rolloutctl monitoring deploy POLICY"


def stack_check(deployed: Deployed | None) -> Check:
    """Return whether the stack is there, sound, and what a deployment would make now."""
    if deployed is None:
        return warn("monitoring", "no dashboard and no alarms are installed", DEPLOY)
    if not deployed.sound:
        remedy = f"see its events in the console of CloudFormation; then {DEPLOY}"
        return warn("monitoring", f"its stack is {deployed.status}", remedy)
    if deployed.differing:
        seen = f"its stack differs from the policy in {', '.join(deployed.differing)}"
        return warn("monitoring", seen, DEPLOY)
    return ok("monitoring", f"its stack is {deployed.status}, and as the policy asks")


def alarms_check(readings: Mapping[str, AlarmReading]) -> Check:
    """Return whether the alarms of `monitoring` are quiet."""
    unread = {one.reason for one in readings.values() if one.state is AlarmState.UNREAD}
    if unread:
        return warn("alarms", f"not checked: {'; '.join(sorted(unread))}")
    red = sorted(name for name, one in readings.items() if one.state is AlarmState.ALARM)
    if red:
        why = "see what they say before you start, or go on"
        return warn("alarms", f"in ALARM: {', '.join(red)}", why)
    gone = sorted(name for name, one in readings.items() if one.state is AlarmState.MISSING)
    if gone:
        return warn("alarms", f"deleted outside the stack: {', '.join(gone)}")
    unsure = sum(one.state is AlarmState.INSUFFICIENT_DATA for one in readings.values())
    blind = f", {unsure} of them without data" if unsure else ""
    return ok("alarms", f"none of {len(readings)} is in ALARM{blind}")


def subscription_checks(what: str, found: Iterable[Subscription], remedy: str) -> Iterator[Check]:
    """Yield whether somebody hears a topic; remedy: what to do where nobody does."""
    found = list(found)
    waiting = [one.address for one in found if not one.confirmed]
    if waiting:
        yield warn(
            what,
            f"not confirmed: {', '.join(sorted(waiting))}",
            "follow the link in the mail of AWS; it is good for two days, then subscribe again",
        )
    confirmed = len(found) - len(waiting)
    if confirmed:
        yield ok(what, f"{confirmed} confirmed subscription{'' if confirmed == 1 else 's'}")
    elif not waiting:
        yield warn(what, "it has no subscription", remedy)
