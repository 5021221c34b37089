"""Where the rows of `decide` lead: the next state, its record and its notices."""

from controller.core.transitions.back import (
    drained,
    ended_at_zero,
    found_at_zero,
    guarding_zero,
    lower,
    lowering,
    rolled_back,
    rolling_back,
    unconfirmed,
)
from controller.core.transitions.barrier import Barrier, barrier, held_up, put_off, waited
from controller.core.transitions.climb import (
    baking,
    created,
    evidence_entry,
    holding,
    next_step,
    promoted,
    settled,
    waiting,
)
from controller.core.transitions.outlook import held_too_long, outlook
from controller.core.transitions.pause import (
    drift_in_final,
    drifted,
    exposed_again,
    inconclusive,
    reminder,
)
from controller.core.transitions.person import (
    approved,
    kept,
    paused_by_hand,
    restored,
    resumed,
    set_by_hand,
    undisturbed,
)
from controller.core.transitions.raising import failed, moving, unseen, untraced, unwritten
from controller.core.transitions.sight import sighted

__all__ = [
    "Barrier",
    "approved",
    "baking",
    "barrier",
    "created",
    "drained",
    "drift_in_final",
    "drifted",
    "ended_at_zero",
    "evidence_entry",
    "exposed_again",
    "failed",
    "found_at_zero",
    "guarding_zero",
    "held_too_long",
    "held_up",
    "holding",
    "inconclusive",
    "kept",
    "lower",
    "lowering",
    "moving",
    "next_step",
    "outlook",
    "paused_by_hand",
    "promoted",
    "put_off",
    "reminder",
    "restored",
    "resumed",
    "rolled_back",
    "rolling_back",
    "set_by_hand",
    "settled",
    "sighted",
    "unconfirmed",
    "undisturbed",
    "unseen",
    "untraced",
    "unwritten",
    "waited",
    "waiting",
]
