"""The dispersion of counts: how much more they vary between blocks than independent requests."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.units import MINUTE_S

# Fewer blocks than this are not enough for an estimate.
MIN_BLOCKS = 8
BLOCK_MINUTES = 5


def dispersion(blocks: Iterable[tuple[float, float]]) -> float:
    """Return Pearson's chi-square per degree of freedom of (requests, hits) blocks, at least 1.

    Twice the covariance of neighbouring blocks is added, because what is bad now is bad a little
    longer (a moving-average estimate of the variance, Newey and West 1987, with one lag).
    """
    residuals = _residuals(blocks)
    if residuals is None:
        return 1.0
    return max(1.0, _variance(residuals) + max(0.0, 2 * _autocovariance(residuals)))


def hourly_dispersion(blocks: Iterable[tuple[int, float, float]], hours: Sequence[float]) -> float:
    """Return the dispersion around the shares of `hours` of (unix second, requests, hits) blocks.

    What comes back at the same time of day is not counted, because it is expected.
    """
    residuals = [
        (hits - requests * share) / (requests * share * (1 - share)) ** 0.5
        for at, requests, hits in blocks
        if requests > 0 and 0 < (share := hours[at // 3_600 % len(hours)]) < 1
    ]
    if len(residuals) < MIN_BLOCKS:
        return 1.0
    return max(1.0, _variance(residuals) + max(0.0, 2 * _autocovariance(residuals)))


def local_dispersion(blocks: Iterable[tuple[float, float]]) -> float:
    """Return the dispersion from the differences of neighbouring blocks, at least 1.

    Half their mean square (von Neumann 1941) leaves out what changes slowly, like the time of day:
    a control that runs beside the canary changes along.
    """
    residuals = _residuals(blocks)
    if residuals is None:
        return 1.0
    squares = [(other - one) ** 2 for one, other in pairwise(residuals)]
    return max(1.0, sum(squares) / len(squares) / 2)


def minute_dispersion(baseline: BaselineMeasurement, requests: float) -> float:
    """Return the dispersion of a minute with `requests`, from that of a baseline's blocks.

    A share that varies by itself does so however many requests there are: 1 + n tau^2.
    A minute of a block has the dispersion of the block: where minutes vary on their own a block has
    as many of them as it has more requests, and where they vary together they add up to it.
    """
    minutes = (baseline.end - baseline.start) / MINUTE_S
    usual = baseline.samples / minutes if minutes else 0.0
    return 1 + (baseline.dispersion - 1) * requests / usual if usual else baseline.dispersion


def cap_effective_samples(dispersion: float, requests: float, max_requests: float) -> float:
    """Return the dispersion with which a minute counts as at most `max_requests` requests.

    However much traffic there is, a deviation of one per cent is no proof of a regression.
    """
    return max(dispersion, requests / max_requests)


def _variance(residuals: Sequence[float]) -> float:
    return sum(residual * residual for residual in residuals) / (len(residuals) - 1)


def _autocovariance(residuals: Sequence[float]) -> float:
    return sum(one * other for one, other in pairwise(residuals)) / (len(residuals) - 1)


def _residuals(blocks: Iterable[tuple[float, float]]) -> list[float] | None:
    """Return how far each block is off, in standard deviations; None for too few blocks."""
    nonempty = [(requests, hits) for requests, hits in blocks if requests > 0]
    total, hits = sum(one for one, _ in nonempty), sum(one for _, one in nonempty)
    share = hits / total if total else 0.0
    if len(nonempty) < MIN_BLOCKS or not 0 < share < 1:
        return None
    return [
        (hits - requests * share) / (requests * share * (1 - share)) ** 0.5
        for requests, hits in nonempty
    ]
