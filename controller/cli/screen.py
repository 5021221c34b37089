"""A live view: a page that is drawn over itself on a terminal. Needs rich: no tick imports it."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from controller.cli import streams
from controller.render.page import Page, layout

View = TypeVar("View")


class Screen(Generic[View]):
    """An area of the terminal that is drawn again every second.

    page: returns the page of a view. Output printed meanwhile goes above it; stderr only if
    `takes_stderr`.
    """

    def __init__(
        self,
        page: Callable[[View], Page],
        *,
        takes_stderr: bool,
        console: Console | None = None,
    ) -> None:
        self._page = page
        self._shown_view: View | None = None
        self._live = Live(
            console=console or Console(file=streams.unfiltered_stream(sys.stdout)),
            get_renderable=lambda: self,
            refresh_per_second=1,
            redirect_stderr=takes_stderr,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def show(self, view: View) -> None:
        """Draw `view` now, and on each refresh until the next one."""
        self._shown_view = view
        self._live.refresh()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the page of the shown view, in lines that fit the terminal."""
        if self._shown_view is not None:
            lines = layout(self._page(self._shown_view), options.max_width)
            text = Text.from_ansi(streams.lines_text(lines, in_colour=True), overflow="fold")
            yield text
