"""What becomes of monitoring, as lines and as data."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from controller.core.monitoring import Action, Change, Kind, Monitoring, Widget

_SIGNS: Final = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.LEAVE: "=",
    Action.REMOVE: "-",
    Action.FOREIGN: "!",
}
_TO_DO: Final = {
    Action.CREATE: "to create",
    Action.CHANGE: "to change",
    Action.LEAVE: "as it should be",
    Action.REMOVE: "to remove",
    Action.FOREIGN: "foreign: nothing will be deployed",
}
_DONE: Final = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    Action.LEAVE: "left as they are",
    Action.REMOVE: "removed",
    Action.FOREIGN: "foreign and left alone",
}


def plan_lines(monitoring: Monitoring, changes: Sequence[Change]) -> Iterator[str]:
    """Yield a line for each resource, with what it shows or tells, and a sum."""
    told = described(monitoring)
    for change in changes:
        yield change_line(change)
        if change.action in (Action.CREATE, Action.CHANGE):
            yield from (f"      {line}" for line in told.get((change.kind, change.name), ()))
    yield from (f"note: {note}" for note in monitoring.notes)
    counted = Counter(one.action for one in changes)
    yield ", ".join(f"{counted[one]} {_TO_DO[one]}" for one in _TO_DO if counted[one])


def change_line(change: Change) -> str:
    """Return what becomes of one resource, in one line."""
    why = f"  ({change.why})" if change.why else ""
    return f"{_SIGNS[change.action]} {change.action:<7}  {change.kind} {change.name}{why}"


def done_line(changes: Iterable[Change]) -> str:
    """Return what was done, with how many resources."""
    counted = Counter(one.action for one in changes)
    return ", ".join(f"{counted[one]} {_DONE[one]}" for one in _DONE if counted[one]) or "nothing"


def described(monitoring: Monitoring) -> dict[tuple[Kind, str], list[str]]:
    """Return what each resource shows or tells, in lines."""
    dashboard = monitoring.dashboard
    graphs = [f"{one.title}: {'; '.join(_bounds(one)) or 'no bound'}" for one in dashboard.widgets]
    moments = [f"{one.at:%Y-%m-%d %H:%M} UTC  {one.label}" for one in dashboard.moments]
    return {
        **{(Kind.ALARM, one.name): [one.text] for one in monitoring.alarms},
        (Kind.DASHBOARD, dashboard.name): graphs + moments,
    }


def _bounds(widget: Widget) -> list[str]:
    """Return the bounds of a graph: those that move with another path, and those that do not."""
    moving = [line.label for line in widget.lines if line.bound]
    return [*moving, *(bound.label for bound in widget.bounds)]


def plan_data(monitoring: Monitoring, changes: Iterable[Change]) -> dict[str, Any]:
    """Return the changes as plain JSON data, with what the alarms and graphs are about."""
    return {
        "policy": monitoring.policy,
        "changes": [change_data(one) for one in changes],
        "alarms": [
            {
                "name": one.name,
                "text": one.text,
                "threshold": one.threshold,
                "periods": one.periods,
                "missing": one.missing,
            }
            for one in monitoring.alarms
        ],
        "graphs": [
            {"title": one.title, "bounds": _bounds(one)} for one in monitoring.dashboard.widgets
        ],
        "moments": [
            {"at": one.at.isoformat(), "label": one.label} for one in monitoring.dashboard.moments
        ],
        "notes": list(monitoring.notes),
    }


def change_data(change: Change) -> dict[str, str]:
    """Return what becomes of one resource as plain JSON data."""
    return {
        "action": str(change.action),
        "kind": str(change.kind),
        "name": change.name,
        "why": change.why,
    }
