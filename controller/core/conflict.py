"""A run that acts while another one saves: what its move becomes on what is stored by then."""

from dataclasses import replace
from datetime import datetime

from controller.core import transitions as to
from controller.core.decide import decide
from controller.core.decision import Decision
from controller.core.observation import Observation, TargetReading, UnreadableTarget
from controller.core.rollout import Phase, Reason, Rollout

# What the record of such a decision says instead of a person's verb.
LOST_RACE = "overtaken"


def rebase_rollback(
    stored: Rollout, lowered: Decision, observation: Observation, now: datetime
) -> Decision:
    """Return what `lowered` becomes on `stored`, which another run saved meanwhile.

    Traffic is down already, and why is known: that goes before whatever the other run has decided,
    unless it went back for a reason of its own. A 0 % that it merely found was ours.
    """
    now = max(now, stored.updated)
    known = lowered.rollout
    if known.phase is Phase.ROLLED_BACK and stored.phase is Phase.ROLLED_BACK:  # zero was guarded
        decision = to.lower_again(replace(stored, updated=now), now)
        return _with_cause(decision, Reason.GUARDING_ZERO, "")
    if stored.phase in to.ROLLBACK_PHASES and stored.reason not in to.EXTERNAL_ZERO_REASONS:
        return decide(stored, observation, now)
    stored = replace(stored, updated=now, findings=known.findings)
    weight = observation.target.weight if isinstance(observation.target, TargetReading) else None
    decision = to.roll_back(stored, known.reason, known.sentence, weight, now)
    decision = to.with_visibility(stored, decision, observation, now)
    return _with_cause(decision, known.reason, known.sentence)


def undo_late_raise(
    stored: Rollout, raised: Rollout, observation: Observation, now: datetime
) -> Decision:
    """Return what becomes of `stored`, which went back before the weight of `raised` was written.

    That weight is ours, and is lowered however long ago the rollback was and whoever owns the
    target by now. Any other weight is left to what `decide` says of it.
    """
    ours = (
        isinstance(observation.target, UnreadableTarget)
        or observation.target.weight == raised.weight
    )
    if stored.phase is Phase.ROLLED_BACK and ours:
        return rebase_rollback(
            stored, Decision(replace(raised, phase=stored.phase)), observation, now
        )
    return decide(stored, observation, now)


def _with_cause(decision: Decision, reason: Reason, sentence: str) -> Decision:
    """Return `decision` with why traffic is down in its record."""
    if decision.record is None:
        return decision
    because = {"verb": LOST_RACE, "reason": str(reason), "sentence": sentence}
    return replace(decision, record=replace(decision.record, because=because))
