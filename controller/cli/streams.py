"""stdout and stderr of a command: safe to write to, and pages and messages on them.

Both may be closed, full, or without a reader: a failed write does not stop the command. Control
characters are escaped, so that neither a terminal nor a CI runner executes anything that is
printed. A terminal gets pages that are wrapped and coloured, with the reader's time beside UTC; a
pipe gets stable lines. A line that says how far a command is, is erased before anything else is
printed.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from itertools import groupby
from types import TracebackType
from typing import Any, Final, Self, TextIO, cast

from controller.errors import Exit
from controller.immutable import replace
from controller.process.logging import BestEffortStream
from controller.render.page import (
    Block,
    Line,
    Page,
    PageTable,
    TextSpan,
    Tone,
    layout,
    line_text,
    lines_page,
    paragraph,
    plain_text,
)
from controller.safe_text import escaped_lines, printable, truncate

# Colours that read on a dark and on a light background; each stands beside a word that says it.
_CODES: Final = {
    Tone.TITLE: "1",
    Tone.ACTIVE: "1;36",
    Tone.QUIET: "2",
    Tone.GOOD: "32",
    Tone.WAITING: "33",
    Tone.BAD: "1;31",
}
# What erases the progress lines that are on the terminal now.
_erase_progress: Final[list[Callable[[], None]]] = []


class PrintableStream(BestEffortStream):
    """A text stream that writes unprintable characters as escapes.

    unfiltered: the same stream without escapes, for rolloutctl's own control sequences: cursor
    moves and GitHub annotations.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self.unfiltered = _UnfilteredStream(self)

    def write(self, text: str) -> int:
        """Write `text` with escapes, if that is possible, and return its length."""
        if isinstance(text, str):
            # Templates and scripts contain tabs.
            super().write("\t".join(map(escaped_lines, text.split("\t"))))
            return len(text)
        return super().write(text)


