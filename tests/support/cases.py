"""A table of a test: one row, one claim."""

from collections.abc import Mapping
from typing import Any

import pytest


def cases(names: str, rows: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Return a test's table: `rows` by their claims, each a tuple of the values of `names`.

    Where there is one name, a row is the value itself.
    """
    several = "," in names
    params = [pytest.param(*(row if several else (row,)), id=claim) for claim, row in rows.items()]
    return pytest.mark.parametrize(names, params)
