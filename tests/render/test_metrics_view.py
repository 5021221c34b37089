"""The table of gauges, as text and as data."""

from datetime import timedelta

import pytest

from controller.operations.metrics_view import ExpectedRange, Gauge, GaugeStatus, Unit
from controller.render.metrics_view import gauges_data, gauges_page
from controller.render.page import plain_text
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


def test_a_table_of_gauges() -> None:
    assert plain_text(gauges_page("orders", ROWS, 3, NOON, timedelta(minutes=2))).split("\n") == [
        "orders, 3 minutes until 2026-11-24 12:00 UTC",
        "",
        "                   value  expected                         by minute",
        "requests Sum       2 202                                   ▃█▁",
        "latency p95     512.4 ms  ≤ 500 ms (p95)  NOT as expected  ▁█·",
        "SC-004            99.95%  ≥ 99.9%         as expected      █▁█",
        "SC-003             +3.1%                  as expected      ▁▁█",
        "4XXError Sum  no traffic                                   ···",
        "direct p95      not read                                   ···",
        "",
        "A count is the sum of these minutes, a latency its highest minute, and a latency compared "
        "with another metric its median minute. Minutes of the last 2m may still grow and are not "
        "judged yet.",
        "not read: AccessDenied",
    ]


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


def test_as_data_a_value_has_the_digits_that_were_measured() -> None:
    rows = [
        Gauge("requests Sum", Unit.COUNT, "", 2_202.0, (), GaugeStatus.NOTHING_EXPECTED, (700.0,)),
        Gauge("p95", Unit.LEVEL, "ms", 512.43719, (), GaugeStatus.NOTHING_EXPECTED, (400.04,)),
        Gauge("works", Unit.SHARE, "", 2_201 / 2_202, (), GaugeStatus.AS_EXPECTED, (1.0,)),
    ]
    gauges = gauges_data("orders", rows, 3, NOON)["gauges"]
    assert [(one["value"], one["points"]) for one in gauges] == [
        (2_202, [700]), (512.4, [400]), (0.999546, [1]),
    ]  # fmt: skip
    assert isinstance(gauges[0]["value"], int)
