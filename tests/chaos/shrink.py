"""A story that breaks an invariant, made as small as it gets: what is left is what it takes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tests.chaos.fault_plan import FaultPlan
from tests.chaos.trace import Trace

# So many stories are played at most to make one smaller.
MOST_TRIES: Final = 300


def shrink(trace: Trace, play: Callable[[FaultPlan], Trace]) -> Trace:
    """Return the smallest story found that breaks the first invariant which `trace` breaks.

    play: plays a plot. A story that breaks nothing is returned as it is.
    """
    if not trace.violations:
        return trace
    broken, left = trace.violations[0].invariant, MOST_TRIES
    while left > 0:
        for plot in _candidates(trace.plan):
            left -= 1
            tried = play(plot)
            if any(one.invariant == broken for one in tried.violations):
                trace = tried
                break
            if left <= 0:
                return trace
        else:
            return trace
    return trace


def _candidates(plan: FaultPlan) -> Iterator[FaultPlan]:
    """Yield smaller plots: halves first, then quarters, and so on; then what one fault less is."""
    faults = plan.faults
    size = len(faults) // 2
    while size > 1:
        for begin in range(0, len(faults), size):
            yield replace(plan, faults=(*faults[:begin], *faults[begin + size :]))
        size //= 2
    yield from plan.reductions()
