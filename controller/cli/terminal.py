"""Prints pages: as the lines of a pipe, or wrapped and coloured on a terminal."""

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from controller.cli import streams
from controller.render.page import Line, Page, Span, Tone, layout, line_text, plain_text

# Colours that read on a dark and on a light background; each stands beside a word that says it.
_CODES: Final = {
    Tone.TITLE: "1",
    Tone.QUIET: "2",
    Tone.GOOD: "32",
    Tone.WAITING: "33",
    Tone.BAD: "1;31",
}


def width_of_terminal(stream: TextIO) -> int | None:
    """Return the columns of the terminal behind `stream`; None where there is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def has_cursor(stream: TextIO) -> bool:
    """Tell whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def print_page(page: Page, stream: TextIO | None = None) -> None:
    """Print `page` on stdout, or on `stream`."""
    stream = stream or sys.stdout
    width = width_of_terminal(stream)
    if width is None:
        stream.write(f"{plain_text(page)}\n")
    else:
        in_colour = has_cursor(stream) and not os.environ.get("NO_COLOR")
        text = lines_text(layout(page, width), in_colour=in_colour)
        streams.unfiltered_stream(stream).write(f"{text}\n")
    stream.flush()


def lines_text(lines: Iterable[Line], *, in_colour: bool) -> str:
    """Return lines as text; in colour with the control sequences of a terminal."""
    draw = _coloured if in_colour else line_text
    return "\n".join(map(draw, lines))


def _coloured(line: Iterable[Span]) -> str:
    return "".join(
        f"\x1b[{_CODES[span.tone]}m{span.text}\x1b[0m" if span.tone in _CODES else span.text
        for span in line
    )
