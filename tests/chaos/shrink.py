"""Shrinks a fault plan that breaks an invariant to the faults that are needed for it."""

from collections.abc import Callable, Iterator
from typing import Final

from controller.immutable import replace
from tests.chaos.fault_plan import FaultPlan
from tests.chaos.trace import Trace

# The number of runs after which shrinking ends.
MOST_TRIES: Final = 300


def shrink(trace: Trace, play: Callable[[FaultPlan], Trace]) -> Trace:
    """Return the trace of the smallest plan found that breaks the first invariant of `trace`.

    play: runs a plan. A trace without violations is returned as it is.
    """
    if not trace.violations:
        return trace
    invariant, tries_left = trace.violations[0].invariant, MOST_TRIES
    while tries_left > 0:
        for candidate in _candidates(trace.plan):
            tries_left -= 1
            shorter = play(candidate)
            if any(violation.invariant == invariant for violation in shorter.violations):
                trace = shorter
                break
            if tries_left <= 0:
                return trace
        else:
            return trace
    return trace


def _candidates(plan: FaultPlan) -> Iterator[FaultPlan]:
    """Yield smaller plans: without one half, one quarter, and so on; then without one fault."""
    faults = plan.faults
    size = len(faults) // 2
    while size > 1:
        for begin in range(0, len(faults), size):
            yield replace(plan, faults=(*faults[:begin], *faults[begin + size :]))
        size //= 2
    yield from plan.reductions()
