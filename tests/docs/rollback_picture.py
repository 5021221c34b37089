"""Draws docs/rollback.svg, the recording in the README, and docs/status.svg, one moment of it.

`python -m tests.docs.rollback_picture` writes both. The rollout is a rehearsal of the shipped
policy. A frame is what `status` prints on a terminal at that time; the recording, which stands
above everything else, leaves out earlier steps and events.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from controller.immutable import Immutable
from controller.operations.history import recent_history
from controller.policy_file.loader import load
from controller.process import logging
from controller.render.page import Line, layout, line_text
from controller.render.rollout_page import rollout_page
from controller.tools.rehearse.rehearsal import rehearsal, rehearse
from tests.support.core import Rollout

ROOT: Final = Path(__file__).parents[2]
RECORDING: Final = ROOT / "docs" / "rollback.svg"
STATUS: Final = ROOT / "docs" / "status.svg"

COMMAND: Final = "$ rolloutctl status checkout"
COLUMNS: Final = 92
# Of a monospaced font of 13 px: the width of a letter, and the height of a line.
LETTER, LINE = 7.8, 18
MARGIN: Final = 16
SECONDS: Final = 20
# Minutes after the start that are shown, and for how many seconds: the gate at 10% passes after
# 68, requests fail from 88 on, and it is known after 112 that none reaches the canary any more.
MOMENTS: Final = ((1, 2), (30, 2), (67, 3), (69, 2), (87, 3), (101, 4), (112, 4))
# The moment of the picture of `status`.
SHOWN: Final = 87

STYLE: Final = """text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }
.title { font-weight: bold; } .quiet { fill: #9aa4af; } .active { fill: #6ea8fe; }
.good { fill: #56d364; } .waiting { fill: #e3b341; } .bad { fill: #ff7b72; }"""  # noqa: E501 - one rule is one line


class Frame(Immutable):
    """What a terminal shows so many minutes after the start.

    lines: without earlier steps and events. whole: with them.
    """

    minute: int
    lines: Sequence[Line]
    whole: Sequence[Line]


def frames() -> list[Frame]:
    """Return what `status` shows at each of `MOMENTS`."""
    logging.disable()
    policy = load(ROOT / "policies" / "checkout.yaml")
    found: dict[int, Frame] = {}
    with rehearsal(policy, "error-burst", seed=1) as stage:
        begin = stage.runner.clock.now()

        def keep(rollout: Rollout) -> None:
            now = stage.runner.clock.now()
            minute = round((now - begin).total_seconds() / 60)
            if minute not in dict(MOMENTS):
                return
            recent = recent_history(rollout, stage.runner.store.history(rollout.id))
            short, whole = (rollout_page(rollout, now, recent=one) for one in (None, recent))
            found[minute] = Frame(minute, layout(short, COLUMNS), layout(whole, COLUMNS))

        rehearse(
            stage.runner, stage.world, stage.policy,
            every=timedelta(minutes=1), on_tick=keep, all_ticks=True,
        )  # fmt: skip
    return [found[minute] for minute, _ in MOMENTS]


def recording(shown: Sequence[Frame]) -> str:
    """Return the frames one after the other; where nothing may move, the last one."""
    title = "A rollout at 10%, then 50%, where 5% of requests fail, and back at 0%"
    rules, groups, elapsed = [], [], 0
    for number, (frame, (_, seconds)) in enumerate(zip(shown, MOMENTS, strict=True)):
        begin, end = (100 * at / SECONDS for at in (elapsed, elapsed + seconds))
        elapsed += seconds
        hidden = "0% { visibility: hidden } " if number else ""
        after = "" if frame is shown[-1] else f" {end:g}% {{ visibility: hidden }}"
        rules.append(
            f"@keyframes f{number} {{ {hidden}{begin:g}% {{ visibility: visible }}{after} }}\n"
            f".f{number} {{ animation-name: f{number} }}"
        )
        groups += [f'<g class="f f{number}">', *_texts(frame.lines), "</g>"]
    animated = "\n".join(
        [
            ".f { visibility: hidden } .f:last-of-type { visibility: visible }",
            "@media (prefers-reduced-motion: no-preference) {",
            f".f {{ animation: {SECONDS}s step-end 3 both }}",
            f".bar {{ animation: bar {SECONDS}s linear 3 both; transform-origin: {MARGIN}px 0 }}",
            "@keyframes bar { from { transform: scaleX(0) } }",
            *rules,
            "}",
        ]
    )
    longest = max(len(frame.lines) for frame in shown)
    return _svg(title, longest, groups, animated, bar=True)


def status_picture(shown: Sequence[Frame]) -> str:
    """Return what `status` shows at one moment."""
    (lines,) = (one.whole for one in shown if one.minute == SHOWN)
    title = "What status shows of a rollout at 50%: the evidence, earlier steps, newest events"
    return _svg(title, len(lines), _texts(lines), "")


def _svg(title: str, lines: int, body: Sequence[str], style: str, *, bar: bool = False) -> str:
    width, height = round(COLUMNS * LETTER + 2 * MARGIN), (2 + lines) * LINE + 2 * MARGIN
    place = f'x="{MARGIN}" y="{height - 8}" width="{width - 2 * MARGIN}" height="3"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title">',
            f'<title id="title">{title}</title>',
            "<style>", STYLE, *filter(None, [style]), "</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
            *([f'<rect class="bar" {place} fill="#6ea8fe"/>'] if bar else []),
            *body,
            "</svg>",
            "",
        ]
    )  # fmt: skip


def _texts(lines: Sequence[Line]) -> list[str]:
    """Return lines below the command that shows them."""
    command = f'<text x="{MARGIN}" y="{MARGIN + 13}" class="quiet">{escape(COMMAND)}</text>'
    rows = (_row(number, line) for number, line in enumerate(lines, 2) if line_text(line))
    return [command, *rows]


def _row(number: int, line: Line) -> str:
    return f'<text x="{MARGIN}" y="{MARGIN + LINE * number + 13}">{"".join(_spans(line))}</text>'


def _spans(line: Line) -> Iterator[str]:
    for tone, spans in groupby(line, key=lambda span: span.tone):
        text = escape(line_text(spans), quote=False)
        yield f'<tspan class="{tone}">{text}</tspan>' if tone else text


def pictures() -> dict[Path, str]:
    """Return each picture as its file has it."""
    shown = frames()
    drawn: dict[Path, Callable[[Sequence[Frame]], str]] = {
        RECORDING: recording,
        STATUS: status_picture,
    }
    return {file: draw(shown) for file, draw in drawn.items()}


def write() -> None:
    """Write the pictures."""
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
