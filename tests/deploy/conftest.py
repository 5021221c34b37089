"""Fixtures of the tests of the action."""

from pathlib import Path

import pytest

from tests.support.action import make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the policies of the README."""
    return make_checkout(tmp_path)
