"""The small worlds that `make test` explores: each start state and each actor is in one of them.

Every table has a row for each start state. A world is chosen for its size: all of them together
take a few seconds, and `make test-deep` explores every world.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.exhaustive.start_states import FAILS_IN_A_FREEZE

FAST_SAMPLE: Final[Mapping[str, Sequence[str]]] = {
    "just started": ["two ticks", "a tick and a rollback"],
    "the first raise saved, not written": ["a tick and a person sets 10 %"],
    "the first raise in flight": ["a tick and a person sets 50 %"],
    "a pass due": ["a tick and a person sets 0 %"],
    "a raise saved, not written": ["a tick and a person sets 50 % by force"],
    FAILS_IN_A_FREEZE: ["a tick and a person sets 100 %"],
    "a raise in flight": ["two ticks", "a tick and a bare rollback"],
    "the last pass due": ["a tick and a pause"],
    "adopted": ["two ticks"],
    "paused": ["a tick and a resume"],
    "drifted": ["a tick and a resume --keep", "a tick and a resume --restore"],
    "the hold over": ["a tick and a promotion"],
    "a fail due": ["a tick and a person sets 5 %"],
    "a fail due in a pause": ["a tick and a resume"],
    "lowered, not recorded": ["two ticks"],
    "rolling back": ["a tick and a deployment"],
    "rolled back": ["two ticks"],
}
SLOW_SAMPLE: Final[Mapping[str, Sequence[str]]] = {
    "just started": ["a tick and a rollback"],
    "the first raise saved, not written": ["a tick and a deployment"],
    "the first raise in flight": ["two ticks"],
    "a pass due": ["a tick and a person sets 0 %"],
    "a raise saved, not written": ["two ticks"],
    "a raise in flight": ["a tick and a bare rollback"],
    "the last pass due": ["two ticks"],
    "adopted": ["two ticks"],
    "paused": ["two ticks"],
    "drifted": ["two ticks"],
    "the hold over": ["two ticks"],
    "a fail due": ["two ticks"],
    "lowered, not recorded": ["a tick and a person sets 100 %"],
    "rolling back": ["two ticks"],
    "rolled back": ["two ticks"],
}
