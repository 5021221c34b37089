"""Immutable values: classes of fields that nothing changes after they were made.

They are structs of msgspec, which cost a tail of what frozen dataclasses do: to declare, which a
cold start pays for each class, and to make, which the judge pays for each minute.
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
