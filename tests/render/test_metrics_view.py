"""Gauges: missing data is no 0, neither as data nor in a sparkline."""

import pytest

from controller.operations.metrics_view import ExpectedRange, Gauge, GaugeStatus, Unit
from controller.render.metrics_view import gauges_data
from controller.render.sparkline import sparkline
from tests.support.rollouts import NOON

AT_MOST = ExpectedRange("p95", "≤ 500 ms", high=500)
ROWS = [
    Gauge("requests Sum", Unit.COUNT, "", 2_202, (), GaugeStatus.NOTHING_EXPECTED, (700, 900, 602)),
    Gauge(
        "latency p95", Unit.LEVEL, "ms", 512.4, (AT_MOST,), GaugeStatus.NOT_AS_EXPECTED,
        (400, 512.4, None),
    ),
    Gauge(
        "SC-004", Unit.SHARE, "", 0.9995, (ExpectedRange("SC-004", "≥ 99.9%", low=0.999),),
        GaugeStatus.AS_EXPECTED, (1.0, 0.999, 1.0), "1 failure in 2 202 requests",
    ),
    Gauge("SC-003", Unit.INCREASE, "", 0.031, (), GaugeStatus.AS_EXPECTED, (0.03, 0.031, 0.05)),
    Gauge("4XXError Sum", Unit.COUNT, "", None, (), GaugeStatus.NO_TRAFFIC, (None, None, None)),
    Gauge(
        "direct p95", Unit.LEVEL, "", None, (), GaugeStatus.NOT_READ, (None,) * 3, "AccessDenied"
    ),
]  # fmt: skip


def test_missing_data_is_null_and_never_0() -> None:
    data = gauges_data("orders", ROWS, 3, NOON)
    without_data = data["gauges"][4]
    assert (without_data["value"], without_data["standing"], without_data["points"]) == (
        None, "no traffic", [None, None, None],
    )  # fmt: skip
    assert data["gauges"][0]["standing"] is None
    assert data["end"] == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize(
    ("points", "line"),
    [
        pytest.param([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█", id="from the lowest to the highest"),
        pytest.param([5, 5, 5], "▁▁▁", id="all alike is no height"),
        pytest.param([0, None, 9], "▁·█", id="nothing is no 0"),
        pytest.param([], "", id="no minute"),
    ],
)
def test_a_sparkline(points: list[float | None], line: str) -> None:
    assert sparkline(points) == line
