"""The gauges of `rolloutctl metrics` as a table for a terminal. Needs rich."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller.operations.metrics_view import Gauge, GaugeStatus
from controller.render.metrics_view import HEAD, LEGEND, row_cells, unread_lines, view_title
from controller.render.terminal.plain import plain

_STYLES: Final = {
    GaugeStatus.AS_EXPECTED: "green",
    GaugeStatus.NOT_AS_EXPECTED: "bold red",
    GaugeStatus.NOTHING_EXPECTED: "",
    GaugeStatus.NO_TRAFFIC: "yellow",
    GaugeStatus.NO_DATA: "yellow",
    GaugeStatus.NOT_READ: "yellow",
}


def gauge_table(name: str, gauges: Sequence[Gauge], minutes: int, end: datetime) -> RenderableType:
    """Return the table of `gauge_lines` in colours."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for column, head in enumerate(HEAD):
        table.add_column(head, justify="right" if column == 1 else "left", overflow="fold")
    for one in gauges:
        texts = [plain(cell) for cell in row_cells(one)]
        for column in (1, 3):
            texts[column].stylize(_STYLES[one.status])
        table.add_row(*texts)
    unread = (plain(line, "yellow") for line in unread_lines(gauges))
    return Group(
        plain(view_title(name, minutes, end), "bold"), "", table, "", Text(LEGEND, "dim"), *unread
    )
