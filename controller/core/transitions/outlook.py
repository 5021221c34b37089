"""What comes next, what blocks it, and the record of a transition: shared by all of them."""

from dataclasses import replace
from datetime import datetime

from controller.core.effects import Record
from controller.core.findings import Verdict
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text


def outlook(rollout: Rollout) -> Rollout:
    """Return `rollout` with what happens next, and when, worked out from where it stands."""
    next_at, text = _next(rollout)
    return replace(rollout, next_at=next_at, next=text)


def _next(rollout: Rollout) -> tuple[datetime | None, str]:
    match rollout.phase:
        case Phase.PROGRESSING if rollout.settled is None:
            limit = rollout.intent.asked + rollout.policy.shift_timeout
            return limit, f"rolls back unless {rollout.weight} % is in force by {clock_text(limit)}"
        case Phase.PROGRESSING:
            return _next_gate(rollout)
        case Phase.PAUSED:
            return None, "waits for a person: roll back, or start again"
        case Phase.ROLLING_BACK:
            return None, "0 % is written until it is read back"
        case Phase.ROLLED_BACK | Phase.SUCCEEDED:
            until = rollout.watch_until
            return until, f"watched for drift until {clock_text(until)}" if until else ""


def _next_gate(rollout: Rollout) -> tuple[datetime | None, str]:
    last = rollout.step + 1 == len(rollout.policy.steps)
    then = "success" if last else f"{rollout.policy.steps[rollout.step + 1].weight} %"
    end, hold_end = rollout.bake_end, rollout.hold_end
    if end is None or hold_end is None:
        return None, then
    judged = end + rollout.policy.settle
    if rollout.reason is not Reason.HOLDING:
        return judged, f"{then} at {clock_text(judged)} if every criterion passes"
    outcome = {"pause": "pauses", "rollback": "rolls back", "advance": "advances unproven"}
    what = outcome[rollout.policy.on_inconclusive]
    return hold_end, f"{then} as soon as every criterion passes; {what} at {clock_text(hold_end)}"


def baking_sentence(rollout: Rollout) -> str:
    end = rollout.bake_end
    return f"baking at {rollout.intent.weight} %" + (f" until {clock_text(end)}" if end else "")


def inconclusive_why(rollout: Rollout) -> str:
    open_findings = [one for one in rollout.findings if one.verdict is not Verdict.PASS]
    return " ".join(one.sentence for one in open_findings) or "nothing was judged yet"


def record(
    kind: str,
    before: Rollout,
    after: Rollout,
    weight_from: int | None,
    now: datetime,
    *,
    keeps_series: bool = False,
) -> Record:
    return Record(
        kind=kind,
        at=now,
        phase_from=before.phase,
        phase_to=after.phase,
        weight_from=weight_from,
        weight_to=after.weight,
        step=after.step,
        reason=after.reason,
        sentence=after.sentence,
        findings=before.findings,
        keeps_series=keeps_series,
    )
