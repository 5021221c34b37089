"""Where the rows of `decide` lead: the next state, its record and its notices."""

from controller.core.transitions.back import (
    found_at_zero,
    guarding_zero,
    lower,
    lowering,
    rolled_back,
    rolling_back,
)
from controller.core.transitions.climb import (
    baking,
    created,
    evidence_entry,
    holding,
    next_step,
    settled,
    waiting,
    write_again,
)
from controller.core.transitions.outlook import held_too_long, not_in_force, outlook
from controller.core.transitions.pause import (
    drift_in_final,
    drifted,
    inconclusive,
    raise_uncertain,
    reminder,
)

__all__ = [
    "baking",
    "created",
    "drift_in_final",
    "drifted",
    "evidence_entry",
    "found_at_zero",
    "guarding_zero",
    "held_too_long",
    "holding",
    "inconclusive",
    "lower",
    "lowering",
    "next_step",
    "not_in_force",
    "outlook",
    "raise_uncertain",
    "reminder",
    "rolled_back",
    "rolling_back",
    "settled",
    "waiting",
    "write_again",
]
