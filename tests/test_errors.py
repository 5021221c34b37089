"""The tree of errors: the docstring of `controller.errors` shows the classes as they are."""

import re
from collections.abc import Iterator

import pytest

from controller import errors
from controller.errors import Exit, RolloutError

_LINE = re.compile(r"^(?P<indent> +)(?P<name>\w+Error) +(?P<status>\d+) ", re.MULTILINE)
Row = tuple[str, str, int]


def documented_errors() -> Iterator[Row]:
    """Yield name, parent and status of each error in the docstring."""
    parents: dict[int, str] = {6: RolloutError.__name__}
    for match in _LINE.finditer(errors.__doc__ or ""):
        depth = len(match["indent"])
        parents[depth + 2] = match["name"]
        yield match["name"], parents[depth], int(match["status"])


def defined_errors(base: type[RolloutError]) -> Iterator[Row]:
    """Yield name, parent and status of each subclass of `base` in `controller.errors`."""
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error.__name__, base.__name__, error.exit_status
            yield from defined_errors(error)


def test_the_docstring_shows_the_tree_of_errors() -> None:
    assert sorted(documented_errors()) == sorted(defined_errors(RolloutError))


def test_an_error_without_a_status_of_its_own_is_internal() -> None:
    assert RolloutError("x").exit_status == Exit.INTERNAL


def test_the_context_of_an_error_is_separate_from_its_message() -> None:
    error = errors.TargetError("it does not answer", code="Throttled")
    assert (str(error), error.context) == ("it does not answer", {"code": "Throttled"})


@pytest.mark.parametrize("status", list(Exit))
def test_no_status_is_reserved_by_the_shell(status: Exit) -> None:
    assert 0 <= status < 126


def test_the_code_of_an_error_is_its_name_and_of_a_foreign_one_that_of_what_it_extends() -> None:
    class ElsewhereError(errors.WriteRefusedError):
        pass

    assert errors.NoStoreError.code() == "error-no-store"
    assert ElsewhereError.code() == "error-write-refused"
