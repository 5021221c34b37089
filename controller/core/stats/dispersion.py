"""How much more counts vary from block to block than independent requests would."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from controller.core.judge.evidence import FrozenValue
from controller.core.units import MINUTE_S

# Fewer blocks than this teach nothing.
LEAST_BLOCKS = 8
BLOCK_MINUTES = 5


def dispersion(blocks: Iterable[tuple[float, float]]) -> float:
    """Return Pearson's chi-square per degree of freedom of (requests, hits) blocks, at least 1.

    Twice the covariance of neighbouring blocks is added, because what is bad now is bad a little
    longer (a moving-average estimate of the variance, Newey and West 1987, with one lag).
    """
    residuals = _residuals(blocks)
    if residuals is None:
        return 1.0
    return max(1.0, _variance(residuals) + max(0.0, 2 * _neighbours(residuals)))


def local_dispersion(blocks: Iterable[tuple[float, float]]) -> float:
    """Return the same from the differences of neighbours, at least 1.

    Half their mean square (von Neumann 1941) leaves out what changes slowly, like the time of day:
    a control that runs beside the canary changes along.
    """
    residuals = _residuals(blocks)
    if residuals is None:
        return 1.0
    squares = [(other - one) ** 2 for one, other in pairwise(residuals)]
    return max(1.0, sum(squares) / len(squares) / 2)


def scaled(known: FrozenValue, requests: float) -> float:
    """Return the dispersion of a minute with so many requests, from that of a baseline's blocks.

    Of what varies by itself a share stays the same, however many requests show it: 1 + n tau^2.
    A minute of a block has the dispersion of the block: where minutes vary on their own a block has
    as many of them as it has more requests, and where they vary together they add up to it.
    """
    length = (known.end - known.start) / MINUTE_S
    usual = known.samples / length if length else 0.0
    return 1 + (known.dispersion - 1) * requests / usual if usual else known.dispersion


def thinned(dispersion: float, requests: float, most: float) -> float:
    """Return the dispersion with which a minute counts as at most `most` requests.

    However much traffic there is, a wobble of one per cent is no proof of anything.
    """
    return max(dispersion, requests / most)


def _variance(residuals: Sequence[float]) -> float:
    return sum(one * one for one in residuals) / (len(residuals) - 1)


def _neighbours(residuals: Sequence[float]) -> float:
    return sum(one * other for one, other in pairwise(residuals)) / (len(residuals) - 1)


def _residuals(blocks: Iterable[tuple[float, float]]) -> list[float] | None:
    """Return how far each block is off, in standard deviations; None for too few of them."""
    seen = [(requests, hits) for requests, hits in blocks if requests > 0]
    total, hits = sum(one for one, _ in seen), sum(one for _, one in seen)
    share = hits / total if total else 0.0
    if len(seen) < LEAST_BLOCKS or not 0 < share < 1:
        return None
    return [
        (hits - requests * share) / (requests * share * (1 - share)) ** 0.5
        for requests, hits in seen
    ]
