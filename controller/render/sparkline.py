"""A series in one line: its height minute by minute, and a dot where there was nothing."""

from collections.abc import Sequence
from typing import Final

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = "·"


def sparkline(points: Sequence[float | None]) -> str:
    """Return a character for each of `points`, from the lowest to the highest of them.

    Points that are all alike stand at the bottom: height says difference, and no amount.
    """
    known = [point for point in points if point is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def height(point: float) -> str:
        share = (point - low) / (high - low) if high > low else 0.0
        return _HEIGHTS[min(int(share * len(_HEIGHTS)), len(_HEIGHTS) - 1)]

    return "".join(_GAP if point is None else height(point) for point in points)
