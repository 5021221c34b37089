"""What was red at a start as a fix as JSON text, the same for every store.

A store keeps it in an item apart from the rollout, so that a role may start and not start a fix.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from controller.adapters.stores.codec import TextLimits, readable
from controller.core.judge.evidence import FixStart
from controller.core.ranges import Real
from controller.errors import StoreError
from controller.immutable import Immutable

LIMITS: Final = TextLimits(64 << 10, objects=2, lists=1, values=1_000)


class _Stored(Immutable):
    schema: Literal[1]
    red: dict[str, Real | None]


_DECODER: Final = msgspec.json.Decoder(_Stored)  # before any thread: see `convert`


def dump(fix: FixStart) -> str:
    """Return what was red as text."""
    return msgspec.json.encode(_Stored(1, dict(fix.red))).decode()


def load(rollout_id: str, text: object) -> Mapping[str, float | None]:
    """Return what `dump` wrote. Raises StoreError when the text is damaged."""
    try:
        return _DECODER.decode(readable(text, LIMITS)).red
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise StoreError(
            f"the item that allows {rollout_id} as a fix is damaged ({error}); remove it: then all "
            "its criteria gate",
            rollout=rollout_id,
        ) from error


def reading(rollout_id: str) -> str:
    """Return what a read of the item does, for the text of an error."""
    return f"read what was red before {rollout_id}"
