"""A lost compare-and-swap: what a move becomes when another run saved the rollout first."""

from dataclasses import replace
from datetime import datetime

from controller.core import transitions as to
from controller.core.decide import decide
from controller.core.decision import Decision
from controller.core.observation import Observation, TargetReading, UnreadableTarget
from controller.core.rollout import Phase, Reason, Rollout

# The `verb` in the record of such a decision, where a command has its own.
LOST_RACE = "overtaken"


def rebase_rollback(
    stored: Rollout, lowered: Decision, observation: Observation, now: datetime
) -> Decision:
    """Return the rollback `lowered` as a decision on `stored`, which another run saved meanwhile.

    Traffic is at 0 % already, for a known reason. That comes before any decision of the other run,
    except for a rollback with a reason of its own. A 0 % that the other run only found is the one
    that `lowered` wrote.
    """
    now = max(now, stored.updated)
    rolled_back = lowered.rollout
    if rolled_back.phase is Phase.ROLLED_BACK and stored.phase is Phase.ROLLED_BACK:
        # The watch after the rollback wrote 0 % again.
        decision = to.lower_again(replace(stored, updated=now), now)
        return _with_cause(decision, Reason.GUARDING_ZERO, "")
    if stored.phase in to.ROLLBACK_PHASES and stored.reason not in to.EXTERNAL_ZERO_REASONS:
        return decide(stored, observation, now)
    stored = replace(stored, updated=now, findings=rolled_back.findings)
    weight = observation.target.weight if isinstance(observation.target, TargetReading) else None
    decision = to.roll_back(stored, rolled_back.reason, rolled_back.sentence, weight, now)
    decision = to.with_visibility(stored, decision, observation, now)
    return _with_cause(decision, rolled_back.reason, rolled_back.sentence)


def undo_late_raise(
    stored: Rollout, raised: Rollout, observation: Observation, now: datetime
) -> Decision:
    """Return the decision on `stored`, which was rolled back before `raised` was written.

    The weight of `raised` is the rollout's own, and is lowered however long ago the rollback was
    and whichever rollout owns the target by now. Any other weight is left to `decide`.
    """
    is_own_weight = (
        isinstance(observation.target, UnreadableTarget)
        or observation.target.weight == raised.weight
    )
    if stored.phase is Phase.ROLLED_BACK and is_own_weight:
        return rebase_rollback(
            stored, Decision(replace(raised, phase=stored.phase)), observation, now
        )
    return decide(stored, observation, now)


def _with_cause(decision: Decision, reason: Reason, sentence: str) -> Decision:
    """Return `decision` with the reason of the rollback in its record."""
    if decision.record is None:
        return decision
    because = {"verb": LOST_RACE, "reason": str(reason), "sentence": sentence}
    return replace(decision, record=replace(decision.record, because=because))
