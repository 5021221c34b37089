"""Draws docs/step.svg, a step in docs/concepts.md: python -m tests.docs.step_picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.loop import Arrow, Box, drawing, text

PICTURE: Final = Path(__file__).parents[2] / "docs" / "step.svg"
SIZE: Final = (900, 270)
TITLE: Final = (
    "One step at 10%: the weight is read back at 12:00:20, the warm-up ends at 12:03, windows are "
    "judged from 12:05 to 13:05, and the decision comes at 13:08: 50%, on hold, or 0%. A criterion "
    "that fails does not wait for it"
)


class Span(NamedTuple):
    """A part of the step: from and to where it goes, its name and what happens in it."""

    left: int
    right: int
    name: str
    note: str


TOP, BOTTOM = 50, 112
SPANS: Final = (
    Span(20, 150, "warm-up", "circuit breaker only"),
    Span(150, 500, "bake", "every minute is judged"),
    Span(500, 640, "evaluation delay", "metrics settle"),
)
# Where a time is, and when: of windows, only the first and the last are named.
TIMES: Final = ((20, "12:00:20"), (150, "12:03"), (190, "12:05"), (500, "13:05"), (640, "13:08"))
WINDOWS: Final = (190, 500, 31)  # from, to, length
ENDS: Final = (
    Box(690, 20, "pass", "50% is written"),
    Box(690, 104, "inconclusive", "on hold, then paused"),
    Box(690, 188, "fail", "0% is written at once"),
)
ARROWS: Final = (
    Arrow((640, 66), (690, 51), ""),
    Arrow((640, 96), (690, 135), ""),
    Arrow((330, 219), (690, 219), "a criterion fails, at any time"),
)


def picture() -> str:
    """Return the picture as SVG."""
    return drawing(SIZE, TITLE, ENDS, ARROWS, _step())


def _step() -> Iterator[str]:
    for span in SPANS:
        width, middle = span.right - span.left, (span.left + span.right) // 2
        yield f'<rect x="{span.left}" y="{TOP}" width="{width}" height="{BOTTOM - TOP}"/>'
        yield text(middle, TOP + 26, span.name, "", "bold")
        yield text(middle, TOP + 46, span.note, "soft")
    start, end, length = WINDOWS
    for left in range(start, end, length):
        yield f'<path d="M{left} {BOTTOM}v12h{length}v-12" fill="none"/>'
    yield text((start + end) // 2, BOTTOM + 48, "windows of 5 minutes", "soft")
    for x, time in TIMES:
        yield text(max(x, 46), BOTTOM + 30 if x == start else TOP - 10, time, "soft")
    yield f'<path d="M85 {BOTTOM}V219H330M330 170V219" fill="none"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
