"""A story that breaks an invariant, made as small as it gets: what is left is what it takes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tests.chaos.fault_plan import Plot
from tests.chaos.trace import Story

# So many stories are played at most to make one smaller.
MOST_TRIES: Final = 300


def shrunk(story: Story, play: Callable[[Plot], Story]) -> Story:
    """Return the smallest story found that breaks the first invariant which `story` breaks.

    play: plays a plot. A story that breaks nothing is returned as it is.
    """
    if not story.violations:
        return story
    broken, left = story.violations[0].invariant, MOST_TRIES
    while left > 0:
        for plot in _smaller(story.plot):
            left -= 1
            tried = play(plot)
            if any(one.invariant == broken for one in tried.violations):
                story = tried
                break
            if left <= 0:
                return story
        else:
            return story
    return story


def _smaller(plot: Plot) -> Iterator[Plot]:
    """Yield smaller plots: halves first, then quarters, and so on; then what one fault less is."""
    faults = plot.faults
    size = len(faults) // 2
    while size > 1:
        for begin in range(0, len(faults), size):
            yield replace(plot, faults=(*faults[:begin], *faults[begin + size :]))
        size //= 2
    yield from plot.simpler()
