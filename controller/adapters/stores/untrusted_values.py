"""Parsers for stored values that may be damaged or foreign: they never raise."""

from datetime import UTC, datetime
from typing import Final, TypeAlias

from controller.core.rollout import VISIT_PRIORITY, Phase

VisitOrder: TypeAlias = tuple[bool, int, datetime, datetime, str]

LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)  # sorts after every moment


def moment_of(value: object) -> datetime | None:
    """Return the moment in `value`, an ISO 8601 text with a time zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment


def visit_order(
    rollout_id: str, *, phase: object, updated: object, created: object, damaged: bool
) -> VisitOrder:
    """Return the sort key of a rollout in the order in which a tick visits them.

    Rollbacks come first, then rollouts with canary traffic, then those that watch 0 %, then the
    succeeded; within each group the one that was saved longest ago. Damaged rollouts come last.
    Final rollouts have a group of their own because they are rarely saved: by their moment alone
    they would come first for days.
    """
    saved = moment_of(updated)
    damaged = damaged or saved is None or phase not in _PHASES
    created_at = moment_of(created) or LAST_MOMENT
    return (
        damaged,
        VISIT_PRIORITY[Phase(str(phase))] if phase in _PHASES else 0,
        saved or LAST_MOMENT,
        created_at,
        rollout_id,
    )


_PHASES: Final = frozenset(map(str, Phase))


_MOST_ID_LENGTH: Final = 100  # a name has 63 characters at most


def printable_id(rollout_id: object) -> str:
    """Return the id of a rollout as short printable text, whatever bytes it has."""
    text = rollout_id if isinstance(rollout_id, str) else repr(rollout_id)
    if len(text) > _MOST_ID_LENGTH:
        text = f"{text[:_MOST_ID_LENGTH]}... ({len(text):,} characters)"
    if text.isascii() and text.isprintable():
        return text
    escaped = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return escaped if escaped.isprintable() else ascii(escaped)[1:-1]
