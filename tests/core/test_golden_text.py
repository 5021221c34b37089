"""What people read is as it was last accepted."""

import pytest

from tests.core import golden_text


@pytest.mark.parametrize("name", golden_text.SOURCES)
def test_every_text_is_as_it_was_accepted(name: str) -> None:
    if difference := golden_text.difference(name):
        pytest.fail(
            f"{difference}\n\nwhere that is meant: python -m tests.core.golden_text --write",
            pytrace=False,
        )
