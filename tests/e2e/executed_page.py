"""Pages whose commands are run in their order, and print what the page shows.

HTML comments say what happens between commands, like `72m of traffic`. Outputs are compared without
dates and times, and a line `...` stands for any text.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from typing import Final, NamedTuple

from tests.e2e.on_call import Answer

_STEP: Final = re.compile(
    r"^<!-- (?P<world>.*?) -->$|^```console\n(?P<console>.*?)^```$", re.DOTALL | re.MULTILINE
)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\b\d{2}:\d{2}\b")


class Command(NamedTuple):
    """A command line of a page, and the output below it."""

    words: list[str]
    shown: str


def differences(
    text: str, apply_comment: Callable[[str], None], run: Callable[[list[str]], Answer]
) -> str:
    """Execute a page, and return the commands that print something else than it shows, with that.

    apply_comment: do what a comment says. run: run the words of a command line.
    """
    different = []
    for step in steps(text):
        if isinstance(step, str):
            apply_comment(step)
            continue
        printed = user_output(run(step.words))
        if not _same(step.shown, printed):
            different.append(f"$ {shlex.join(step.words)}\n{printed}")
    return "\n".join(different)


def steps(text: str) -> Iterator[str | Command]:
    """Yield the comments and the commands, in the order of the page."""
    for match in _STEP.finditer(text):
        if match["world"]:
            yield match["world"]
        else:
            yield from _commands(match["console"])


def _commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Command(shlex.split(line, comments=True), shown)


def user_output(answer: Answer) -> str:
    """Return what a user reads: stdout, and then the lines of stderr that are no log."""
    messages = [line for line in answer.err.splitlines(keepends=True) if not line.startswith("{")]
    return answer.out + "".join(messages)


def _same(shown: str, printed: str) -> bool:
    shown, printed = (_MOMENT.sub("-", text) for text in (shown, printed))
    return OutputChecker().check_output(shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
