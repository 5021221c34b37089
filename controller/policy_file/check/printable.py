"""The check that each text of a policy file is one printable line, in every field.

A policy is printed on terminals, in CI logs, chats and reports. A file is checked, and a stored
snapshot is not: which characters are printable depends on the Unicode version of Python, and a
rollout has to be readable, and be rolled back, on every version. A snapshot is escaped when it is
printed.
"""

from collections.abc import Iterator, Mapping

from controller.policy_file.problem import Place, Problem
from controller.text import first_unprintable, has_workflow_command


def unprintable_texts(data: object, place: Place = ()) -> Iterator[Problem]:
    """Yield a problem for each key and each text in `data` that is not one printable line."""
    if isinstance(data, str):
        if message := _line_problem(data):
            yield Problem(place, message)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if message := _line_problem(str(key)):
                yield Problem((*place, key), message, at_key=True)
            yield from unprintable_texts(value, (*place, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from unprintable_texts(value, (*place, index))


def _line_problem(text: str) -> str:
    """Return what is wrong with `text`; empty where it is one printable line."""
    character = first_unprintable(text)
    if not character:
        return "" if not has_workflow_command(text) else "is taken for a command by GitHub Actions"
    if character != "\n":
        return f"U+{ord(character):04X} is not printable: write one line of printable characters"
    if text.index("\n") == len(text) - 1:
        return "ends with a line break: write `>-` or `|-` to leave that out"
    return "has more than one line: write one"
