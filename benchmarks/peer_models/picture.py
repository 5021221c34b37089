"""The picture of decision-quality.md: false rollbacks and bad requests of each judge."""

from collections.abc import Iterator
from math import log10
from typing import Final

from benchmarks.peer_models.figures import ERRORS, Cell
from benchmarks.peer_models.models import OURS
from benchmarks.peer_models.tables import PAGE

PICTURE: Final = PAGE.with_suffix(".svg")
_RPM, _FAULT = 600, 0.05
_ROW, _TOP, _LABEL, _PANEL, _GAP = 22, 52, 300, 190, 70
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.n{font-size:12px;fill:#59636e}"
    ".bar{fill:#8c959f}.own{fill:#1a7f37}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.bar{fill:#6e7681}"
    ".own{fill:#3fb950}}"
)


def picture(cells: list[Cell]) -> str:
    """Return the picture as SVG: a row for each judge and setting, and two bars in it."""
    cells = [one for one in cells if (one.measure, one.rpm) == (ERRORS, _RPM)]
    rows = list(dict.fromkeys((one.peer, one.setting) for one in cells))
    second = _LABEL + _PANEL + _GAP
    width, height = second + _PANEL + _GAP, _TOP + _ROW * len(rows) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="False rollbacks and bad requests of each judge; the tables have the values">',
        f"<style>{_STYLE}</style>",
        f'<text x="{_LABEL}" y="20">healthy releases rolled back</text>',
        f'<text x="{_LABEL}" y="38" class="n">worst of four worlds, {_RPM} a minute</text>',
        f'<text x="{second}" y="20">bad requests until the rollback</text>',
        f'<text x="{second}" y="38" class="n">5% errors, log scale</text>',
    ]
    for number, row in enumerate(rows):
        lines += _row_lines(cells, row, _TOP + number * _ROW, second)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row_lines(cells: list[Cell], row: tuple[str, str], top: int, second: int) -> Iterator[str]:
    own = [one for one in cells if (one.peer, one.setting) == row]
    worst = max(one.rolled_back for one in own if not one.fault)
    bad = next(one.bad for one in own if (one.fault, one.kind) == (_FAULT, "steady")) or 0.0
    label = row[0] if row[0] == OURS else f"{row[0]}, {row[1]}"
    kind = "own" if row[0] == OURS else "bar"
    yield f'<text x="{_LABEL - 10}" y="{top + 15}" text-anchor="end">{label}</text>'
    yield from _bar(_LABEL, top, worst * _PANEL, kind, f"{100 * worst:.3g}%")
    yield from _bar(second, top, log10(max(bad, 1)) / 5 * _PANEL, kind, f"{bad:,.0f}")


def _bar(left: int, top: int, length: float, kind: str, value: str) -> Iterator[str]:
    length = max(2.0, length)
    yield f'<rect x="{left}" y="{top + 4}" width="{length:.1f}" height="14" class="{kind}"/>'
    yield f'<text x="{left + length + 6:.1f}" y="{top + 15}" class="n">{value}</text>'
