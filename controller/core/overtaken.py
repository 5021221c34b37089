"""A rollback that was carried out while another run saved first: it is decided again on that."""

from dataclasses import replace
from datetime import datetime

from controller.core import transitions as to
from controller.core.decide import decide
from controller.core.effects import Decision
from controller.core.observation import Observation, Reading
from controller.core.rollout import Phase, Reason, Rollout

_BACK = frozenset({Phase.ROLLING_BACK, Phase.ROLLED_BACK})


def overtaken(stored: Rollout, lowered: Decision, seen: Observation, now: datetime) -> Decision:
    """Return what `lowered` becomes on `stored`, which another run saved meanwhile.

    Traffic is down already, and why is known: that goes before whatever the other run has decided,
    unless it went back for a reason of its own. A 0 % that it merely found was ours.
    """
    now = max(now, stored.updated)
    if lowered.rollout.phase is Phase.ROLLED_BACK:  # zero was guarded
        return replace(lowered, rollout=replace(stored, updated=now))
    if stored.phase in _BACK and stored.reason is not Reason.FOUND_AT_ZERO:
        return decide(stored, seen, now)
    known = lowered.rollout
    stored = replace(stored, updated=now, findings=known.findings)
    weight = seen.target.weight if isinstance(seen.target, Reading) else None
    decision = to.rolling_back(stored, known.reason, known.sentence, weight, now)
    decision = to.sighted(stored, decision, seen, now)
    if decision.record is None:
        return decision
    because = {"verb": "overtaken", "reason": str(known.reason), "sentence": known.sentence}
    return replace(decision, record=replace(decision.record, because=because))
