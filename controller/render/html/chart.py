"""A trace as a chart: positions in a drawing, texts beside it, and the rows of its data table.

The drawing is stretched to the width of the page, so that it has lines alone: texts are beside it,
placed by percents, and keep their size on a narrow screen.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from math import ceil, floor, log10
from typing import Final

from controller.core.units import clock_text, count_text, format_percent, from_unix, number_text
from controller.immutable import Immutable
from controller.operations.recorded.trace import Bin, Trace, TraceForm, TracePanel
from controller.safe_text import printable

# Units of the drawing.
WIDTH: Final = 2_000
HEIGHT: Final = 400
# The part of a logarithmic axis below its lowest value: its lower end is zero.
_ZERO_PART: Final = 0.14
# An axis of levels begins at zero unless all of them are above this part of the highest.
_TIGHT_ABOVE: Final = 0.5
# What the label of a time, and one of a weight, takes on a screen of 600 pixels: a narrower one
# shows none but those that have this room on 300 pixels, too.
_LABEL: Final = 140
# From one time to the next.
_TICK_APART: Final = 180
# The most parts of a drawing that say their values under the pointer.
_MAX_ZONES: Final = 24
_TICK_MINUTES: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 7_200, 14_400,
)  # fmt: skip
# A unit up to this length is written at each value of an axis, a longer one once.
_SHORT_UNIT: Final = 3


class Axis(Immutable):
    """A vertical axis from `low` to `high`; logarithmic above `floor`, with zero below it.

    floor: 0.0 for a linear axis.
    """

    low: float
    high: float
    floor: float
    ticks: tuple[float, ...]

    def top(self, value: float) -> float:
        """Return how far below the upper end `value` is, from 0 to 1."""
        if not self.floor:
            return 1 - _clamped((value - self.low) / (self.high - self.low))
        if value <= 0:
            return 1.0
        part = log10(max(value, self.floor) / self.floor) / log10(self.high / self.floor)
        return (1 - _ZERO_PART) * (1 - _clamped(part))


class ChartLabel(Immutable):
    """A text beside a drawing, `at` percent of its width or height.

    date: a second line. minor: only where there is room. centered: around its place.
    """

    at: float
    text: str
    date: str = ""
    minor: bool = False
    centered: bool = False


class Mark(StrEnum):
    """Why a part of the time is marked; the words stand in the legend."""

    REGRESSION = "the regression"
    NOT_FINAL = "not final when judged"
    NOT_JUDGED = "not judged in this step"
    ROLLED_BACK_START = "starts that were rolled back"
    ROLLBACK = "their rollbacks"
    FAULT = "the added fault"


class Band(Immutable):
    """A marked part of the width of a drawing, in its units. words: what it means."""

    x: int
    width: int
    mark: Mark
    words: str


class HoverZone(Immutable):
    """A part of a drawing, in percent of its width, that shows `text` under the pointer."""

    left: float
    width: float
    text: str


class Chart(Immutable):
    """A chart. identity: unique on its page.

    axis_note: a unit that is not beside each value, and that the axis does not begin at zero.
    interval, canary, control, bound, weight: paths of the drawing; empty where there are none.
    zones: what the pointer shows; the table has the same for those without one.
    edges: where the weight changes. ticks: round times, all equally far apart in a step.
    weights, times: labels above and below. values: on the left.
    rows: of the data table under `columns`, by the weight of their step.
    """

    identity: str
    title: str
    description: str
    interval: str
    canary: str
    control: str
    bound: str
    edges: tuple[int, ...]
    ticks: tuple[int, ...]
    bands: tuple[Band, ...]
    weights: tuple[ChartLabel, ...]
    times: tuple[ChartLabel, ...]
    values: tuple[ChartLabel, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    control_name: str
    interval_name: str
    bound_name: str
    axis_note: str
    weight: str
    zones: tuple[HoverZone, ...]

    @property
    def marks(self) -> list[tuple[Mark, str]]:
        """What the bands of the drawing mean, each once."""
        return list(dict.fromkeys((band.mark, band.words) for band in self.bands))


class Shading(Immutable):
    """A time that a chart marks, in unix seconds. words: instead of those of `mark`."""

    begin: float
    end: float
    mark: Mark
    words: str = ""


def chart(
    identity: str,
    title: str,
    trace: Trace,
    shadings: Sequence[Shading],
    bound_name: str = "limit",
    *,
    with_weight: bool = False,
) -> Chart:
    """Return the chart of `trace`; the same trace gives the same chart.

    with_weight: the weight is drawn behind it, from 0% at the lower end to 100% at the upper one,
    and no interval, which would cover it.
    """
    axis, scale = _axis(trace), _TimeScale(trace.panels)
    has_interval = not with_weight and any(one.low < one.high for one in trace.bins)
    extremes = trace.extremes or trace.form is TraceForm.LEVEL
    control = (trace.control,) if _has_control(trace) else ()
    times = [
        (panel, panel.span.begin.timestamp(), panel.span.end.timestamp() - 0.5)
        for panel in trace.panels
    ]
    unjudged = [Shading(begin, end, Mark.NOT_JUDGED) for one, begin, end in times if not one.judged]
    bounds = [(begin, end, one.bound) for one, begin, end in times if one.bound is not None]
    controls = [(one.begin, one.end, one.control) for one in trace.bins if one.control is not None]
    ticks, times_shown = scale.times()
    value_labels, axis_note = _value_labels(trace, axis)
    return Chart(
        identity=identity,
        title=title,
        description=_description(trace, axis),
        interval=_interval_path(trace.bins, scale, axis) if has_interval else "",
        canary=_line([(one.begin, one.end, one.value) for one in trace.bins], scale, axis),
        control=_line(controls, scale, axis),
        bound=_line(bounds, scale, axis),
        edges=tuple(scale.edges),
        ticks=tuple(ticks),
        bands=tuple(scale.bands([*shadings, *unjudged])),
        weights=tuple(scale.weights()),
        times=tuple(times_shown),
        values=tuple(value_labels),
        columns=("from (UTC)", "samples", "canary", "low", "high", *control),
        rows=tuple(
            (f"{panel.span.weight}%", tuple(_rows(trace, panel)))
            for panel in trace.panels
            if panel.bins
        ),
        control_name=trace.control,
        interval_name="lowest to highest window" if extremes else "95% interval",
        bound_name=bound_name,
        axis_note=axis_note,
        weight=_weight_path(trace, scale) if with_weight else "",
        zones=tuple(_zones(trace, scale)),
    )


def value_text(trace: Trace, value: float) -> str:
    """Return a value of `trace` with its unit."""
    if trace.form is TraceForm.LEVEL:
        return f"{number_text(float(f'{value:.4g}'))}\u00a0{printable(trace.unit)}".rstrip()
    return share_text(value, 3)


def share_text(share: float, digits: int = 2) -> str:
    """Return a share as a percent with so many significant digits, and no needless decimals."""
    percent = abs(share) * 100
    decimals = max(0, digits - 1 - floor(log10(percent))) if percent else 0
    return format_percent(share, min(6, decimals))


def _value_labels(trace: Trace, axis: Axis) -> tuple[list[ChartLabel], str]:
    """Return the values beside an axis, and what its legend says of it."""
    unit = printable(trace.unit) if trace.form is TraceForm.LEVEL else ""
    beside = len(unit) <= _SHORT_UNIT
    texts = [
        value_text(trace, tick) if beside else number_text(float(f"{tick:.4g}"))
        for tick in axis.ticks
    ]
    notes = [] if beside else [f"axis: {unit}"]
    if axis.low:
        notes.append(f"axis begins at {value_text(trace, axis.low)}")
    places = (100 * axis.top(tick) for tick in axis.ticks)
    return [ChartLabel(at, text) for at, text in zip(places, texts, strict=True)], "; ".join(notes)


# --- Axes -----------------------------------------------------------------------------------------


def _axis(trace: Trace) -> Axis:
    values = trace.values or [0.0, 1.0]
    if trace.form is TraceForm.FAILURES:
        return _logarithmic(trace)
    low, high = min(values), max(values)
    if trace.form is TraceForm.SHARE:
        return _linear(0.0, min(1.0, high) or 1.0)
    tight = low > _TIGHT_ABOVE * high
    margin = 0.1 * (high - low)
    return _linear(low - margin if tight else 0.0, high + margin)


def _logarithmic(trace: Trace) -> Axis:
    """Return an axis of decades from a hundredth of the bound, at most, to above every value."""
    bound = min((panel.bound for panel in trace.panels if panel.bound), default=0.001)
    lowest = min((one.value for one in trace.bins if one.value > 0), default=bound)
    low = max(floor(log10(bound)) - 2, floor(log10(min(lowest, bound * 0.99))))
    high = min(0, max(low + 2, ceil(log10(max(bound, *trace.values)))))
    ticks = (0.0, *(10.0**power for power in range(low, high + 1)))
    return Axis(0.0, 10.0**high, 10.0**low, ticks)


def _linear(low: float, high: float) -> Axis:
    """Return an axis with three to six ticks at round values."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / 4
    power = 10.0 ** floor(log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * 0.999)
    begin, end = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple(round(number * step, 12) for number in range(begin, end + 1))
    return Axis(ticks[0], ticks[-1], 0.0, ticks)


