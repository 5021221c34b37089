"""Whether the alarms are there and quiet, and whether anybody hears them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from controller.core.checks import Check, ok, warn
from controller.core.monitoring import (
    CONFIRMED,
    PENDING,
    STEPS,
    Action,
    Change,
    Found,
    Kind,
    Monitoring,
    changes,
)

_DEPLOY = "rolloutctl monitoring deploy POLICY"


def watching_checks(monitoring: Monitoring, found: Sequence[Found]) -> Iterator[Check]:
    """Yield what there is to say of the monitoring of a policy; none at all is one line."""
    mine = [one for one in found if one.owner == monitoring.policy or one.kind is Kind.SUBSCRIPTION]
    if not any(one.kind in (Kind.ALARM, Kind.DASHBOARD) for one in mine):
        yield warn("alarms", "nothing watches this policy beside rolloutctl", _DEPLOY)
        return
    current = [replace(one, differs=()) if one.differs == (STEPS,) else one for one in found]
    yield from _deployed(changes(monitoring, current))
    yield from _red([one for one in mine if one.kind is Kind.ALARM])
    yield from _heard(mine)


def _deployed(planned: Sequence[Change]) -> Iterator[Check]:
    counted = Counter(one.action for one in planned)
    there = f"{counted[Action.LEAVE]} resources are as they should be"
    due = [f"{one.action} {one.kind} {one.name}" for one in planned if one.action in _DUE]
    if due:
        yield warn("monitoring", f"{there}; due: {', '.join(due)}", _DEPLOY)
    else:
        yield ok("monitoring", there)


_DUE = (Action.CREATE, Action.CHANGE, Action.REMOVE, Action.FOREIGN)


def _red(alarms: Sequence[Found]) -> Iterator[Check]:
    red = [one.name for one in alarms if one.state == "ALARM"]
    unsure = sum(one.state == "INSUFFICIENT_DATA" for one in alarms)
    if red:
        why = "see what they say before you start, or go on"
        yield warn("alarms", f"in ALARM: {', '.join(sorted(red))}", why)
    elif alarms:
        blind = f", {unsure} of them without data" if unsure else ""
        yield ok("alarms", f"none of {len(alarms)} is in ALARM{blind}")


def _heard(found: Sequence[Found]) -> Iterator[Check]:
    if not any(one.kind is Kind.TOPIC for one in found):
        yield warn("topic", "the alarms tell nobody", f"{_DEPLOY} --email ADDRESS")
        return
    yield from heard_checks("topic", found, f"{_DEPLOY} --email ADDRESS")


def heard_checks(what: str, found: Sequence[Found], otherwise: str) -> Iterator[Check]:
    """Yield whether somebody hears a topic; otherwise: what to do where nobody does."""
    told = [one for one in found if one.kind is Kind.SUBSCRIPTION]
    waiting = [one.name for one in told if one.state == PENDING]
    if waiting:
        yield warn(
            what,
            f"not confirmed: {', '.join(sorted(waiting))}",
            "follow the link in the mail of AWS; it is good for two days, then subscribe again",
        )
    confirmed = sum(one.state == CONFIRMED for one in told)
    if confirmed:
        yield ok(what, f"{confirmed} confirmed subscription{'' if confirmed == 1 else 's'}")
    elif not waiting:
        yield warn(what, "nobody has subscribed to it", otherwise)
