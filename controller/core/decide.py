"""`decide`: what a rollout does next, from what a tick saw. Pure and total.

The tables of `docs/policy.md` ("Phases") are this module in words: in each function below, the
first row that holds wins. What a row leads to is built in `transitions.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from controller.core import transitions as to
from controller.core.effects import Decision, Raise
from controller.core.evidence import evidence_of, sealed
from controller.core.findings import Finding, Verdict, gate
from controller.core.judge import Evidence, judge
from controller.core.observation import Observation, Reading, Series, Unreadable, Update
from controller.core.rollout import Phase, Reason, Rollout

__all__ = ["decide", "roll_back"]


def decide(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    """Return the next state of `rollout` and the one move that leads to it.

    The policy is the snapshot inside the rollout. `now` must not lie before `rollout.updated`.
    """
    rollout = replace(rollout, updated=now)
    match rollout.phase:
        case Phase.PROGRESSING if rollout.settled is None:
            return _settling(rollout, seen.target, now)
        case Phase.PROGRESSING:
            return _climbing(rollout, seen, now)
        case Phase.PAUSED:
            return _paused(rollout, seen, now)
        case Phase.ROLLING_BACK:
            return _rolling_back(rollout, seen.target, now)
        case Phase.ROLLED_BACK:
            return _rolled_back(rollout, seen, now)
        case Phase.SUCCEEDED:
            return _succeeded(rollout, seen, now)
        case unreachable:
            assert_never(unreachable)


def roll_back(rollout: Rollout, seen: Observation, now: datetime, why: str) -> Decision:
    """Return the decision of a person to roll back: legal in every phase, blocked by nothing.

    A rollout that is rolled back already guards zero again and lowers whatever it finds.
    """
    weight = seen.target.weight if isinstance(seen.target, Reading) else None
    rollout = replace(rollout, updated=now)
    return to.rolling_back(rollout, Reason.ROLLBACK_REQUESTED, why, weight, now)


def _settling(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Decision:
    intent = rollout.intent
    if isinstance(target, Unreadable):
        if _shift_overdue(rollout, now):
            return to.rolling_back(rollout, Reason.SHIFT_TIMED_OUT, target.reason, None, now)
        return to.waiting(rollout, Reason.TARGET_UNREADABLE, target.reason)
    if target.stands_at(intent.weight):
        return to.settled(rollout, now)
    if target.update is Update.FAILED:
        why = f"the update to {intent.weight} % failed: {target.detail or 'no reason given'}"
        return to.rolling_back(rollout, Reason.SHIFT_FAILED, why, target.weight, now)
    if target.weight == 0 and intent.previous > 0:
        return to.found_at_zero(rollout, now)
    return _unfinished(rollout, target, now)


def _unfinished(rollout: Rollout, target: Reading, now: datetime) -> Decision:
    """The raise is not in force, nothing failed, and nobody set 0."""
    intent = rollout.intent
    moving = target.update is Update.IN_PROGRESS
    before_the_move = target.weight == intent.previous
    if _shift_overdue(rollout, now) and (moving or before_the_move):
        why = f"{intent.weight} % was not in force after the policy's shift_timeout"
        return to.rolling_back(rollout, Reason.SHIFT_TIMED_OUT, why, target.weight, now)
    if moving:
        return to.waiting(rollout, Reason.WAITING, "the update is still in progress")
    if before_the_move and target.token == intent.token:
        return to.write_again(rollout, Raise(intent.weight, intent.token), now)
    if before_the_move:
        return to.raise_uncertain(rollout, now)
    return to.drifted(rollout, target, now)


def _shift_overdue(rollout: Rollout, now: datetime) -> bool:
    limit: timedelta = rollout.policy.shift_timeout
    return now - rollout.intent.asked > limit


def _climbing(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    target = seen.target
    if isinstance(target, Reading) and target.weight != rollout.intent.weight:
        if target.weight == 0:
            return to.found_at_zero(rollout, now)
        return to.drifted(rollout, target, now)
    evidence = evidence_of(rollout, seen.series, now)
    rollout = replace(rollout, findings=_findings(evidence))
    verdict = gate(rollout.findings)
    if verdict is Verdict.FAIL:
        return _gate_failed(rollout, target, now)
    if isinstance(target, Unreadable):
        return to.waiting(rollout, Reason.TARGET_UNREADABLE, target.reason)
    if evidence is None or not evidence.bake_over:
        return _keep(to.baking(rollout), seen.series, now)
    match verdict:
        case Verdict.PASS:
            return to.next_step(rollout, target, Reason.GATE_PASSED, now)
        case Verdict.INCONCLUSIVE:
            return _inconclusive(rollout, seen, target, now)
        case unreachable:
            assert_never(unreachable)


def _inconclusive(rollout: Rollout, seen: Observation, target: Reading, now: datetime) -> Decision:
    hold_end = rollout.hold_end
    if hold_end is None or now < hold_end:
        return _keep(to.holding(rollout), seen.series, now)
    match rollout.policy.on_inconclusive:
        case "pause":
            return to.inconclusive(rollout, target, now)
        case "rollback":
            why = "the gate stayed inconclusive for the policy's max_hold"
            return to.rolling_back(rollout, Reason.INCONCLUSIVE, why, target.weight, now)
        case "advance":
            return to.next_step(rollout, target, Reason.ADVANCED_UNPROVEN, now)
        case unreachable:
            assert_never(unreachable)


def _paused(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    if isinstance(seen.target, Reading) and seen.target.weight == 0:
        return to.found_at_zero(rollout, now)
    findings = _findings(evidence_of(rollout, seen.series, now))
    rollout = replace(rollout, findings=findings)
    if gate(findings) is Verdict.FAIL:
        return _gate_failed(rollout, seen.target, now)
    return to.reminder(rollout, now) or _keep(rollout, seen.series, now)


def _gate_failed(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Decision:
    weight = target.weight if isinstance(target, Reading) else None
    why = " ".join(one.sentence for one in rollout.findings if one.verdict is Verdict.FAIL)
    return to.rolling_back(rollout, Reason.GATE_FAILED, why, weight, now)


def _rolling_back(rollout: Rollout, target: Reading | Unreadable, now: datetime) -> Decision:
    if isinstance(target, Reading) and target.stands_at(0):
        return to.rolled_back(rollout, now)
    timeout = rollout.policy.rollback_timeout
    late = now - rollout.since > timeout
    if isinstance(target, Unreadable) and target.hopeless:
        return to.lowering(rollout, None, target.reason, critical=True, now=now)
    if isinstance(target, Reading) and target.weight == 0 and target.update is Update.IN_PROGRESS:
        return to.lowering(rollout, None, "0 % is written, still in progress", late, now)
    why = target.reason if isinstance(target, Unreadable) else f"the target shows {target.shown}"
    return to.lowering(rollout, to.lower(rollout), why, late, now)


def _rolled_back(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    target = seen.target
    if isinstance(target, Unreadable) or not _watching(rollout, seen, now):
        return Decision(rollout)
    if target.weight == rollout.peak and rollout.peak > 0:
        return to.guarding_zero(rollout, to.lower(rollout), now)
    if target.weight != 0:
        return to.drift_in_final(rollout, target, now)
    return Decision(rollout)


def _succeeded(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
    target = seen.target
    if isinstance(target, Unreadable) or not _watching(rollout, seen, now):
        return Decision(rollout)
    if target.weight != rollout.intent.weight:
        return to.drift_in_final(rollout, target, now)
    return Decision(rollout)


def _watching(rollout: Rollout, seen: Observation, now: datetime) -> bool:
    """A final rollout looks after its target for a while, unless a newer one owns it."""
    return seen.owns_target and rollout.watch_until is not None and now < rollout.watch_until


def _findings(evidence: Evidence | None) -> tuple[Finding, ...]:
    return () if evidence is None else judge(evidence)


def _keep(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> Decision:
    """Stay, and once an hour seal the evidence of the minutes that can no longer change."""
    rollout = to.outlook(rollout)
    kept = sealed(rollout, series, now)
    return Decision(rollout) if kept is None else to.evidence_entry(rollout, kept, now)