class _UnfilteredStream:
    """The same stream without escapes; a failed write is recorded there."""

    def __init__(self, stream: PrintableStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` unchanged, if that is possible, and return its length."""
        return BestEffortStream.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def print_page(page: Page, stream: TextIO | None = None) -> None:
    """Print `page` on stdout, or on `stream`.

    It goes above a live view: click.echo would write into the view.
    """
    stream = stream or sys.stdout
    for erase in _erase_progress:
        erase()
    if stream.isatty():
        in_colour = has_cursor(stream) and not os.environ.get("NO_COLOR")
        lines = layout(page, shutil.get_terminal_size().columns)
        unfiltered_stream(stream).write(f"{lines_text(lines, in_colour=in_colour)}\n")
    else:
        stream.write(f"{plain_text(page)}\n")
    stream.flush()


def localized(page: Page) -> Page:
    """Return `page` with the local time beside UTC, where stdout is a terminal."""
    return with_local_times(page, datetime.astimezone) if sys.stdout.isatty() else page


def message(text: str, tone: Tone = Tone.PLAIN) -> None:
    """Print `text` on stderr as one line of rolloutctl."""
    print_page([paragraph(f"rolloutctl: {text}", tone)], sys.stderr)


def note(text: str) -> None:
    """Print a note on stderr."""
    message(f"note: {text}")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    message(f"warning: {text}", Tone.WAITING)


def error(text: str, code: str = "") -> None:
    """Print an error on stderr: its first line with its code, and its details below."""
    first, *details = text.split("\n")
    pointer = f" (docs/troubleshooting.md#{code})" if code else ""
    head = paragraph(f"rolloutctl: {first}{pointer}", Tone.BAD)
    print_page([head, *lines_page(details)], sys.stderr)


def has_cursor(stream: TextIO) -> bool:
    """Tell whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def lines_text(lines: Iterable[Line], *, in_colour: bool) -> str:
    """Return lines as text; in colour with the control sequences of a terminal."""

    def coloured(line: Line) -> str:
        parts = ((tone, line_text(spans)) for tone, spans in groupby(line, lambda span: span.tone))
        return "".join(
            f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if tone in _CODES else text for tone, text in parts
        )

    return "\n".join(map(coloured if in_colour else line_text, lines))


def unfiltered_stream(stream: TextIO) -> TextIO:
    """Return `stream` without escapes; the stream itself where it does not escape.

    A live view stands in front of stderr: what is written there goes above the view.
    """
    return cast("TextIO", stream.unfiltered if isinstance(stream, PrintableStream) else stream)


@contextmanager
def guarded_output() -> Iterator[BestEffortStream]:
    """Yield stdout; within the context stdout and stderr never raise, and neither is None."""
    # The closed ones of stdin, stdout and stderr are opened on the null device: otherwise the next
    # opened file, such as the store, gets their number, and a library that writes to stderr writes
    # into that file.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    results, messages = PrintableStream(sys.stdout), PrintableStream(sys.stderr)
    with redirect_stdout(cast("TextIO", results)), redirect_stderr(cast("TextIO", messages)):
        yield results


def output_lost() -> bool:
    """Tell whether a write to stdout failed: then there is no reader to follow anything for."""
    return getattr(sys.stdout, "problem", None) is not None


def final_status(results: BestEffortStream, status: int) -> int:
    """Return the exit status of a command, given its own `status` and whether stdout was written.

    A pipe that its reader closed, as `head` does, is no error. Any other failed write is reported
    on stderr and ends with 1, unless `status` says that a rollback is unconfirmed: that is worse.
    """
    results.flush()
    problem = results.problem
    if problem is None or isinstance(problem, BrokenPipeError):
        return status
    why = getattr(problem, "strerror", None) or problem
    message(f"the result was not written to stdout: {why}; what was done stays done", Tone.BAD)
    return status if status == Exit.UNCONFIRMED else Exit.INTERNAL


# --- Progress -------------------------------------------------------------------------------------

ERASE_LINE: Final = "\r\x1b[2K"


class Progress:
    """A progress line on stderr; none where that is no terminal with a cursor, or not `wanted`."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._visible = wanted and has_cursor(sys.stderr)
        self._shown = False

    def __enter__(self) -> Self:
        _erase_progress.append(self.erase)
        return self

    def show(self, text: str) -> None:
        """Show `text` instead of the last one, cut where the terminal ends."""
        if self._visible:
            columns = shutil.get_terminal_size().columns - 1
            self._draw(f"{ERASE_LINE}{truncate(printable(text), columns)}")
            self._shown = True

    def erase(self) -> None:
        """Erase the line, so that something else can be printed."""
        if self._shown:
            self._draw(ERASE_LINE)
            self._shown = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.erase()
        _erase_progress.remove(self.erase)

    @staticmethod
    def _draw(text: str) -> None:
        stream = unfiltered_stream(sys.stderr)
        stream.write(text)
        stream.flush()


_UTC: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}) UTC")


def with_local_times(page: Page, local: Callable[[datetime], datetime]) -> Page:
    """Return `page` with the local time behind each time in UTC: `14:05 UTC (15:05 CET)`.

    local: returns a moment in another zone. Where that is UTC at that time, nothing is added.
    """

    def added(match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        there = local(moment)
        if there.utcoffset() == moment.utcoffset():
            return match[0]
        day = "" if there.date() == moment.date() else "%Y-%m-%d "
        return f"{match[0]} ({there.strftime(f'{day}%H:%M %Z')})"

    def span(one: str | TextSpan) -> TextSpan:
        text, tone = TextSpan(one) if isinstance(one, str) else one
        return TextSpan(_UTC.sub(added, text), tone)

    def block(one: Block) -> Block:
        if isinstance(one, PageTable):
            return replace(one, rows=[[span(cell) for cell in row] for row in one.rows])
        return replace(one, spans=[span(part) for part in one.spans])

    return [block(one) for one in page]
