"""Immutable values: classes of fields that nothing changes after they were made.

They are structs of msgspec. To declare one takes a twentieth of what a frozen dataclass does, which
a cold start pays for each class; to make one takes a seventh, which the judge pays for each minute.
A class that computes a field after it was made is a dataclass; `dataclasses.replace` is for those.
"""

from typing import TYPE_CHECKING, dataclass_transform

from msgspec import Struct, field

if TYPE_CHECKING:
    # msgspec's own takes any keyword argument; of this one, the names and types are checked.
    from dataclasses import replace as replace
else:
    from msgspec.structs import replace

__all__ = ["Immutable", "field", "replace"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Immutable(Struct, frozen=True, forbid_unknown_fields=True):
    """A value with fields that cannot be assigned: `replace` returns a changed copy."""
