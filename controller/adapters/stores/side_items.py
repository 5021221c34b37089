"""What a store keeps beside its rollouts: the list of recipients, fixes, requests of a rollback.

The texts are the same for every store. A fix is kept in an item apart from its rollout, so that a
role may start rollouts and not start a fix. Parsers of values that may be foreign never raise.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from controller.adapters.stores.codec import TextLimits, readable
from controller.core.judge.evidence import FixStart
from controller.core.message import RecipientList
from controller.core.units import Real
from controller.errors import StoreError
from controller.immutable import Immutable
from controller.safe_text import printable

# About 2,500 ARNs; an item of DynamoDB takes 400 KB.
RECIPIENT_LIMITS: Final = TextLimits(256 << 10, objects=2, lists=5_000, values=20_000)
FIX_LIMITS: Final = TextLimits(64 << 10, objects=2, lists=1, values=1_000)

# What is done with the list, for the text of an error.
READ_RECIPIENTS: Final = "read the list of recipients"
WRITE_RECIPIENTS: Final = "write the list of recipients"


class _Recipients(Immutable):
    schema: Literal[1]
    allowed: dict[str, tuple[str, ...]]


class _Fix(Immutable):
    schema: Literal[1]
    red: dict[str, Real | None]


# Before any thread: see `convert`.
_RECIPIENTS: Final = msgspec.json.Decoder(_Recipients)
_FIX: Final = msgspec.json.Decoder(_Fix)
_DAMAGE: Final = (ValueError, msgspec.MsgspecError, RecursionError)


def dump_recipients(recipients: RecipientList) -> str:
    """Return the list as text. Raises StoreError for one that would be refused when it is read."""
    encoded = msgspec.json.encode(_Recipients(1, dict(recipients.allowed))).decode()
    if problem := RECIPIENT_LIMITS.excess(encoded):
        raise StoreError(f"the list of recipients is too large ({problem}); nothing was written")
    return encoded


def load_recipients(text: object) -> RecipientList:
    """Return the list that was dumped. Raises StoreError when the text is damaged."""
    try:
        return RecipientList(_RECIPIENTS.decode(readable(text, RECIPIENT_LIMITS)).allowed)
    except _DAMAGE as error:
        raise StoreError(
            f"the list of recipients is damaged ({error}); set it again, or remove it: "
            "rolloutctl store recipients --set FILE, or --remove"
        ) from error


def reading_fix(rollout_id: str) -> str:
    """Return what a read of the item of a fix does, for the text of an error."""
    return f"read what was red before {rollout_id}"


def dump_fix(fix: FixStart) -> str:
    """Return what was red at a start as a fix as text."""
    return msgspec.json.encode(_Fix(1, dict(fix.red))).decode()


def load_fix(rollout_id: str, text: object) -> Mapping[str, float | None]:
    """Return what was red, as it was dumped. Raises StoreError when the text is damaged."""
    try:
        return _FIX.decode(readable(text, FIX_LIMITS)).red
    except _DAMAGE as error:
        raise StoreError(
            f"the item that allows {rollout_id} as a fix is damaged ({error}); remove it: then all "
            "its criteria gate",
            rollout=rollout_id,
        ) from error


# --- Values that may be foreign -------------------------------------------------------------------


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
