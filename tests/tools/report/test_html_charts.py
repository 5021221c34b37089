"""Charts of a page: what an axis shows, and where a line breaks."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.immutable import replace
from controller.operations.recorded.series import WeightSpan
from controller.operations.recorded.trace import Bin, Trace, TraceForm, TracePanel, panel_widths
from controller.render.html.chart import Chart, Mark, Shading, chart
from tests.support.hostile import HOSTILE_TEXTS, unsafe_parts

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def a_trace(
    form: TraceForm, values: dict[int, float], bound: float | None = None, *, minutes: int = 60
) -> Trace:
    """Return a trace of one step: a value for each minute after nine."""
    begin = int(NINE.timestamp())
    bins = tuple(
        Bin(begin + 60 * at, begin + 60 * at + 60, 1_000.0, value, value, value)
        for at, value in values.items()
    )
    span = WeightSpan(0, 10, NINE, NINE + minutes * MINUTE)
    return Trace(
        form,
        "ms" if form is TraceForm.LEVEL else "",
        (TracePanel(span, 1.0, bins, bound, True),),
    )


def drawn(trace: Trace, *shadings: Shading) -> Chart:
    return chart("c", "errors", trace, shadings)


def heights(path: str) -> list[int]:
    """Return how far below the upper end each level of a line is, of 400."""
    return [int(one) for one in re.findall(r"(?:,|V)(\d+)", path)]


def test_a_tenth_of_a_percent_and_a_whole_outage_are_readable_at_once() -> None:
    one = drawn(a_trace(TraceForm.FAILURES, {0: 0.0, 1: 0.001, 2: 0.05, 3: 1.0}, 0.001))
    zero, tenth, burst, outage = heights(one.canary)
    assert (outage, zero) == (0, 400)
    assert outage < burst < tenth < zero
    assert min(zero - tenth, tenth - burst, burst - outage) > 40
    assert {label.text for label in one.values} >= {"0%", "0.1%", "1%", "100%"}


@given(
    st.sampled_from(list(TraceForm)),
    st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=20),
    st.floats(1e-4, 1.0) | st.none(),
)
def test_every_value_is_inside_of_its_chart_in_order(
    form: TraceForm, values: list[float], bound: float | None
) -> None:
    one = drawn(a_trace(form, dict(enumerate(sorted(values))), bound))
    levels = heights(one.canary)
    assert levels == sorted(levels, reverse=True)
    assert all(0 <= level <= 400 for level in [*levels, *heights(one.bound)])
    assert 2 <= len(one.values) <= 12


def test_a_line_is_broken_where_nothing_was_measured() -> None:
    one = drawn(a_trace(TraceForm.FAILURES, {0: 0.01, 1: 0.01, 30: 0.01}, 0.001))
    assert one.canary.count("M") == 2


def test_a_shaded_time_is_a_band_of_the_width_and_is_named_once() -> None:
    begin = NINE.timestamp()
    marks = [Shading(begin, begin + 900, Mark.REGRESSION), Shading(begin, begin, Mark.NOT_FINAL)]
    one = drawn(a_trace(TraceForm.FAILURES, {0: 0.01}, 0.001), *marks)
    assert [(band.x, band.width) for band in one.bands] == [(0, 500)]
    assert one.marks == [(Mark.REGRESSION, "the regression")]


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=40))
def test_times_of_a_step_are_equally_far_apart_and_no_label_covers_another(
    minutes: list[int],
) -> None:
    """A label is at most 4% wide where the page is, and twice that on a narrow screen."""
    begins = [NINE + sum(minutes[:step]) * MINUTE for step in range(len(minutes) + 1)]
    spans = [WeightSpan(0, 10, begin, end) for begin, end in pairwise(begins)]
    at_nine = Bin(int(NINE.timestamp()), int(NINE.timestamp()) + 60, 10.0, 0.0, 0.0, 0.0)
    panels = tuple(
        TracePanel(span, width, (at_nine,) if span.begin == NINE else (), None, True)
        for span, width in zip(spans, panel_widths(spans), strict=True)
    )
    one = drawn(Trace(TraceForm.FAILURES, "", panels))
    for begin, end in pairwise([0, *one.edges, 2_000]):
        inside = [x for x in one.ticks if begin < x < end]
        apart = [after - before for before, after in pairwise(inside)]
        assert not apart or max(apart) - min(apart) <= 1
    shown = [(at.at - 2 * at.centered, at.at + 4 - 2 * at.centered) for at in one.times]
    assert all(after[0] > before[1] for before, after in pairwise(shown))
    narrow = [label.at for label in one.times if not label.minor]
    assert all(after - before > 8 for before, after in pairwise(narrow))


def test_a_long_unit_is_written_once() -> None:
    trace = replace(a_trace(TraceForm.LEVEL, {0: 9_000.0, 1: 1.0}), unit="requests")
    one = drawn(trace)
    assert [label.text for label in one.values] == ["0", "2,500", "5,000", "7,500", "10,000"]
    assert one.axis_note == "axis: requests"


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_the_unit_of_a_stored_policy_is_printable(text: str) -> None:
    one = drawn(replace(a_trace(TraceForm.LEVEL, {0: 240.0}, 250.0), unit=text))
    shown = [one.description, *(label.text for label in one.values), *one.rows[0][1][0]]
    assert [part for cell in shown for part in unsafe_parts(cell)] == []
