"""The gauges of `rolloutctl metrics` as a table and as JSON data."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from controller.core.units import clock_text, count_text, format_percent, number_text
from controller.operations.metrics_view import Gauge, GaugeStatus, Unit
from controller.ports.json_view import json_number
from controller.render.sparkline import sparkline
from controller.text import columns

if TYPE_CHECKING:
    from controller.render.outputs.account import GaugeData, MetricsData

HEAD: Final = ("", "value", "expected", "", "by minute")
LEGEND: Final = (
    "A count is the sum of these minutes, a latency its highest minute; the newest three minutes "
    "may still grow."
)
_SILENT: Final = "no traffic"
_MAX_POINTS: Final = 60  # characters of a sparkline: the newest points


def view_title(name: str, minutes: int, end: datetime) -> str:
    """Return the title of the table: policy, number of minutes, and their end."""
    return f"{name}, {count_text(minutes, 'minute')} until {clock_text(end)}"


def gauge_lines(name: str, gauges: Sequence[Gauge], minutes: int, end: datetime) -> list[str]:
    """Return the table: a row for each gauge, then the reasons why metrics were not read."""
    table = columns([HEAD, *map(row_cells, gauges)], right={1})
    return [view_title(name, minutes, end), "", *table, "", LEGEND, *unread_lines(gauges)]


def row_cells(gauge: Gauge) -> tuple[str, str, str, str, str]:
    """Return the columns of a row, in the order of `HEAD`."""
    expected = ", ".join(one.text for one in gauge.expected)
    return (
        gauge.title,
        value_text(gauge),
        expected,
        str(gauge.status) if gauge.value is not None else "",
        sparkline(gauge.points[-_MAX_POINTS:]),
    )


def value_text(gauge: Gauge) -> str:
    """Return the value with its unit, like `412 ms` or `99.95%`; the status without a value."""
    value = gauge.value
    if value is None:
        return str(gauge.status)
    match gauge.unit:
        case Unit.SHARE:
            return format_percent(value, 3)
        case Unit.INCREASE:
            return f"{'+' if value >= 0 else '-'}{format_percent(abs(value), 1)}"
        case Unit.COUNT | Unit.LEVEL:
            return f"{number_text(round(value, 1))} {gauge.unit_text}".rstrip()


def unread_lines(gauges: Sequence[Gauge]) -> list[str]:
    """Return a line for each reason why a metric was not read."""
    notes = (one.note for one in gauges if one.status is GaugeStatus.NOT_READ)
    return [f"not read: {note}" for note in dict.fromkeys(notes) if note]


def gauges_data(name: str, gauges: Sequence[Gauge], minutes: int, end: datetime) -> "MetricsData":
    """Return the gauges as plain JSON data; missing data is null, never 0."""
    return {
        "policy": name,
        "minutes": minutes,
        "end": end.isoformat(),
        "gauges": [_data(one) for one in gauges],
    }


def _data(gauge: Gauge) -> "GaugeData":
    return {
        "title": gauge.title,
        "value": _number(gauge, gauge.value),
        "of": str(gauge.unit),
        "unit": gauge.unit_text,
        "expected": [{"criterion": one.criterion, "text": one.text} for one in gauge.expected],
        "standing": str(gauge.status) or None,
        "points": [_number(gauge, one) for one in gauge.points],
        "note": gauge.note,
    }


def _number(gauge: Gauge, value: float | None) -> float | None:
    return None if value is None else json_number(value, gauge.unit_text)
