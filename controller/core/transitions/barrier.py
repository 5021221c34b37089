"""What holds up a step whose gate has passed: a freeze window, or an approval nobody gave yet.

Both delay advances only: the step is judged on, and goes back as ever.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from controller.core.effects import Decision, Notice, Severity
from controller.core.rollout import Reason, Rollout
from controller.core.transitions.climb import passed
from controller.core.transitions.outlook import REMIND_EVERY, outlook, record


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why a rollout does not go up although it could, for machines and for people."""

    reason: Reason
    text: str


def barrier(rollout: Rollout, now: datetime) -> Barrier | None:
    """Return what keeps `rollout` from its next step; None when nothing does, or none is left."""
    policy, step = rollout.policy, rollout.step + 1
    if step == len(policy.steps):
        return None
    weight = policy.steps[step].weight
    unapproved = policy.needs_approval(step) and rollout.approved != step
    approval = f"{weight} % needs an approval: rolloutctl approve {rollout.id}"
    frozen = policy.frozen(now)
    if frozen is not None:
        text = f"{frozen.text}; {approval}" if unapproved else frozen.text
        return Barrier(Reason.FROZEN, text)
    return Barrier(Reason.AWAITING_APPROVAL, approval) if unapproved else None


def held_up(rollout: Rollout, by: Barrier, reason: Reason, now: datetime) -> Decision:
    """Stay although the gate lets the rollout go on for `reason`, and say so once.

    An approval is reminded of once a day; a freeze ends by itself. Should a gate that passed lose
    its verdict meanwhile, its hold begins here, and not when the bake ended; one whose hold is over
    has none left.
    """
    sentence = f"{passed(rollout, reason)}; {by.text}"
    new = rollout.barrier != by.reason
    due = new or (
        by.reason is Reason.AWAITING_APPROVAL and now - (rollout.reminded or now) >= REMIND_EVERY
    )
    after = replace(
        rollout,
        reason=by.reason,
        sentence=sentence,
        blocked=by.text,
        hold_from=now if reason is Reason.GATE_PASSED else rollout.hold_from,
        barrier=str(by.reason),
        reminded=now if due else rollout.reminded,
    )
    after = outlook(after)
    if not due:
        return Decision(after)
    kind = "held_up" if new else "reminded"
    entry = record(kind, rollout, after, rollout.weight, now, keeps_series=True)
    severity = Severity.WARNING if by.reason is Reason.AWAITING_APPROVAL else Severity.INFO
    return Decision(after, notices=(Notice(severity, f"{rollout.id}: {sentence}"),), record=entry)
