"""Draws docs/loop.svg, the picture of one tick in docs/concepts.md: python -m tests.docs.loop."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

PICTURE: Final = Path(__file__).parents[2] / "docs" / "loop.svg"

SIZE: Final = (900, 300)
STEPS: Final = ("take the lease", "observe", "judge", "decide", "save and write", "notify", "exit")


class Box(NamedTuple):
    """A service around the tick: its top left corner, its name and what it is."""

    x: int
    y: int
    name: str
    note: str


WIDTH, HEIGHT = 190, 62
BOXES: Final = {
    "schedule": Box(20, 119, "Schedule", "ECS task, CI or cron"),
    "metrics": Box(690, 20, "CloudWatch", "metrics, alarms, logs"),
    "target": Box(690, 119, "Target", "Lambda, AppConfig, balancer"),
    "store": Box(690, 218, "Store", "DynamoDB or SQLite"),
    "people": Box(20, 218, "Operators", "SNS, Slack, webhook"),
}
TICK: Final = (370, 20, 160, 260)  # x, y, width, height


class Arrow(NamedTuple):
    """An arrow from one point to another, and what goes along it."""

    start: tuple[int, int]
    end: tuple[int, int]
    label: str


ARROWS: Final = (
    Arrow((210, 150), (370, 150), "once a minute"),
    Arrow((690, 51), (530, 51), "datapoints"),
    Arrow((690, 140), (530, 140), "live weight"),
    Arrow((530, 162), (690, 162), "new weight"),
    Arrow((690, 238), (530, 238), "state, version"),
    Arrow((530, 260), (690, 260), "state, history"),
    Arrow((370, 249), (210, 249), "notices"),
)

# The colours of a light page, and those of a dark one.
STYLE: Final = """<style>
svg { --ink: #1b1f24; --soft: #57606a; --line: #1f5fa8; --fill: #eef3fb; --page: #ffffff; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6edf3; --soft: #9aa4af; --line: #6ea8fe; --fill: #16202e; --page: #0d1117; }
}
text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 12px; }
rect { fill: var(--fill); stroke: var(--line); stroke-width: 1.3; } .page { fill: var(--page); stroke: none; }
path { stroke: var(--line); stroke-width: 1.3; } .tip { fill: var(--line); stroke: none; }
</style>"""  # noqa: E501 - one rule is one line


TITLE: Final = (
    "One tick: the schedule starts it; it reads CloudWatch, the target and the store, writes the "
    "weight, saves, notifies operators and exits"
)


def picture() -> str:
    """Return the picture as SVG."""
    return drawing(SIZE, TITLE, BOXES.values(), ARROWS, _tick())


def drawing(
    size: tuple[int, int],
    title: str,
    boxes: Iterable[Box],
    arrows: Iterable[Arrow],
    more: Iterable[str] = (),
) -> str:
    """Return boxes and arrows as SVG. title: for those who do not see it. more: drawn below."""
    width, height = size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'role="img" aria-labelledby="title" font-family="sans-serif" font-size="14">',
        f'<title id="title">{escape(title)}</title>',
        STYLE,
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="page" width="{width}" height="{height}"/>',
        *more,
        *(line for box in boxes for line in _box(box)),
        *(line for arrow in arrows for line in _arrow(arrow)),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _tick() -> Iterator[str]:
    x, y, width, height = TICK
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    yield text(x + width // 2, y + 28, "rolloutctl tick", "", "bold")
    for number, step in enumerate(STEPS):
        yield text(x + width // 2, y + 62 + 29 * number, f"{number + 1}. {step}")


def _box(box: Box) -> Iterator[str]:
    middle = box.x + WIDTH // 2
    yield f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    yield text(middle, box.y + 27, box.name, "", "bold")
    yield text(middle, box.y + 47, box.note, "soft")


def _arrow(arrow: Arrow) -> Iterator[str]:
    (x1, y1), (x2, y2) = arrow.start, arrow.end
    yield f'<path d="M{x1} {y1}L{x2} {y2}" fill="none" marker-end="url(#tip)"/>'
    yield text((x1 + x2) // 2, y1 - 6, arrow.label, "soft")


def text(x: int, y: int, words: str, style: str = "", weight: str = "normal") -> str:
    """Return a line of words, centred at x. style: its class; weight: of the font."""
    of = f' class="{style}"' if style else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" font-weight="{weight}"{of}>'
        f"{escape(words)}</text>"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
