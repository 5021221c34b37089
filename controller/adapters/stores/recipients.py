"""The list of recipients as JSON text, the same for every store."""

from typing import Final, Literal

import msgspec

from controller.adapters.stores.codec import TextLimits, readable
from controller.core.recipients import RecipientList
from controller.errors import StoreError
from controller.immutable import Immutable

# About 2,500 ARNs; an item of DynamoDB takes 400 KB.
LIMITS: Final = TextLimits(256 << 10, objects=2, lists=5_000, values=20_000)

READ: Final = "read the list of recipients"
WRITE: Final = "write the list of recipients"


class _Stored(Immutable):
    schema: Literal[1]
    allowed: dict[str, tuple[str, ...]]


_DECODER: Final = msgspec.json.Decoder(_Stored)  # before any thread: see `convert`


def dump(recipients: RecipientList) -> str:
    """Return the list as text. Raises StoreError for one that `load` would refuse."""
    encoded = msgspec.json.encode(_Stored(1, dict(recipients.allowed))).decode()
    if problem := LIMITS.excess(encoded):
        raise StoreError(f"the list of recipients is too large ({problem}); nothing was written")
    return encoded


def load(text: object) -> RecipientList:
    """Return the list that `dump` wrote. Raises StoreError when the text is damaged."""
    try:
        stored = _DECODER.decode(readable(text, LIMITS))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise StoreError(
            f"the list of recipients is damaged ({error}); set it again, or remove it: "
            "rolloutctl store recipients --set FILE, or --remove"
        ) from error
    return RecipientList(stored.allowed)
