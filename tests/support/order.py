"""The order in which several processes run the tests."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

Test = TypeVar("Test")


def spread_out(
    tests: Sequence[Test], file_of: Callable[[Test], Hashable], waits: Callable[[Test], bool]
) -> list[Test]:
    """Return `tests` with the files that have waiting ones spread evenly among the other files.

    Each process gets a part of the tests in a row: so it has both kinds, and there is no time in
    which all of them wait and no core works. Waiting files come in reverse: those of tests/e2e wait
    longest, and what waits long at the end of a run leaves the cores idle.
    """
    files = [list(file) for _, file in groupby(tests, file_of)]
    waiting = [file for file in reversed(files) if any(map(waits, file))]
    others = [file for file in files if not any(map(waits, file))]
    placed = sorted([*_placed(waiting), *_placed(others)], key=itemgetter(0))
    return [test for _, file in placed for test in file]


def _placed(files: Sequence[list[Test]]) -> Iterator[tuple[float, list[Test]]]:
    """Yield each file with its place between 0 and 1, by the number of tests before it."""
    total, before = sum(map(len, files)), 0
    for file in files:
        yield (before + len(file) / 2) / total, file
        before += len(file)
