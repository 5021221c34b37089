"""Values of a store that others may have written: read without trust, and never an exception."""

from datetime import UTC, datetime
from typing import Final, TypeAlias

from controller.core.rollout import VISIT_PRIORITY, Phase

VisitOrder: TypeAlias = tuple[bool, int, datetime, datetime, str]

LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)  # sorts after every moment


def moment_of(value: object) -> datetime | None:
    """Return the moment that `value` is the text of; None when it is that of none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found


def visit_order(
    rollout_id: str, *, phase: object, updated: object, created: object, damaged: bool
) -> VisitOrder:
    """Return what sorts a rollout into the order in which a tick takes them.

    What is damaged is last. Rollbacks are first, then what has traffic to judge, then what guards
    0 %, then what has succeeded; of each, what was saved longest ago. A final rollout is not saved
    while nothing happens to it, so its moment would keep it in front for days.
    """
    saved = moment_of(updated)
    damaged = damaged or saved is None or phase not in _PHASES
    begun = moment_of(created) or LAST_MOMENT
    return (
        damaged,
        VISIT_PRIORITY[Phase(str(phase))] if phase in _PHASES else 0,
        saved or LAST_MOMENT,
        begun,
        rollout_id,
    )


_PHASES: Final = frozenset(map(str, Phase))


def printable_id(rollout_id: object) -> str:
    """Return the id of a rollout as it can be printed, whatever bytes it has."""
    text = rollout_id if isinstance(rollout_id, str) else repr(rollout_id)
    if text.isascii() and text.isprintable():
        return text
    whole = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return whole if whole.isprintable() else ascii(whole)[1:-1]
