"""Draws state-machine.svg from what `decide` decides: python -m tests.docs.state_diagram.

A box is a phase; `progressing` has three, by its position. An arrow is a change of box that a tick
or a command decides; its number is that of the legend. The places are fixed.
"""

import sys
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from math import hypot
from pathlib import Path
from typing import Final, TypeAlias

from tests.docs.tables.boxes import Box
from tests.docs.tables.edges import Edge, Way, edges

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "contributors" / "state-machine.svg"

Point: TypeAlias = tuple[int, int]
Line: TypeAlias = Sequence[Point]  # a straight line, or one with a bend

SIZE: Final = (900, 620)
BOX: Final = (160, 54)
DOT: Final = 9  # radius of the start
LABEL: Final = 10  # radius of a number

# The middle of each box.
PLACES: Final[Mapping[Box, Point]] = {
    Box.START: (110, 30),
    Box.FIRST_RAISE: (110, 120),
    Box.LIVE: (420, 120),
    Box.SUCCEEDED: (800, 120),
    Box.PAUSED: (400, 330),
    Box.RAISE: (660, 330),
    Box.ROLLED_BACK: (110, 540),
    Box.ROLLING_BACK: (560, 540),
}
# The second line of each box.
NOTES: Final[Mapping[Box, str]] = {
    Box.FIRST_RAISE: "progressing",
    Box.LIVE: "progressing, judged",
    Box.RAISE: "progressing, live step judged",
    Box.PAUSED: "judged; waits for operator",
    Box.ROLLING_BACK: "0% written until read back",
    Box.ROLLED_BACK: "final",
    Box.SUCCEEDED: "final",
}
# The line of each edge, and where on it the number stands: a share of its length.
LINES: Final[Mapping[Way, tuple[Line, float]]] = {
    (Box.START, Box.FIRST_RAISE): (((110, 39), (110, 93)), 0.45),
    (Box.START, Box.LIVE): (((119, 30), (420, 30), (420, 93)), 0.42),
    (Box.FIRST_RAISE, Box.LIVE): (((190, 115), (340, 115)), 0.45),
    (Box.FIRST_RAISE, Box.PAUSED): (((175, 147), (345, 303)), 0.3),
    (Box.FIRST_RAISE, Box.ROLLING_BACK): (((95, 147), (95, 430), (480, 530)), 0.2),
    (Box.FIRST_RAISE, Box.ROLLED_BACK): (((55, 147), (55, 513)), 0.5),
    (Box.LIVE, Box.RAISE): (((500, 118), (685, 303)), 0.8),
    (Box.LIVE, Box.PAUSED): (((395, 147), (395, 303)), 0.4),
    (Box.LIVE, Box.ROLLING_BACK): (((465, 147), (545, 513)), 0.83),
    (Box.LIVE, Box.ROLLED_BACK): (((350, 147), (150, 513)), 0.63),
    (Box.LIVE, Box.SUCCEEDED): (((500, 106), (720, 106)), 0.5),
    (Box.RAISE, Box.LIVE): (((644, 303), (488, 147)), 0.75),
    (Box.RAISE, Box.PAUSED): (((580, 319), (480, 319)), 0.25),
    (Box.RAISE, Box.ROLLING_BACK): (((640, 357), (600, 513)), 0.5),
    (Box.RAISE, Box.ROLLED_BACK): (((590, 357), (190, 528)), 0.5),
    (Box.PAUSED, Box.FIRST_RAISE): (((320, 318), (133, 147)), 0.55),
    (Box.PAUSED, Box.LIVE): (((425, 303), (425, 147)), 0.4),
    (Box.PAUSED, Box.RAISE): (((480, 343), (580, 343)), 0.55),
    (Box.PAUSED, Box.ROLLING_BACK): (((440, 357), (515, 513)), 0.62),
    (Box.PAUSED, Box.ROLLED_BACK): (((345, 357), (180, 513)), 0.3),
    (Box.PAUSED, Box.SUCCEEDED): (((470, 303), (745, 147)), 0.75),
    (Box.ROLLING_BACK, Box.ROLLED_BACK): (((480, 545), (190, 545)), 0.35),
    (Box.ROLLED_BACK, Box.ROLLING_BACK): (((190, 561), (480, 561)), 0.5),
    (Box.SUCCEEDED, Box.ROLLING_BACK): (((840, 147), (840, 540), (640, 540)), 0.4),
}  # fmt: skip
_BLUE, _AMBER, _RED, _GREY = "#1f5fa8", "#a86400", "#b3261e", "#556"
_COLOURS: Final[Mapping[Box, str]] = {
    Box.FIRST_RAISE: _BLUE,
    Box.LIVE: _BLUE,
    Box.RAISE: _BLUE,
    Box.SUCCEEDED: _BLUE,
    Box.PAUSED: _AMBER,
    Box.ROLLING_BACK: _RED,
    Box.ROLLED_BACK: _RED,
}
_FILLS: Final[Mapping[str, str]] = {_BLUE: "#eef3fb", _AMBER: "#fdf4e3", _RED: "#fbecea"}


