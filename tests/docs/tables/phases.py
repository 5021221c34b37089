"""The table of phases and positions: the meaning and the facts of each, from the types."""

from typing import get_args

from msgspec import Struct
from msgspec.structs import fields

from tests.support.core import Position, State


def phases() -> list[list[str]]:
    """Return a row for each phase and for both positions, its head first."""
    types = (*get_args(State), *get_args(Position))
    return [["state", "meaning", "facts"], *map(_row, types)]


def _row(one: type[Struct]) -> list[str]:
    facts = [f"`{field.name}`" for field in fields(one)]
    name = one.__struct_config__.tag
    first_line = (one.__doc__ or "").splitlines()[0]
    meaning = first_line.partition(" position: ")[0]
    is_position = one.__struct_config__.tag_field == "kind"
    return [f"position `{name}`" if is_position else f"`{name}`", meaning, ", ".join(facts)]