def _clamped(part: float) -> float:
    return min(1.0, max(0.0, part))


# --- Time -----------------------------------------------------------------------------------------


class _TimeScale:
    """Places unix seconds on the width of a drawing: each panel has a scale of its own."""

    def __init__(self, panels: Sequence[TracePanel]) -> None:
        self._panels: list[tuple[TracePanel, float, float, float, float]] = []
        x = 0.0
        for panel in panels:
            begin, end = (one.timestamp() for one in (panel.span.begin, panel.span.end))
            width = panel.width * WIDTH
            self._panels.append((panel, begin, max(end, begin + 1), x, width))
            x += width

    @property
    def edges(self) -> Iterator[int]:
        """Yield where the weight changes."""
        for _, _, _, x, _ in self._panels[1:]:
            yield round(x)

    def x(self, second: float) -> int:
        """Return the place of `second`: in the last panel that begins at or before it."""
        at = 0.0
        for _, begin, end, x, width in self._panels:
            if second >= begin:
                at = x + width * _clamped((second - begin) / (end - begin))
        return round(at)

    def bands(self, shadings: Sequence[Shading]) -> Iterator[Band]:
        """Yield the part of the width that each shading has; none where that is nothing."""
        for shading in shadings:
            begin, end = self.x(shading.begin), self.x(shading.end)
            if end > begin:
                yield Band(begin, end - begin, shading.mark, shading.words or shading.mark)

    def weights(self) -> Iterator[ChartLabel]:
        """Yield the weight of each panel, at its begin, where there is room for it."""
        panels = [(panel, x) for panel, _, _, x, _ in self._panels]
        for (panel, x), minor in _with_room(panels):
            yield ChartLabel(100 * x / WIDTH, f"{panel.span.weight}%", minor=minor)

    def times(self) -> tuple[list[int], list[ChartLabel]]:
        """Return the places of round times, and labels: at each begin, and where there is room."""
        ticks, labels, day = list[int](), list[ChartLabel](), None
        begins = {x: minor for (_, x), minor in _with_room([(p[0], p[3]) for p in self._panels])}
        for panel, begin, end, x, width in self._panels:
            moment, free_from = panel.span.begin, x
            if x in begins:
                date = "" if moment.date() == day else f"{moment:%d %b}"
                at = 100 * x / WIDTH
                labels.append(ChartLabel(at, f"{moment:%H:%M}", date, minor=begins[x]))
                day, free_from = moment.date(), x + _LABEL
            for between in _round_times(moment, panel.span.end, width):
                place = x + (between.timestamp() - begin) / (end - begin) * width
                ticks.append(round(place))
                if free_from + _LABEL / 2 <= place <= x + width - _LABEL / 2:
                    date = "" if between.date() == day else f"{between:%d %b}"
                    at, text = 100 * place / WIDTH, f"{between:%H:%M}"
                    labels.append(ChartLabel(at, text, date, minor=True, centered=True))
                    day = between.date()
        return ticks, labels


