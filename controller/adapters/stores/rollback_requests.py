"""Requests for a rollback, which a role that may only lower writes for the next tick.

An item that is there is a request, whatever it says: to go back is always allowed.
"""

from typing import Final

from controller.safe_text import printable

MAX_LENGTH: Final = 500  # characters
_NO_REASON: Final = "requested in the store, without a reason"


def loaded(why: object) -> str:
    """Return the reason of a request as one line. why: what the store has, of any type."""
    text = printable(why)[:MAX_LENGTH].strip() if isinstance(why, str) else ""
    return text or _NO_REASON
