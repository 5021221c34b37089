"""Immutable values: classes of fields that nothing changes after they were made.

They are structs of msgspec. To declare one takes a twentieth of what a frozen dataclass does, which
a cold start pays for each class; to make one takes a seventh, which the judge pays for each minute.
A class that computes a field after it was made is a dataclass; `dataclasses.replace` is for those.
"""

from collections.abc import Mapping
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform

import msgspec
from msgspec import Struct, field, to_builtins
from msgspec.structs import astuple

if TYPE_CHECKING:
    # msgspec's own takes any keyword argument; of this one, the names and types are checked.
    from dataclasses import replace as replace

    from msgspec import convert as convert
else:
    from msgspec.structs import replace

__all__ = ["Immutable", "convert", "field", "fields_of", "picked", "plain_data", "replace"]

_Picked = TypeVar("_Picked", bound=Struct)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Immutable(Struct, frozen=True, forbid_unknown_fields=True):
    """A value with fields that cannot be assigned: `replace` returns a changed copy."""


# What msgspec learns of a class at its first conversion is shared before it is complete: another
# thread that meets the same class then crashes the process. Reentrant, as a hook may convert.
_CONVERTING: Final = RLock()

if not TYPE_CHECKING:

    def convert(*arguments: Any, **options: Any) -> Any:
        """Return what `msgspec.convert` returns, one thread at a time.

        Half a character (`"\\ud800"` in JSON) is a ValidationError as well.
        """
        with _CONVERTING:
            try:
                return msgspec.convert(*arguments, **options)
            except UnicodeEncodeError:
                raise msgspec.ValidationError("a text is not UTF-8") from None


def fields_of(value: Struct) -> dict[str, Any]:
    """Return the fields of `value` by the names that they have in JSON."""
    return dict(zip(value.__struct_encode_fields__, astuple(value), strict=True))


def picked(kind: type[_Picked], source: object, /, **more: Any) -> _Picked:
    """Return a `kind` with `more`; its other fields are those of `source` that have their names."""
    names = [one for one in kind.__struct_fields__ if one not in more]
    return kind(**{name: getattr(source, name) for name in names}, **more)


def plain_data(value: object) -> Any:
    """Return `value`, and everything in it, as plain data for JSON.

    A number, text or table of a subclass, which another package may bring, becomes a plain one.
    Raises TypeError for anything else that JSON has no form for.
    """
    return to_builtins(value, enc_hook=_plain)


def _plain(value: object) -> object:
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")
