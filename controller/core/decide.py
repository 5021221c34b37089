"""`decide`: what a rollout does next, from what a tick saw. Pure and total.

The table of `docs/policy.md` ("Phases and verbs") is made by running it. In each function below
the first case that holds wins; what it leads to is built in `transitions`.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from controller.core import transitions as to
from controller.core.decision import Decision
from controller.core.judge.findings import Verdict, gate
from controller.core.judge.sealing import evidence_of, findings_of, reads_on, refusals, sealed
from controller.core.observation import Observation, Reading, Unreadable, Update, weight_of
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.transitions import watch

__all__ = ["decide", "refused"]


def decide(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """Return the next state of `rollout` and the one move that leads to it.

    The policy is the snapshot inside the rollout. Time never goes back: a `now` before
    `rollout.updated` counts as that moment.
    """
    now = max(now, rollout.updated)
    current = replace(rollout, updated=now)
    if isinstance(seen.target, Reading) and seen.target.stands_at(rollout.weight):
        current = replace(current, write_error="")  # whatever failed, it is over
    decision = _next(current, seen, now)
    return to.heard(rollout, to.sighted(rollout, decision, seen, now), now)


def _next(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    match rollout.phase:
        case Phase.PROGRESSING if rollout.settled is None:
            return _settling(rollout, seen, now)
        case Phase.PROGRESSING:
            return _climbing(rollout, seen, now)
        case Phase.PAUSED:
            return _paused(rollout, seen, now)
        case Phase.ROLLING_BACK:
            return _rolling_back(rollout, seen.target, now)
        case Phase.ROLLED_BACK:
            return watch.rolled_back(rollout, seen, now)
        case Phase.SUCCEEDED:
            return watch.succeeded(rollout, seen, now)
        case unreachable:
            assert_never(unreachable)


def refused(decision: Decision, why: str, now: datetime) -> Decision:
    """Return what `decision` becomes when its move to 0 % was refused for good, and `why`.

    It ends the tick in alarm, pages at most every quarter of an hour, and is recorded once.
    """
    decided = decision.rollout.updated
    now = max(now, decided)  # what is recorded now is the newest moment of the rollout
    rollout = replace(decision.rollout, updated=now, write_error=why)
    decision = replace(decision, rollout=rollout)
    decision = to.paged(to.unconfirmed(decision, why, now), now)
    entry = decision.record
    if entry is None:
        return decision
    because = {**entry.because, "refused": why, "decided": decided.isoformat()}
    return replace(decision, record=replace(entry, because=because))


def _settling(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    intent, target = rollout.intent, seen.target
    if said_no := refusals(rollout):  # nothing goes up over that, written or not
        why = " ".join(one.sentence for one in said_no)
        rollout = replace(rollout, findings=said_no)
        return to.rolling_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)
    if isinstance(target, Unreadable):
        return _unseen(rollout, seen, target, now)
    quiet = target.update is not Update.IN_PROGRESS
    at_previous = target.weight == intent.previous
    if target.stands_at(intent.weight):
        return to.settled(rollout, now)
    if target.update is Update.FAILED:
        return to.failed(rollout, target, now)
    if target.weight == 0 and not rollout.first_raise:
        return to.found_at_zero(rollout, target, now)
    if quiet and at_previous and target.token == intent.token:
        return _unwritten(rollout, seen, target, now)
    if quiet and at_previous and intent.previous < intent.weight:
        return to.untraced(rollout, target, now)
    return to.drifted(rollout, target, now) if quiet else to.moving(rollout, target, now)


def _unseen(rollout: Rollout, seen: Observation, target: Unreadable, now: datetime) -> Decision:
    """Nobody can say whether the raise is in force; behind a freeze, what was live is judged on."""
    if rollout.waits is None:
        return to.unseen(rollout, target, now)
    rollout = replace(rollout, findings=findings_of(rollout, evidence_of(rollout, seen, now)))
    if gate(rollout.findings) is Verdict.FAIL:
        return _gate_failed(rollout, target, now)
    return _waiting(to.unseen(rollout, target, now), seen, now)


def _unwritten(rollout: Rollout, seen: Observation, target: Reading, now: datetime) -> Decision:
    """Nobody wrote the raise: where it waits, the weight that is live is judged before anything."""
    if rollout.waits is None:
        return to.unwritten(rollout, target, now)
    rollout = replace(rollout, findings=findings_of(rollout, evidence_of(rollout, seen, now)))
    if gate(rollout.findings) is Verdict.FAIL:
        return _gate_failed(rollout, target, now)
    return _waiting(to.unwritten(rollout, target, now), seen, now)


def _climbing(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    target = seen.target
    evidence = evidence_of(rollout, seen, now)
    rollout = replace(rollout, findings=findings_of(rollout, evidence))
    match gate(rollout.findings):
        case Verdict.FAIL:
            return _gate_failed(rollout, target, now)
        case _ if isinstance(target, Reading) and target.weight != rollout.weight:
            return _moved(rollout, target, now)
        case _ if evidence is None or not evidence.bake_over:
            return _baking(rollout, seen, now)
        case Verdict.PASS:
            return _passed(rollout, seen, now)
        case Verdict.INCONCLUSIVE:
            return _inconclusive(rollout, seen, now)
        case unreachable:
            assert_never(unreachable)


def _moved(rollout: Rollout, target: Reading, now: datetime) -> Decision:
    if target.weight == 0:
        return to.found_at_zero(rollout, target, now)
    return to.drifted(rollout, target, now)


def _baking(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    if isinstance(seen.target, Unreadable):
        rollout = to.waiting(rollout, Reason.TARGET_UNREADABLE, seen.target.reason).rollout
    else:
        rollout = to.baking(rollout)
    return _keep(rollout, seen, now)


def _passed(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """The gate passed; a target that takes no raise now is no reason to go back, or on."""
    target = seen.target
    if isinstance(target, Reading) and target.stands_at(rollout.weight):
        return _upward(rollout, seen, target, Reason.GATE_PASSED, now)
    return _held(rollout, seen, now) or to.inconclusive(rollout, target, now)


def _upward(
    rollout: Rollout, seen: Observation, target: Reading, reason: Reason, now: datetime
) -> Decision:
    """The gate lets the rollout go on; a freeze, a missing approval or a hook may not."""
    barrier = to.barrier(rollout, now) or to.hook_barrier(rollout, seen.hooks)
    if barrier is None:
        return to.next_step(rollout, target, reason, now)
    return _waiting(to.held_up(rollout, barrier, reason, now), seen, now)


def _inconclusive(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """The bake is over, and the gate has no verdict."""
    if held := _held(rollout, seen, now):
        return held
    target = seen.target
    match rollout.policy.on_inconclusive:
        case "rollback":
            why = to.held_too_long(rollout, target)
            return to.rolling_back(rollout, Reason.INCONCLUSIVE, why, weight_of(target), now)
        case "advance" if isinstance(target, Reading) and target.stands_at(rollout.weight):
            return _upward(rollout, seen, target, Reason.ADVANCED_UNPROVEN, now)
        case "advance" | "pause":
            return to.inconclusive(rollout, target, now)
        case unreachable:
            assert_never(unreachable)


def _held(rollout: Rollout, seen: Observation, now: datetime) -> Decision | None:
    """Hold for as long as the policy allows; None once that is over.

    While a freeze or a missing approval keeps a gate that had passed from going up, nothing is lost
    by waiting, nor while a log is caught up with: its hold begins with the first tick after that.
    """
    if to.waited(rollout):  # a hook is asked no more until the gate passes again
        rollout = replace(rollout, hold_from=now)
        barrier = to.barrier(rollout, now)
        if barrier is not None:
            return _waiting(to.put_off(rollout, barrier, seen.target, now), seen, now)
    if reads_on(rollout, seen, now):  # as the first tick after an outage does
        rollout = replace(rollout, hold_from=now)
    if rollout.hold_end is None or now < rollout.hold_end:
        return _keep(to.holding(rollout, seen.target), seen, now)
    return None


def _waiting(decision: Decision, seen: Observation, now: datetime) -> Decision:
    """Return a wait with what it says, or with its hour of evidence when it has nothing to say."""
    said = decision.record or decision.asks
    return decision if said else _keep(decision.rollout, seen, now)


def _paused(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    target = seen.target
    rollout = replace(rollout, findings=findings_of(rollout, evidence_of(rollout, seen, now)))
    if gate(rollout.findings) is Verdict.FAIL:
        return _gate_failed(rollout, target, now)
    if isinstance(target, Reading) and _newly_moved(rollout, target):
        return _moved(rollout, target, now)
    if rollout.waits and isinstance(target, Reading) and target.stands_at(rollout.weight):
        return to.came(rollout, now)
    return to.reminder(rollout, now) or _keep(rollout, seen, now)


def _newly_moved(rollout: Rollout, target: Reading) -> bool:
    """Tell whether another hand moved a paused weight since the last look; 0 % always ends it.

    What is the rollout's own is none: a raise was on its way, or the hand has taken it back.
    """
    return target.weight == 0 or target.weight not in (rollout.seen_weight, *to.own(rollout))


def _gate_failed(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Decision:
    why = " ".join(one.sentence for one in rollout.findings if one.fails)
    if isinstance(target, Reading) and target.weight == 0:
        why += " 0 % is set already."
        return to.ended_at_zero(rollout, target, Reason.GATE_FAILED, why, now)
    return to.rolling_back(rollout, Reason.GATE_FAILED, why, weight_of(target), now)


def _rolling_back(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Decision:
    limit: timedelta = rollout.policy.rollback_timeout
    late = now - rollout.since > limit
    if isinstance(target, Unreadable):
        move = None if target.hopeless else to.lower(rollout)
        return to.lowering(rollout, move, target.reason, late or target.hopeless, now)
    if target.stands_at(0):
        return to.rolled_back(rollout, now)
    if target.weight == 0 and target.update is Update.IN_PROGRESS:
        return to.lowering(rollout, None, "0 % is written, still in progress", late, now)
    why = f"the target shows {target.shown}"
    if target.update is Update.FAILED:
        why += f", and its last update failed: {target.detail or 'no reason given'}"
    return to.lowering(rollout, to.lower(rollout), why, late, now)


def _keep(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """Stay, and once an hour seal the evidence of the minutes that can no longer change."""
    rollout = to.outlook(rollout)
    kept = sealed(rollout, seen, now)
    return Decision(rollout) if kept is None else to.evidence_entry(rollout, kept, now)
