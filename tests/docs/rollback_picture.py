"""Draws docs/live-view.svg, the live view in the README: python -m tests.docs.live_view."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Final

from controller.bootstrap.rehearse import rehearsal
from controller.operations.rehearse import rehearse
from controller.policy_file.loader import load
from controller.render.page import Line, layout
from controller.render.rollout_page import live_page
from tests.support.core import Rollout

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "live-view.svg"

COLUMNS: Final = 104
# Of a monospaced font of 13 px: the width of a letter, and the height of a line.
LETTER, LINE = 7.8, 18
MARGIN: Final = 16

STYLE: Final = """<style>
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }
.title { font-weight: bold; } .quiet { fill: #9aa4af; } .active { fill: #6ea8fe; }
.good { fill: #56d364; } .waiting { fill: #e3b341; } .bad { fill: #ff7b72; }
</style>"""  # noqa: E501 - one rule is one line


def picture() -> str:
    """Return the live view of the shipped policy at 50 %, half an hour into the bake, as SVG."""
    rollout, now = _at_50_percent()
    lines = layout(live_page(rollout, now), COLUMNS)
    width = round(COLUMNS * LETTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title">',
            '<title id="title">rolloutctl status --watch: phase, next action, steps and criteria '
            "of a rollout at 50 %</title>",
            STYLE,
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            *(_row(number, line) for number, line in enumerate(lines)),
            "</svg>",
            "",
        ]
    )


def _at_50_percent() -> tuple[Rollout, datetime]:
    """Return the rollout of a rehearsal, and a moment in which it bakes at 50 %."""
    seen: list[Rollout] = []
    policy = load(ROOT / "policies" / "execution-api.yaml")
    with rehearsal(policy, "healthy", seed=1) as stage:
        rehearse(stage.runner, stage.world, policy, every=timedelta(minutes=1), on_tick=seen.append)
    at_50 = [one for one in seen if one.live is not None and one.live.weight == 50]
    rollout = at_50[len(at_50) // 2]
    return rollout, rollout.updated + timedelta(seconds=20)


def _row(number: int, line: Line) -> str:
    spans = "".join(_spans(line))
    return f'<text x="{MARGIN}" y="{MARGIN + LINE * number + 13}">{spans}</text>'


def _spans(line: Line) -> Iterator[str]:
    for span in line:
        tone = f' class="{span.tone}"' if span.tone else ""
        yield f"<tspan{tone}>{escape(span.text)}</tspan>"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
