"""The tree of errors as it is drawn, and as it is."""

import re
from collections.abc import Iterator

import pytest

from controller import errors
from controller.errors import Exit, RolloutError

_LINE = re.compile(r"^(?P<indent> +)(?P<name>\w+Error) +(?P<status>\d+) ", re.MULTILINE)
Row = tuple[str, str, int]


def drawn() -> Iterator[Row]:
    """Yield name, parent and status of each error in the drawing."""
    parents: dict[int, str] = {6: RolloutError.__name__}
    for match in _LINE.finditer(errors.__doc__ or ""):
        depth = len(match["indent"])
        parents[depth + 2] = match["name"]
        yield match["name"], parents[depth], int(match["status"])


def real(base: type[RolloutError]) -> Iterator[Row]:
    """Yield name, parent and status of each error below `base` that this module defines."""
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error.__name__, base.__name__, error.exit_status
            yield from real(error)


def test_the_drawing_is_the_tree() -> None:
    assert sorted(drawn()) == sorted(real(RolloutError))


def test_an_error_without_a_status_of_its_own_is_internal() -> None:
    assert RolloutError("x").exit_status == Exit.INTERNAL


def test_facts_travel_beside_the_message() -> None:
    error = errors.TargetError("it does not answer", code="Throttled")
    assert (str(error), error.context) == ("it does not answer", {"code": "Throttled"})


@pytest.mark.parametrize("status", list(Exit))
def test_no_status_is_one_that_a_shell_gives_itself(status: Exit) -> None:
    assert 0 <= status < 126
