"""A memo of folds over time: a process that ticks again folds only what is new or has changed.

A fold goes through the windows of some series in order. What it gave at the end of a window stays
right as long as nothing before that end has changed. The memo saves time, and changes no result.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from itertools import compress, count, islice
from math import inf
from operator import ne
from typing import Final, Generic, NamedTuple, TypeVar

from controller.core.observation import QueryStatus, Series

T = TypeVar("T")

# How many folds are remembered. A process that ticks once needs none, and one that goes on ticking
# has few rollouts, each with a fold for each criterion.
_CAPACITY: Final = 256


class _Known(NamedTuple, Generic[T]):
    """What was folded: from which inputs and series, and the result by end of its last window."""

    inputs: tuple[object, ...]
    series: Mapping[str, Series]
    results: dict[int, T]


class FoldMemo(Generic[T]):
    """The results of the newest folds, by key."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, _Known[T]] = OrderedDict()

    def results(
        self, key: Hashable, inputs: tuple[object, ...], series: Mapping[str, Series]
    ) -> dict[int, T]:
        """Return the results that still hold, by the end of their last window in unix seconds.

        The caller adds those that it makes. inputs: everything else that the results follow from.
        series: all that is folded. One without a complete answer is folded and not remembered.
        """
        known = self._known.pop(key, None)
        if any(one.status is not QueryStatus.COMPLETE for one in series.values()):
            return {}
        results: dict[int, T] = {}
        if known is not None and known.inputs == inputs:
            limit = _first_change(known.series, series)
            results = {end: one for end, one in known.results.items() if end <= limit}
        self._known[key] = _Known(inputs, series, results)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)
        return results


def _first_change(old: Mapping[str, Series], new: Mapping[str, Series]) -> float:
    """Return the first second with another datapoint; inf: there is none, 0: other series."""
    if old.keys() != new.keys():
        return 0
    changed = (
        _first_difference(old[key].points, series.points)
        for key, series in new.items()
        if old[key] is not series  # of the same observation
    )
    return min(changed, default=inf)


def _first_difference(old: Mapping[int, float], new: Mapping[int, float]) -> float:
    """Return the first second with another datapoint; inf: there is none.

    Two ticks read mostly the same datapoints, in the same order: only what follows is compared as
    a set.
    """
    differs = map(ne, old.items(), new.items())
    same = next(compress(count(), differs), min(len(old), len(new)))
    changed = {*islice(old.items(), same, None)} ^ {*islice(new.items(), same, None)}
    return min((second for second, _ in changed), default=inf)
