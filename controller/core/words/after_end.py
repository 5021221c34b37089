"""Texts about the time after a rollout: what was released without one, and the stable path."""

from controller.core.observation import TargetReading
from controller.core.rollout import Rollout, StableUse
from controller.core.units import clock_text

# A CodeSha256 has 44 characters; the first 12 tell revisions apart.
REVISION_PREFIX_LENGTH = 12


def changed_text(rollout: Rollout, target: TargetReading) -> str:
    """Return how the function changed since `rollout` ended; empty where it did not.

    Empty for another kind of target: what it serves shows in its weight.
    """
    known = rollout.token_at_end
    if not known or target.token == known:
        return ""
    noun, ended = (
        rollout.policy.target.resource_word,
        f"{rollout.id} ended ({clock_text(rollout.since)})",
    )
    change = "its settings were changed (it has another RevisionId)"
    if rollout.is_other_code(target.code):
        now, before = (one[:REVISION_PREFIX_LENGTH] for one in (target.code, rollout.revision))
        change = f"its code is {now}, and {rollout.id} rolled out {before}"
    return f"the {noun} was changed without a rollout since {ended}: {change}"


def stable_path_text(rollout: Rollout, use: StableUse) -> str:
    """Return since when the stable path has had no request, and which metric says it."""
    metrics = " and ".join(rollout.policy.stable_requests)
    read = f"{metrics}, read up to {clock_text(use.through)}"
    applied = rollout.live.since if rollout.live else rollout.since
    if use.through <= applied:
        return f"its use is not known: {metrics} had no complete answer at {clock_text(use.read)}"
    if use.used is not None and use.used >= use.through:
        return f"in use in the newest hour ({read})"
    return f"unused since {clock_text(max(applied, use.used or applied))} ({read})"
