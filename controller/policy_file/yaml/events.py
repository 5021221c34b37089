"""Parser events of a YAML text; every parser failure becomes a YamlReadError with a position."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the text; line and column begin at 1."""

    line: int
    column: int


class YamlReadError(Exception):
    """Reading cannot go on: the text is no YAML, or a limit is exceeded."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


def events(text: str) -> Iterator[Any]:
    """Yield the events of the parser. Raises YamlReadError at the first syntax error."""
    position = Position(1, 1)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            position = position_of(event.start_mark)
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = position if mark is None else position_of(mark)
        raise YamlReadError(_in_text(where, text), _syntax_message(error)) from error
    except ReaderError as error:
        before = text[: error.position]
        where = Position(before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise YamlReadError(where, message) from error
    except (
        YAMLError,
        ArithmeticError,
        AssertionError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # The parser crashes on some malformed text instead of refusing it, like "\UFFFFFFFF".
        raise YamlReadError(position, f"cannot be read as YAML: {_one_line(error)}") from error


def _syntax_message(error: MarkedYAMLError) -> str:
    problem = _one_line(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab cannot indent YAML: use spaces"
    if error.context is None or error.problem is None:
        return problem
    begin, end = error.context_mark, error.problem_mark
    elsewhere = begin is not None and end is not None and begin.line < end.line
    origin = f" that begins on line {begin.line + 1}" if begin and elsewhere else ""
    return f"{problem}, {_one_line(error.context)}{origin}"


def _in_text(position: Position, text: str) -> Position:
    """Return `position`, or the end of the last line with text where it is behind that."""
    lines = text.rstrip().split("\n")
    if position.line <= len(lines):
        return position
    return Position(len(lines), len(lines[-1]) + 1)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def position_of(mark: Any) -> Position:
    """Return where the parser's `mark` is, as editors count."""
    return Position(mark.line + 1, mark.column + 1)
