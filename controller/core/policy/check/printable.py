"""Text of a policy that is not one printable line, in whichever field it stands.

A policy is printed on terminals, in CI logs, chats and reports. This is asked of a file and not of
a stored snapshot: which characters are printable depends on the Unicode of the Python at hand, and
a rollout has to be readable, and be rolled back, on every one. What prints a snapshot escapes it.
"""

from collections.abc import Iterator, Mapping

from controller.core.policy.check.problem import Place, Problem
from controller.text import first_unprintable, has_workflow_command


def unprintable_texts(data: object, place: Place = ()) -> Iterator[Problem]:
    """Yield a problem for each key and each text in `data` that is not one printable line."""
    if isinstance(data, str):
        if wrong := _line_problem(data):
            yield Problem(place, wrong)
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if wrong := _line_problem(str(key)):
                yield Problem((*place, key), wrong, at_key=True)
            yield from unprintable_texts(value, (*place, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from unprintable_texts(value, (*place, index))


def _line_problem(text: str) -> str:
    """Return what is wrong with `text`; empty where it is one printable line."""
    wrong = first_unprintable(text)
    if not wrong:
        return "" if not has_workflow_command(text) else "is taken for a command by GitHub Actions"
    if wrong != "\n":
        return f"U+{ord(wrong):04X} is not printable: write one line of printable characters"
    if text.index("\n") == len(text) - 1:
        return "ends with a line break: write `>-` or `|-` to leave that out"
    return "has more than one line: write one"
