"""How much more counts vary from block to block than independent requests would."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

# Fewer blocks than this teach nothing.
_LEAST_BLOCKS = 8


def dispersion(blocks: Iterable[tuple[float, float]]) -> float:
    """Return Pearson's chi-square per degree of freedom of (requests, hits) blocks, at least 1.

    Twice the covariance of neighbouring blocks is added, because what is bad now is bad a little
    longer (a moving-average estimate of the variance, Newey and West 1987, with one lag).
    """
    seen = [(requests, hits) for requests, hits in blocks if requests > 0]
    total, hits = sum(one for one, _ in seen), sum(one for _, one in seen)
    share = hits / total if total else 0.0
    if len(seen) < _LEAST_BLOCKS or not 0 < share < 1:
        return 1.0
    residuals = [
        (hits - requests * share) / (requests * share * (1 - share)) ** 0.5
        for requests, hits in seen
    ]
    return max(1.0, _variance(residuals) + max(0.0, 2 * _neighbours(residuals)))


def thinned(dispersion: float, requests: float, most: float) -> float:
    """Return the dispersion with which a minute counts as at most `most` requests.

    However much traffic there is, a wobble of one per cent is no proof of anything.
    """
    return max(dispersion, requests / most)


def _variance(residuals: Sequence[float]) -> float:
    return sum(one * one for one in residuals) / (len(residuals) - 1)


def _neighbours(residuals: Sequence[float]) -> float:
    return sum(one * other for one, other in pairwise(residuals)) / (len(residuals) - 1)
