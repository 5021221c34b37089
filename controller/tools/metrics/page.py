"""The gauges of `rolloutctl metrics` as a table and as JSON data."""

from typing import Annotated, Final

from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    measured_text,
)
from controller.immutable import Immutable
from controller.ports.json_view import Count, Time, json_number, one_of
from controller.render.page import EMPTY_LINE, Page, PageTable, TextSpan, Tone, paragraph, sparkline
from controller.tools.metrics.expected import ExpectedRange
from controller.tools.metrics.gauge import Gauge, GaugeStatus, Unit
from controller.tools.metrics.gauges import MetricsView

_TITLES: Final = ("", "value", "expected", "", "by minute")
_LEGEND: Final = (
    "A count is the sum of these minutes, a latency its highest minute, and a latency compared "
    "with another metric its median minute."
)
_MAX_POINTS: Final = 60  # characters of a sparkline: the newest points
_TONES: Final = {
    GaugeStatus.AS_EXPECTED: Tone.GOOD,
    GaugeStatus.NOT_AS_EXPECTED: Tone.BAD,
    GaugeStatus.NOTHING_EXPECTED: Tone.PLAIN,
    GaugeStatus.NO_TRAFFIC: Tone.WAITING,
    GaugeStatus.NO_DATA: Tone.WAITING,
    GaugeStatus.NOT_READ: Tone.WAITING,
    GaugeStatus.NOT_SHOWN: Tone.QUIET,
}


class Expected(Immutable):
    """What one criterion expects of a value."""

    criterion: str
    """Id of the criterion."""
    text: str
    """What it expects, as text."""


class GaugeData(Immutable):
    """One metric, or one criterion that is not on one metric alone."""

    title: str
    """Name of the metric with its statistic, or id of the criterion."""
    value: float | None
    """The value over these minutes; null: there are no data, which is never 0."""
    of: Unit | None
    """A count, the highest minute (level), a share or an increase; null: there are no values."""
    unit: str
    """Unit of the value; empty: it has none."""
    expected: list[Expected]
    """What criteria expect of the value."""
    standing: Annotated[str, one_of(one for one in GaugeStatus if one)] | None
    """The value against what is expected, or why there is none; null: nothing is expected now."""
    points: list[float | None]
    """The value of each minute, the oldest first; null: no data."""
    note: str
    """Requests behind a share, or why there is no value; empty: nothing to say."""


class MetricsData(Immutable):
    """The values of the metrics of a policy."""

    policy: str
    """Name of the policy."""
    minutes: Count
    """How many closed minutes the values are about."""
    end: Time
    """End of the newest of these minutes."""
    gauges: list[GaugeData]
    """Each metric, and each criterion that is not on one metric alone."""


def metrics_page(view: MetricsView) -> Page:
    """Return the table: a row for each gauge, then why metrics were not read or are not shown."""
    gauges = view.gauges
    title = f"{view.name}, {count_text(view.minutes, 'minute')} until {clock_text(view.end)}"
    unsettled = f"Minutes of the last {format_duration(view.delay)} may still grow and are not "
    unsettled += "judged yet."
    unread = (gauge.note for gauge in gauges if gauge.status is GaugeStatus.NOT_READ and gauge.note)
    return [
        paragraph(title, Tone.TITLE),
        EMPTY_LINE,
        PageTable([_row(gauge) for gauge in gauges], _TITLES, right={1}),
        EMPTY_LINE,
        paragraph(f"{_LEGEND} {unsettled}", Tone.QUIET, hang=0),
        *(paragraph(f"not read: {note}", Tone.WAITING) for note in dict.fromkeys(unread)),
        *(
            paragraph(f"{gauge.title} is not shown here: {gauge.note}", Tone.QUIET)
            for gauge in gauges
            if gauge.status is GaugeStatus.NOT_SHOWN
        ),
    ]


def _row(gauge: Gauge) -> tuple[TextSpan, ...]:
    tone = _TONES[gauge.status]
    return (
        TextSpan(gauge.title),
        TextSpan(value_text(gauge), tone),
        TextSpan(", ".join(_expected_text(one, gauge) for one in gauge.expected)),
        TextSpan(str(gauge.status) if gauge.value is not None else "", tone),
        TextSpan(sparkline(gauge.points[-_MAX_POINTS:])),
    )


def _expected_text(expected: ExpectedRange, gauge: Gauge) -> str:
    """Return what is expected, and of which criterion, where the row is not that of it."""
    is_own = expected.criterion == gauge.title
    return expected.text if is_own else f"{expected.text} ({expected.criterion})"


def value_text(gauge: Gauge) -> str:
    """Return the value with its unit, like `412 ms` or `99.95%`; the status without a value."""
    value = gauge.value
    if value is None:
        return str(gauge.status)
    match gauge.unit:
        case Unit.SHARE:
            return format_percent(value, 3)
        case Unit.INCREASE:
            increase = f"{'+' if value >= 0 else '-'}{format_percent(abs(value), 1)}"
            if gauge.level is None:
                return increase
            return f"{measured_text(gauge.level)} {gauge.level_unit}".rstrip() + f" ({increase})"
        case _:
            return f"{measured_text(value)} {gauge.unit_text}".rstrip()


def metrics_data(view: MetricsView) -> MetricsData:
    """Return the gauges; missing data is null, never 0."""
    return MetricsData(view.name, view.minutes, view.end, list(map(_data, view.gauges)))


def _data(gauge: Gauge) -> GaugeData:
    return GaugeData(
        title=gauge.title,
        value=_number(gauge, gauge.value),
        of=gauge.unit,
        unit=gauge.unit_text,
        expected=[Expected(one.criterion, one.text) for one in gauge.expected],
        standing=str(gauge.status) or None,
        points=[_number(gauge, point) for point in gauge.points],
        note=gauge.note,
    )


def _number(gauge: Gauge, value: float | None) -> float | None:
    return None if value is None else json_number(value, gauge.unit_text)
