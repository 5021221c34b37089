"""Whether what AWS has is what it was given: AWS adds to it, and lists things in its own order."""

from collections.abc import Mapping
from typing import Any, Final

_ORDER: Final = ("Id", "Name")  # by which the entries of a list are told apart


def differing(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the properties of `wanted` that are not like that in `there`.

    An alarm tells whom it should; it may tell others too.
    """
    told = set(wanted.get("AlarmActions", ())) <= set(there.get("AlarmActions", ()))
    return tuple(
        name
        for name, value in wanted.items()
        if not (told if name == "AlarmActions" else _says(value, there.get(name)))
    )


def _says(wanted: Any, there: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            _says(value, there.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        theirs = sorted(there or (), key=_key)
        pairs = zip(sorted(wanted, key=_key), theirs, strict=False)
        return len(wanted) == len(theirs) and all(_says(ours, one) for ours, one in pairs)
    return bool(wanted == there)


def _key(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return next((str(entry[name]) for name in _ORDER if name in entry), "")
    return str(entry)
