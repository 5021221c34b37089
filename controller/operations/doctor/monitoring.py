"""Doctor checks of the monitoring stack, its alarms, and the subscriptions of SNS topics."""

from collections.abc import Iterable, Iterator, Mapping

from controller.core.observation import AlarmReading, AlarmState
from controller.operations.checks import Check, ok, warn
from controller.ports.monitoring import Deployed, Subscription

DEPLOY = "rolloutctl monitoring deploy POLICY"


def stack_check(deployed: Deployed | None) -> Check:
    """Return the check that the stack exists, is healthy, and matches the policy."""
    if deployed is None:
        return warn(
            "monitoring", "no dashboard and no alarms are installed", f"install them: {DEPLOY}"
        )
    if not deployed.sound:
        remedy = f"see its events in the CloudFormation console; then {DEPLOY}"
        return warn("monitoring", f"its stack is {deployed.status}", remedy)
    if deployed.differing_resources:
        detail = f"its stack differs from the policy in {', '.join(deployed.differing_resources)}"
        return warn("monitoring", detail, DEPLOY)
    return ok("monitoring", f"its stack is {deployed.status} and matches the policy")


def alarms_check(readings: Mapping[str, AlarmReading]) -> Check:
    """Return the check that no alarm of the monitoring stack is in ALARM."""
    unread = {one.reason for one in readings.values() if one.state is AlarmState.UNREAD}
    if unread:
        return warn("alarms", f"not checked: {'; '.join(sorted(unread))}")
    in_alarm = sorted(name for name, one in readings.items() if one.state is AlarmState.ALARM)
    if in_alarm:
        remedy = "check them before you start or continue"
        return warn("alarms", f"in ALARM: {', '.join(in_alarm)}", remedy)
    missing = sorted(name for name, one in readings.items() if one.state is AlarmState.MISSING)
    if missing:
        return warn("alarms", f"deleted outside the stack: {', '.join(missing)}")
    without_data = sum(one.state is AlarmState.INSUFFICIENT_DATA for one in readings.values())
    caveat = f", {without_data} of them without data" if without_data else ""
    return ok("alarms", f"none of {len(readings)} is in ALARM{caveat}")


def subscription_checks(
    what: str, subscriptions: Iterable[Subscription], remedy: str
) -> Iterator[Check]:
    """Yield the checks of the subscriptions of a topic.

    remedy: what to do when there is no subscription.
    """
    subscriptions = list(subscriptions)
    unconfirmed = [one.address for one in subscriptions if not one.confirmed]
    if unconfirmed:
        yield warn(
            what,
            f"not confirmed: {', '.join(sorted(unconfirmed))}",
            "follow the link in the mail of AWS; it is good for two days, then subscribe again",
        )
    confirmed = len(subscriptions) - len(unconfirmed)
    if confirmed:
        yield ok(what, f"{confirmed} confirmed subscription{'' if confirmed == 1 else 's'}")
    elif not unconfirmed:
        yield warn(what, "it has no subscription", remedy)
