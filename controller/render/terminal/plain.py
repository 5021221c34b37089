"""Text from outside on a drawn page: as it is, without markup, cursor moves and lines of its own.

Needs rich.
"""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from controller.text import is_printable, printable


def plain(text: str, style: str = "") -> Text:
    """Return `text` as one printable line that rich takes for nothing but text."""
    return Text(printable(text), style)


class PrintableRenderable:
    """What `inner` draws, with a mark for each character that a terminal would obey.

    The renderers make text `plain` before, where its width still counts; this is for what was
    forgotten.
    """

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of `inner`; those that move the cursor are rich's own."""
        for one in console.render(self._inner, options):
            yield one if one.control else Segment(_replace_unprintable(one.text), one.style)


def _replace_unprintable(text: str) -> str:
    return "".join(
        one if one == "\n" or is_printable(one) else "\N{REPLACEMENT CHARACTER}" for one in text
    )
