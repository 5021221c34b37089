"""Rows of tables that are volume: some run by default, and the others with --deep alone."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import pytest
from _pytest.mark.structures import ParameterSet

One = TypeVar("One")
Other = TypeVar("Other")

# The stores of a test that plays on both; the table, on moto, is left to `make test`.
FILE_AND_TABLE = ["sqlite", pytest.param("dynamodb", marks=pytest.mark.slow)]


def deep_after(count: int, rows: Iterable[object]) -> list[ParameterSet]:
    """Return `rows` for parametrize; those after the first `count` are deep."""
    params = [row if isinstance(row, ParameterSet) else pytest.param(row) for row in rows]
    deep = [one._replace(marks=[*one.marks, pytest.mark.deep]) for one in params[count:]]
    return params[:count] + deep


def named_after(count: int, rows: Mapping[str, object]) -> list[ParameterSet]:
    """Return `rows` for parametrize, by their names; those after the first `count` are deep."""
    return deep_after(count, [pytest.param(row, id=name) for name, row in rows.items()])


def pairs(
    ones: Mapping[str, One], others: Mapping[str, Other], first: int | None = None
) -> list[ParameterSet]:
    """Return a row for parametrize of each of `ones` with each of `others`, which are fewer.

    By default each of `ones` runs once, and the `others` take turns; the remaining rows are deep.
    first: how many of `ones` run by default; None: all.
    """
    by_default = len(ones) if first is None else first
    return [
        pytest.param(
            one,
            other,
            marks=() if place < by_default and place % len(others) == turn else pytest.mark.deep,
            id=f"{name}-{other_name}",
        )
        for place, (name, one) in enumerate(ones.items())
        for turn, (other_name, other) in enumerate(others.items())
    ]
