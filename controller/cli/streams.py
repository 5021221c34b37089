"""stdout and stderr, which may be closed, full, or without a reader: what is done comes first."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import click

from controller.errors import Exit
from controller.events import Unfailing


@contextmanager
def unfailing() -> Iterator[Unfailing]:
    """Yield stdout; from here on neither stdout nor stderr raises, and neither is None."""
    _hold_standard_places()
    results, words = Unfailing(sys.stdout), Unfailing(sys.stderr)
    with redirect_stdout(_stream(results)), redirect_stderr(_stream(words)):
        yield results


def lost() -> bool:
    """Tell whether nobody gets what is printed any more: no reason to follow anything."""
    return getattr(sys.stdout, "problem", None) is not None


def status_with(results: Unfailing, status: int) -> int:
    """Return how a command ends that ended with `status`, now that its results are written or not.

    Who stops reading, as `head` does, has seen enough. Anything else is said on stderr and ends
    with 1; that a rollback is not confirmed is worse.
    """
    results.flush()
    problem = results.problem
    if problem is None or isinstance(problem, BrokenPipeError):
        return status
    why = getattr(problem, "strerror", None) or problem
    click.echo(
        f"rolloutctl: the result was not written to stdout: {why}; what was done stays done",
        err=True,
    )
    return status if status == Exit.UNCONFIRMED else Exit.INTERNAL


def _hold_standard_places() -> None:
    """Open what is closed of stdin, stdout and stderr.

    Whatever is opened next would get its number, and a library that writes to stderr into it.
    """
    while (place := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(place)


def _stream(stream: Unfailing) -> Any:
    return stream
