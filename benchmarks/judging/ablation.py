"""The refinements of the judge of latencies, each of which can be left out of a benchmark.

The product has no such switch: a function or a constant is replaced in this process.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Final

from controller.core.judge import baseline_drift
from controller.core.judge.criteria import latency_increase_tail as tail
from controller.core.stats import dispersion, hangs, two_sample

# A part of the budget so small that it leaves all of it to other tests.
_NO_PART: Final = 1e-12


def _proves_nothing(
    ratios: Callable[..., Sequence[float]],
) -> Callable[..., Sequence[float]]:
    return lambda *counts: (0.0,) * len(ratios(*counts))


def _unchanged(share: float, *_: object) -> float:
    return share


def _as_if_independent(*_: object) -> float:
    return 1.0


_Replacements = Sequence[tuple[Any, str, Any]]
"""Module, name, and what takes its place."""

REFINEMENTS: Final[Mapping[str, _Replacements]] = {
    "hangs": (
        (hangs, "log_ratios", _proves_nothing(hangs.log_ratios)),
        (tail, "_HANG_PART", _NO_PART),
    ),
    "cold-start": ((tail, "_WARMING_S", 0),),
    "five-minutes": ((tail, "_SETTLED_MINUTES", tail._MINUTES),),
    "another-day": ((baseline_drift, "share_today", _unchanged),),
    "dispersion": ((dispersion, "minute_dispersion", _as_if_independent),),
    "minute-cap": ((tail, "MAX_EFFECTIVE_REQUESTS", inf),),
    "baseline-doubt": ((two_sample, "baseline_share_bound", _unchanged),),
}


def leave_out(refinement: str) -> None:
    """Replace what makes `refinement`, for the rest of this process."""
    for module, name, replacement in REFINEMENTS[refinement]:
        assert hasattr(module, name)
        setattr(module, name, replacement)
