"""Draws docs/rollback.svg, the rollback in the README: python -m tests.docs.rollback_picture."""

from collections.abc import Iterator
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Final

from controller.policy_file.loader import load
from controller.process import logging
from controller.render.page import Line, Page, layout
from controller.tools.rehearse.compose import rehearsal
from controller.tools.rehearse.page import outcome_page
from controller.tools.rehearse.rehearsal import rehearse

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "rollback.svg"

COLUMNS: Final = 100
# Of a monospaced font of 13 px: the width of a letter, and the height of a line.
LETTER, LINE = 7.8, 18
MARGIN: Final = 16

STYLE: Final = """<style>
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }
.title { font-weight: bold; } .quiet { fill: #9aa4af; } .active { fill: #6ea8fe; }
.good { fill: #56d364; } .waiting { fill: #e3b341; } .bad { fill: #ff7b72; }
</style>"""  # noqa: E501 - one rule is one line


def picture() -> str:
    """Return what `make rehearse` shows on a terminal, as SVG."""
    lines = layout(_rehearsal(), COLUMNS)
    width = round(COLUMNS * LETTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title">',
            '<title id="title">A rehearsal: 10 %, then 50 %, where 5 % of requests fail, then back '
            "to 0 %</title>",
            STYLE,
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            *(_row(number, line) for number, line in enumerate(lines)),
            "</svg>",
            "",
        ]
    )


def _rehearsal() -> Page:
    logging.disable()
    policy = load(ROOT / "policies" / "checkout.yaml")
    with rehearsal(policy, "error-burst", seed=1) as stage:
        outcome = rehearse(
            stage.runner, stage.world, stage.policy, every=timedelta(minutes=1),
            on_tick=lambda _rollout: None,
        )  # fmt: skip
    return outcome_page(outcome, "error-burst", 1)


def _row(number: int, line: Line) -> str:
    spans = "".join(_spans(line))
    return f'<text x="{MARGIN}" y="{MARGIN + LINE * number + 13}">{spans}</text>'


def _spans(line: Line) -> Iterator[str]:
    for span in line:
        tone = f' class="{span.tone}"' if span.tone else ""
        yield f"<tspan{tone}>{escape(span.text)}</tspan>"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
