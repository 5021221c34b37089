"""The order of files: waiting ones are spread out, the last one first; each file in one piece."""

from dataclasses import dataclass

import pytest

from tests.support.order import spread_out


@dataclass(frozen=True)
class Named:
    """A test by the name of its file."""

    file: str


def waits(one: Named) -> bool:
    return one.file.isupper()


def order(files: str) -> str:
    """Return the files of one test for each letter, in their new order."""
    return "".join(
        one.file for one in spread_out([*map(Named, files)], lambda one: one.file, waits)
    )


@pytest.mark.parametrize(
    ("files", "spread"),
    [
        pytest.param("abcdXY", "aYbcXd", id="at the end"),
        pytest.param("XYabcd", "aYbcXd", id="at the beginning"),
        pytest.param("aaaabcXX", "aaaaXXbc", id="a file stays in one piece"),
        pytest.param("abc", "abc", id="none waits"),
        pytest.param("XY", "YX", id="all wait"),
        pytest.param("", "", id="no test"),
    ],
)
def test_files_that_wait_are_spread_among_the_others(files: str, spread: str) -> None:
    assert order(files) == spread
