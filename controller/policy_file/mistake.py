"""One mistake in a document, its place there, and which name was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeAlias

from controller.immutable import Immutable

# Keys and indexes on the way down: ("steps", 1, "weight").
Place: TypeAlias = tuple[str | int, ...]


class PolicyMistake(Immutable):
    """One mistake: where in the document, and what is wrong with it.

    at_key: the key at `place` is the mistake, not its value. meant: the name that was probably
    meant, which is then not missing and not unused.
    """

    place: Place
    message: str
    at_key: bool = False
    meant: str = ""


# Longest part of a key that a message shows, in characters; no name in a policy is longer.
_MAX_KEY_LENGTH = 80


def place_text(place: Place) -> str:
    """Return `place` as people write it: `steps[1].weight`; empty for the whole document."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            part = part if len(part) <= _MAX_KEY_LENGTH else f"{part[:_MAX_KEY_LENGTH]}..."
            name = part if part.replace("-", "").replace(".", "").isidentifier() else repr(part)
            text += f".{name}" if text else name
    return text


# Known names that a message lists where none is near.
_MAX_LISTED_NAMES = 24


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?` for the nearest known name, or the list of all of them."""
    names = list(known)
    if near := nearest(name, names):
        return f"did you mean {near!r}?"
    listed = ", ".join(names[:_MAX_LISTED_NAMES]) or "none"
    return f"known: {listed}" + (" ..." if len(names) > _MAX_LISTED_NAMES else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the nearest of the known names; empty where none is near."""
    return next(iter(get_close_matches(name, known, n=1)), "")
