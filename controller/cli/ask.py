"""Questions to a person on a terminal; elsewhere they are errors that name the option."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from controller.errors import UsageError
from controller.safe_text import printable

_MAX_SHOWN: Final = 20


class Asker:
    """`Chooser` on this process's terminal. Questions go to stderr, stdout has the result alone."""

    @property
    def interactive(self) -> bool:
        """Whether stdin and stderr are a terminal."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, by its number or a part of its name.

        Raises UsageError, which lists them, where there is no terminal to ask on.
        """
        if not self.interactive:
            raise UsageError(
                f"{len(choices)} candidates fit; name the {what} with {option}:", *_listed(choices)
            )
        shown = list(choices)
        while len(shown) > 1:
            click.echo(f"Which {what}?", err=True)
            for number, line in enumerate(_listed(shown), start=1):
                click.echo(f"{number if number <= _MAX_SHOWN else '':>4}{line}", err=True)
            shown = _narrowed(shown, click.prompt("number, or a part of the name", err=True))
        return shown[0]

    def text(self, question: str, default: str | None = None) -> str:
        """Return what a person types; `default` for an empty line."""
        answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        return answer.strip()


def _listed(choices: Sequence[str]) -> list[str]:
    more = len(choices) - _MAX_SHOWN
    lines = [f"  {printable(one)}" for one in choices[:_MAX_SHOWN]]
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _narrowed(choices: list[str], answer: str) -> list[str]:
    """Return the choices that `answer` leaves; all of them where it fits none."""
    answer = answer.strip()
    if answer in choices:
        return [answer]
    if answer.isdecimal() and 1 <= int(answer) <= min(len(choices), _MAX_SHOWN):
        return [choices[int(answer) - 1]]
    return [one for one in choices if answer.lower() in one.lower()] or choices
