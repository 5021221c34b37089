"""Parsers for stored values that may be damaged or foreign: they never raise."""

from datetime import datetime
from typing import Final

from controller.safe_text import printable


def moment_of(value: object) -> datetime | None:
    """Return the moment in `value`, an ISO 8601 text with a time zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment


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


_MOST_REASON_LENGTH: Final = 500  # characters
_NO_REASON: Final = "requested in the store, without a reason"


def reason_of(why: object) -> str:
    """Return the reason of a request for a rollback as one line.

    An item that is there is a request, whatever it says: to go back is always allowed.
    """
    text = printable(why)[:_MOST_REASON_LENGTH].strip() if isinstance(why, str) else ""
    return text or _NO_REASON
