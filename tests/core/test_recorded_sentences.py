"""What people read is as it was last accepted."""

from pathlib import Path

import pytest

from tests import sentences


@pytest.mark.parametrize("test_file", sentences.test_files(), ids=lambda one: one.stem)
def test_every_text_is_as_it_was_accepted(test_file: Path) -> None:
    if difference := sentences.difference(test_file):
        where = "where that is meant: python -m tests.sentences --write"
        pytest.fail(f"{difference}\n\n{where}", pytrace=False)
