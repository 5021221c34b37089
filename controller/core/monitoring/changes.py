"""What is to be done so that what is there becomes what should be there, and no more than that."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.core.monitoring.parts import Found, Kind, Monitoring


class Action(StrEnum):
    """What becomes of one resource."""

    CREATE = "create"
    CHANGE = "change"
    LEAVE = "leave"
    REMOVE = "remove"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Change:
    """One resource, what becomes of it, and why in a few words."""

    action: Action
    kind: Kind
    name: str
    why: str = ""


def changes(monitoring: Monitoring, found: Iterable[Found]) -> list[Change]:
    """Return a change for everything that should be there, and for what is there too much.

    In the order in which it is to be done. What does not carry the tag of the policy is foreign.
    """
    there = {(one.kind, one.name): one for one in found}
    planned = [
        _needed(monitoring, there.pop((kind, name), None), kind, name)
        for kind, name in _names(monitoring, there)
    ]
    return planned + [change for one in there.values() if (change := _spare(monitoring, one))]


def removals(monitoring: Monitoring, found: Iterable[Found]) -> list[Change]:
    """Return what `remove` does to all that is there: the dashboard goes first, the topic last.

    A subscription goes with its topic. What is foreign is told where a deployment would need it.
    """
    order: list[Kind] = [Kind.DASHBOARD, Kind.ALARM, Kind.TOPIC]
    there = {(one.kind, one.name): one for one in found if one.kind in order}
    needed = _names(monitoring, there)
    return [
        Change(Action.FOREIGN if why else Action.REMOVE, kind, name, why)
        for (kind, name), one in sorted(there.items(), key=lambda item: order.index(item[0][0]))
        for why in (_foreign(monitoring, one),)
        if not why or (kind, name) in needed
    ]


def _names(
    monitoring: Monitoring, there: Mapping[tuple[Kind, str], Found]
) -> list[tuple[Kind, str]]:
    """Return what should be there."""
    topic = (Kind.TOPIC, monitoring.name)
    return [
        *([topic] if tells(monitoring, there.get(topic)) else []),
        *((Kind.SUBSCRIPTION, email) for email in monitoring.emails),
        *((Kind.ALARM, alarm.name) for alarm in monitoring.alarms),
        (Kind.DASHBOARD, monitoring.name),
    ]


def tells(monitoring: Monitoring, topic: Found | None) -> bool:
    """Tell whether alarms tell a topic: one that was made once stays until it is removed."""
    return bool(monitoring.emails) or (topic is not None and not _foreign(monitoring, topic))


def _needed(monitoring: Monitoring, found: Found | None, kind: Kind, name: str) -> Change:
    if found is None:
        why = "a mail will ask to confirm it" if kind is Kind.SUBSCRIPTION else ""
        return Change(Action.CREATE, kind, name, why)
    if kind is Kind.SUBSCRIPTION:
        return Change(Action.LEAVE, kind, name, found.state)
    if why := _foreign(monitoring, found):
        return Change(Action.FOREIGN, kind, name, why)
    if found.differs:
        return Change(Action.CHANGE, kind, name, f"differs in {', '.join(found.differs)}")
    return Change(Action.LEAVE, kind, name)


def _spare(monitoring: Monitoring, found: Found) -> Change | None:
    """Return what becomes of something that nobody asked for; None: it is nobody's business."""
    if found.kind is Kind.SUBSCRIPTION:
        return Change(Action.LEAVE, found.kind, found.name, found.state)
    if _foreign(monitoring, found):
        return None
    if found.kind is Kind.ALARM and found.name in monitoring.unknown:
        return Change(Action.LEAVE, found.kind, found.name, "its baseline is not known here")
    return Change(Action.REMOVE, found.kind, found.name, "the policy asks for it no longer")


def _foreign(monitoring: Monitoring, found: Found) -> str:
    """Return why something is not ours to change; empty when it is."""
    if found.stack:
        return f"made by the CloudFormation stack {found.stack}: change it there"
    if found.owner == monitoring.policy:
        return ""
    if found.owner:
        return f"it is of the policy {found.owner}"
    return "somebody else made it: it has no tag of ours"


def refused(planned: Iterable[Change]) -> Iterator[Change]:
    """Yield what keeps a deployment from being begun."""
    return (one for one in planned if one.action is Action.FOREIGN)