def _with_room(
    panels: Sequence[tuple[TracePanel, float]],
) -> Iterator[tuple[tuple[TracePanel, float], bool]]:
    """Yield the panels whose labels do not meet, and whether they would on half the width."""
    shown, shown_narrow = -float(WIDTH), -float(WIDTH)
    for panel, x in panels:
        if x - shown < _LABEL:
            continue
        minor = x - shown_narrow < 2 * _LABEL
        yield (panel, x), minor
        shown = x
        if not minor:
            shown_narrow = x


def _round_times(begin: datetime, end: datetime, width: float) -> list[datetime]:
    """Return round times after `begin` and before `end`, as close as labels on `width` allow."""
    midnight, most = datetime.combine(begin.date(), time(), UTC), width / _TICK_APART
    for minutes in _TICK_MINUTES:
        size = timedelta(minutes=minutes)
        if (end - begin) / size <= most:
            first = midnight + ((begin - midnight) // size + 1) * size
            return [first + number * size for number in range(max(0, -((first - end) // size)))]
    return []


# --- Paths ----------------------------------------------------------------------------------------


def _line(points: Sequence[tuple[float, float, float]], scale: _TimeScale, axis: Axis) -> str:
    """Return the path of a line in steps; it is broken where there is no value in between."""
    parts, last = [], None
    for begin, end, value in points:
        y = round(HEIGHT * axis.top(value))
        joined = last is not None and begin - last <= (end - begin)
        parts.append(f"V{y}" if joined else f"M{scale.x(begin)},{y}")
        parts.append(f"H{scale.x(end)}")
        last = end
    return "".join(parts)


def _interval_path(bins: Sequence[Bin], scale: _TimeScale, axis: Axis) -> str:
    parts = []
    for one in bins:
        high, low = round(HEIGHT * axis.top(one.high)), round(HEIGHT * axis.top(one.low))
        begin, end = scale.x(one.begin), scale.x(one.end)
        parts.append(f"M{begin},{high}H{end}V{low}H{begin}z")
    return "".join(parts)


def _weight_path(trace: Trace, scale: _TimeScale) -> str:
    """Return the area below the weight."""
    parts = []
    for panel in trace.panels:
        span = panel.span
        begin, end = scale.x(span.begin.timestamp()), scale.x(span.end.timestamp() - 0.5)
        y = round(HEIGHT * (1 - span.weight / 100))
        parts.append(f"M{begin},{HEIGHT}V{y}H{end}V{HEIGHT}z")
    return "".join(parts)


# --- Texts ----------------------------------------------------------------------------------------


def _description(trace: Trace, axis: Axis) -> str:
    """Return what a chart shows, for people who do not see it."""
    bins = trace.bins
    highest = max(bins, key=lambda one: one.value)
    at = clock_text(from_unix(highest.begin))
    bounds = sorted({panel.bound for panel in trace.panels if panel.bound is not None})
    limit = (
        f" Limit: {' and '.join(value_text(trace, bound) for bound in bounds)}." if bounds else ""
    )
    kind = f"begins at {value_text(trace, axis.low)}"
    if axis.floor:
        kind = "is logarithmic, with zero at its lower end"
    return (
        f"Canary over {count_text(len(trace.panels), 'step')}, in {count_text(len(bins), 'bin')}; "
        f"the highest is {value_text(trace, highest.value)} at {at}.{limit} "
        f"The vertical axis {kind}. The table below has the values."
    )


def _zones(trace: Trace, scale: _TimeScale) -> Iterator[HoverZone]:
    """Yield what the pointer shows: of a few bins each, so that the page stays small."""
    size = ceil(len(trace.bins) / _MAX_ZONES)
    for panel in trace.panels:
        for first in range(0, len(panel.bins), size):
            bins = panel.bins[first : first + size]
            begin, end = scale.x(bins[0].begin), scale.x(bins[-1].end - 0.5)
            left, width = 100 * begin / WIDTH, 100 * max(1, end - begin) / WIDTH
            yield HoverZone(left, width, _zone_text(trace, panel, bins))


def _zone_text(trace: Trace, panel: TracePanel, bins: Sequence[Bin]) -> str:
    """Return when, at which weight, and the values: the lowest to the highest of these bins."""
    text = f"{from_unix(bins[0].begin):%d %b %H:%M}, {panel.span.weight}%: "
    text += _range_text(trace, [one.value for one in bins])
    controls = [one.control for one in bins if one.control is not None]
    return f"{text}, {trace.control} {_range_text(trace, controls)}" if controls else text


def _range_text(trace: Trace, values: Sequence[float]) -> str:
    low, high = value_text(trace, min(values)), value_text(trace, max(values))
    return low if low == high else f"{low} to {high}"


def _has_control(trace: Trace) -> bool:
    return any(one.control is not None for one in trace.bins)


def _rows(trace: Trace, panel: TracePanel) -> Iterator[tuple[str, ...]]:
    has_control, day = _has_control(trace), None
    for one in panel.bins:
        begin = from_unix(one.begin)
        known = [one.value, one.low, one.high, *([one.control] if has_control else [])]
        yield (
            f"{begin:%H:%M}" if begin.date() == day else f"{begin:%d %b %H:%M}",
            number_text(round(one.samples)),
            *("–" if value is None else value_text(trace, value) for value in known),
        )
        day = begin.date()
