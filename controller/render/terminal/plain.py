"""Untrusted text for rich: shown literally, without markup, control characters or line breaks.

Needs rich.
"""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from controller.text import is_printable, printable


def plain(text: str, style: str = "") -> Text:
    """Return `text` as one printable line without markup."""
    return Text(printable(text), style)


class PrintableRenderable:
    """The output of `inner`, with each control character replaced.

    Renderers already pass text through `plain`, before its width is measured; this catches text
    that did not go through it.
    """

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of `inner`; control segments come from rich itself."""
        for one in console.render(self._inner, options):
            yield one if one.control else Segment(_replace_unprintable(one.text), one.style)


def _replace_unprintable(text: str) -> str:
    return "".join(
        one if one == "\n" or is_printable(one) else "\N{REPLACEMENT CHARACTER}" for one in text
    )
