"""Whether what is live is what a rollout says, and what the application does of it. Pure."""

from controller.core.verification.shares import EVENTS, Counts, counts_of, of_events, of_metrics
from controller.core.verification.standing import of_drain, of_reach, of_rollout, of_target
from controller.core.verification.stretch import Stretch, stretch_of

__all__ = [
    "EVENTS",
    "Counts",
    "Stretch",
    "counts_of",
    "of_drain",
    "of_events",
    "of_metrics",
    "of_reach",
    "of_rollout",
    "of_target",
    "stretch_of",
]
