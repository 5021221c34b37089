"""The small worlds that `make test` explores; `make test-deep` explores every world."""

from collections import Counter
from collections.abc import Iterator

from tests.exhaustive.search_cases import world_names
from tests.exhaustive.start_states import START_STATES, StartState


def sample() -> Iterator[tuple[StartState, bool, str]]:
    """Yield a world for every third start state and the last one.

    A world is a start state, whether updates are slow, and its name. Every third world has slow
    updates, where those are explored. Its actors are those that were in the fewest worlds before.
    """
    used = Counter[str]()
    for number, start in enumerate((*START_STATES[::3], START_STATES[-1])):
        slow_names = world_names(start, slow=True) if number % 3 == 2 else []
        name = min(
            slow_names or world_names(start, slow=False), key=lambda slow_name: used[slow_name]
        )
        used[name] += 1
        yield start, bool(slow_names), name
