"""Gauges: missing data is no 0, neither as data nor in a sparkline."""

from controller.render.page import sparkline
from tests.support.cases import cases


@cases("points, line", {
    "from the lowest to the highest": ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
    "all alike is no height": ([5, 5, 5], "▁▁▁"),
    "nothing is no 0": ([0, None, 9], "▁·█"),
    "no minute": ([], ""),
})  # fmt: skip
def test_a_sparkline(points: list[float | None], line: str) -> None:
    assert sparkline(points) == line
