"""Values over time as a line of characters."""

from collections.abc import Sequence
from typing import Final

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = "·"  # missing data


def sparkline(points: Sequence[float | None]) -> str:
    """Return a character for each of `points`, scaled from the lowest to the highest of them.

    Equal points are all at the bottom: the height shows differences, not amounts.
    """
    known = [point for point in points if point is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def height(point: float) -> str:
        share = (point - low) / (high - low) if high > low else 0.0
        return _HEIGHTS[min(int(share * len(_HEIGHTS)), len(_HEIGHTS) - 1)]

    return "".join(_GAP if point is None else height(point) for point in points)
