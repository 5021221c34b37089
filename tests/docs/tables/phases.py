"""The table of phases and positions: the meaning and the facts of each, from the types."""

from dataclasses import fields
from typing import get_args

from controller.core.rollout import Position, State

_NAMES = {"phase", "kind"}  # a fact that only names the type


def phases() -> list[list[str]]:
    """Return a row for each phase and for both positions, its head first."""
    types = (*get_args(get_args(State)[0]), *get_args(get_args(Position)[0]))
    return [["state", "meaning", "facts"], *map(_row, types)]


def _row(one: type) -> list[str]:
    facts = [f"`{field.name}`" for field in fields(one) if field.name not in _NAMES]
    (name,) = (field.default for field in fields(one) if field.name in _NAMES)
    first_line = (one.__doc__ or "").splitlines()[0]
    meaning = first_line.partition(" position: ")[0]
    is_position = any(field.name == "kind" for field in fields(one))
    return [f"position `{name}`" if is_position else f"`{name}`", meaning, ", ".join(facts)]
