"""A line on a terminal that says how far a command is; it is erased before anything else."""

import shutil
import sys
from types import TracebackType
from typing import Self

from controller.cli import streams
from controller.safe_text import printable, truncate

_ERASE = "\r\x1b[2K"


class Progress:
    """A progress line on stderr; none where that is no terminal with a cursor, or not `wanted`."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._visible = wanted and streams.has_cursor(sys.stderr)
        self._shown = False

    def __enter__(self) -> Self:
        streams.erase_progress.append(self.erase)
        return self

    def show(self, text: str) -> None:
        """Show `text` instead of the last one, cut where the terminal ends."""
        if self._visible:
            columns = shutil.get_terminal_size().columns - 1
            self._draw(f"{_ERASE}{truncate(printable(text), columns)}")
            self._shown = True

    def erase(self) -> None:
        """Erase the line, so that something else can be printed."""
        if self._shown:
            self._draw(_ERASE)
            self._shown = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.erase()
        streams.erase_progress.remove(self.erase)

    @staticmethod
    def _draw(text: str) -> None:
        stream = streams.unfiltered_stream(sys.stderr)
        stream.write(text)
        stream.flush()
