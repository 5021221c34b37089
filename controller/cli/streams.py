"""stdout and stderr, which may be closed, full, or without a reader: what is done comes first.

Whatever is printed, a terminal or a CI runner gets nothing from it that it would obey.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import click

from controller.errors import Exit
from controller.process.logging import BestEffortStream
from controller.text import escaped


class PrintableStream(BestEffortStream):
    """A stream of printable lines: anything else in them is written as an escape.

    unfiltered: the same stream for what this program means as a command: a cursor that moves, an
    annotation for GitHub.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self.unfiltered = _UnfilteredStream(self)

    def write(self, text: str) -> int:
        """Write `text` if that is possible, its lines escaped, and return its length."""
        if isinstance(text, str):
            super().write("\n".join(map(_escaped_line, text.split("\n"))))
            return len(text)
        return super().write(text)


class _UnfilteredStream:
    """The same stream, which knows what went wrong here, too; only its lines are not escaped."""

    def __init__(self, printed: PrintableStream) -> None:
        self._printed = printed

    def write(self, text: str) -> int:
        """Write `text` as it is if that is possible, and return its length."""
        return BestEffortStream.write(self._printed, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._printed, name)


def unfiltered_stream(stream: TextIO) -> TextIO:
    """Return what takes commands on `stream`; the stream itself where it filters nothing."""
    return cast("TextIO", getattr(stream, "unfiltered", stream))


def _escaped_line(text: str) -> str:
    """Return `text` escaped between its tabs, which templates and scripts have."""
    return "\t".join(map(escaped, text.split("\t")))


@contextmanager
def guarded_output() -> Iterator[BestEffortStream]:
    """Yield stdout; from here on neither stdout nor stderr raises, and neither is None."""
    _reserve_standard_descriptors()
    results, words = PrintableStream(sys.stdout), PrintableStream(sys.stderr)
    with redirect_stdout(_as_text_stream(results)), redirect_stderr(_as_text_stream(words)):
        yield results


def output_lost() -> bool:
    """Tell whether nobody gets what is printed any more: no reason to follow anything."""
    return getattr(sys.stdout, "problem", None) is not None


def final_status(results: BestEffortStream, status: int) -> int:
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


def _reserve_standard_descriptors() -> None:
    """Open what is closed of stdin, stdout and stderr.

    Whatever is opened next would get its number, and a library that writes to stderr into it.
    """
    while (place := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(place)


def _as_text_stream(stream: BestEffortStream) -> Any:
    return stream