def label_of(way: Way) -> Point:
    """Return the middle of the number of an edge."""
    line, share = LINES[way]
    left = share * sum(hypot(x2 - x1, y2 - y1) for (x1, y1), (x2, y2) in pairwise(line))
    for (x1, y1), (x2, y2) in pairwise(line):
        length = hypot(x2 - x1, y2 - y1)
        if left <= length:
            part = left / length
            return round(x1 + part * (x2 - x1)), round(y1 + part * (y2 - y1))
        left -= length
    return line[-1]


def picture() -> str:
    """Return the picture as SVG."""
    width, height = SIZE
    x, y = PLACES[Box.START]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        "<title>The states of a rollout and what leads from one to another</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        "<defs>",
        *(_tip(colour) for colour in sorted(set(_COLOURS.values()))),
        "</defs>",
        *(_line(way, edge) for way, edge in edges().items()),
        f'<circle cx="{x}" cy="{y}" r="{DOT}" fill="{_GREY}"/>',
        f'<text x="{x - DOT - 6}" y="{y + 4}" text-anchor="end" fill="{_GREY}">start</text>',
        *(_box(box) for box in NOTES),
        *(_number(way, edge) for way, edge in edges().items()),
        f'<text x="30" y="{height - 18}" font-size="12" fill="{_GREY}">Full line: a tick, and '
        "often a command too. Dashed line: a command of an operator only. Numbers: see the legend."
        "</text>",
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _tip(colour: str) -> str:
    return (
        f'<marker id="{_tip_id(colour)}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    )


def _tip_id(colour: str) -> str:
    return f"tip-{colour.removeprefix('#')}"


def _line(way: Way, edge: Edge) -> str:
    line, colour = LINES[way][0], _COLOURS[way[1]]
    way_text = "L".join(f"{x} {y}" for x, y in line)
    dashes = "" if edge.reasons else ' stroke-dasharray="5 4"'
    return (
        f'<path d="M{way_text}" fill="none" stroke="{colour}" stroke-width="1.3"{dashes} '
        f'marker-end="url(#{_tip_id(colour)})"/>'
    )


def _number(way: Way, edge: Edge) -> str:
    (x, y), colour = label_of(way), _COLOURS[way[1]]
    return (
        f'<circle cx="{x}" cy="{y}" r="{LABEL}" fill="white" stroke="{colour}"/>'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-size="11" font-weight="bold" '
        f'fill="{colour}">{edge.number}</text>'
    )


def _box(box: Box) -> str:
    (x, y), (width, height), colour = PLACES[box], BOX, _COLOURS[box]
    return (
        f'<rect x="{x - width // 2}" y="{y - height // 2}" width="{width}" height="{height}" '
        f'rx="6" fill="{_FILLS[colour]}" stroke="{colour}"/>'
        f'<text x="{x}" y="{y - 4}" text-anchor="middle" font-weight="bold">{escape(box)}</text>'
        f'<text x="{x}" y="{y + 15}" text-anchor="middle" font-size="10" fill="#445">'
        f"{escape(NOTES[box])}</text>"
    )


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
