"""The status of a rollout as one line and as JSON data."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.core.conditions import Condition, ConditionKind
from controller.core.judge.criteria_table import rows
from controller.core.next_action import next_action, waits_for
from controller.core.rollout import Live, Pending, Phase, Reason, Rollout
from controller.core.units import duration_text, format_duration
from controller.engine.execute import Visit
from controller.engine.lease import Skip
from controller.ports.json_view import finding_view

if TYPE_CHECKING:
    from controller.render.outputs.rollouts import (
        ConditionData,
        CriterionRow,
        LiveData,
        PendingData,
        RolloutData,
        SkipData,
        VisitData,
    )

# The slowest supported schedule ticks every 15 minutes; after 20, it has probably stopped.
LATE_AFTER = timedelta(minutes=20)
# Why a rollback was requested where its operator did not say.
REQUESTED = "requested by an operator"


def rollout_data(rollout: Rollout, now: datetime | None = None) -> "RolloutData":
    """Return `rollout` as plain JSON data, as `status --json` prints it.

    now: as in `next_action`.
    """
    following = next_action(rollout, now)
    return {
        "id": rollout.id,
        "name": rollout.name,
        "revision": rollout.revision,
        "policy_digest": rollout.digest,
        "target": rollout.target,
        "phase": str(rollout.phase),
        "step": rollout.step,
        "weight": rollout.weight,
        "live": None if rollout.live is None else _live_data(rollout.live),
        "pending": None if rollout.pending is None else _pending_data(rollout.pending),
        "seen_weight": rollout.seen_weight,
        "reason": str(rollout.reason),
        "sentence": rollout.sentence,
        "label": rollout.evidence.label,
        "next": following.text,
        "next_at": _moment(following.at),
        "waiting_for": waits_for(rollout),
        "created": rollout.created.isoformat(),
        "since": rollout.since.isoformat(),
        "updated": rollout.updated.isoformat(),
        "findings": [finding_view(finding) for finding in rollout.evidence.findings],
        "criteria": criteria_data(rollout),
        "drain": None if rollout.drain is None else finding_view(rollout.drain),
        "write_error": rollout.write_error,
        "conditions": [_condition_data(kind, one) for kind, one in rollout.conditions.items()],
        "undelivered": [message.key for message in rollout.outbox],
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def criteria_data(rollout: Rollout) -> "list[CriterionRow]":
    """Return the criteria of `rollout` as plain JSON data, each with its newest finding."""
    return [
        {
            "criterion": row.criterion,
            "kind": row.kind,
            "role": row.role,
            "target": row.target,
            "measured": row.measured,
            "samples": 0 if row.finding is None else row.finding.samples,
            "verdict": str(row.verdict),
            "label": row.evidence,
        }
        for row in rows(rollout)
    ]


def _live_data(live: Live) -> "LiveData":
    return {"step": live.step, "weight": live.weight, "since": live.since.isoformat()}


def _pending_data(pending: Pending) -> "PendingData":
    return {
        "step": pending.step,
        "weight": pending.weight,
        "previous": pending.previous,
        "decided": pending.decided.isoformat(),
        "first_look": _moment(pending.first_look),
        "tried": _moment(pending.tried),
        "accepted": _moment(pending.accepted),
    }


def _condition_data(kind: ConditionKind, condition: Condition) -> "ConditionData":
    return {
        "kind": str(kind),
        "text": condition.text,
        "since": condition.since.isoformat(),
        "announced": _moment(condition.announced),
        "critical": condition.critical,
        "acknowledged": condition.acknowledged,
    }


def weight_text(rollout: Rollout) -> str:
    """Return the live weight, and the expected one when it differs.

    A rollback is at 0 % once that was read back as applied; until then, what was read is shown.
    """
    expected, live = f"{rollout.weight} %", rollout.seen_weight
    if rollout.phase is Phase.ROLLING_BACK and live == 0:
        return "0 % written, not applied yet"
    if live == rollout.weight or (live is None and rollout.phase is not Phase.ROLLING_BACK):
        return expected
    actual = "unknown weight" if live is None else f"{live} % live"
    if not rollout.final and (rollout.phase is Phase.ROLLING_BACK or rollout.pending):
        return f"{actual}, going to {expected}"
    return f"{actual}, expected {expected}"


def why_text(rollout: Rollout) -> str:
    """Return why `rollout` is where it is; the words of an operator are named as such."""
    words = rollout.sentence
    if rollout.reason is Reason.ROLLBACK_REQUESTED and words != REQUESTED:
        return f"{REQUESTED}: {words}"
    return words


def rollout_line(rollout: Rollout, now: datetime | None = None) -> str:
    """Return `rollout` in one line: id, phase, weight, why, and the next action.

    now: as in `next_action`.
    """
    following, why = next_action(rollout, now).text, why_text(rollout)
    why = f"{why.rstrip('.')}; next: {following}" if following else why
    return f"{rollout.id}  {rollout.phase}  {weight_text(rollout)}  {why}"


def visit_data(visit: Visit) -> "VisitData":
    """Return a visit as plain JSON data: the rollout, and what decides the exit status."""
    return {
        **rollout_data(visit.rollout),
        "busy": visit.busy,
        "problem": visit.problem,
        "saved": visit.saved,
        "alerts": [str(alert) for alert in visit.alerts],
    }


def skip_data(skip: Skip) -> "SkipData":
    """Return a rollout that a tick skipped as plain JSON data; its phase is unknown."""
    return {
        "id": skip.rollout_id,
        "phase": None,
        "busy": False,
        "problem": str(skip.error),
        "saved": False,
        "alerts": [],
    }


def skip_line(skip: Skip) -> str:
    """Return a rollout that a tick skipped in one line."""
    return f"{skip.rollout_id}  skipped by this tick: {skip.error}"


def visit_line(visit: Visit) -> str:
    """Return a visit in one line, starting with the problem."""
    line = rollout_line(visit.rollout)
    if visit.busy:
        return f"skipped, lock held or write conflict (safe to retry): {line}"
    if not visit.saved:
        return f"not saved: {visit.problem}: {line}"
    if visit.problem:
        return f"problem: {visit.problem}: {line}"
    return line


def age_text(rollout: Rollout, now: datetime) -> str:
    """Return how long ago the last tick was that changed something, with a doubt when overdue."""
    age = now - rollout.updated
    if is_late(rollout, now):
        return f", no tick for {duration_text(age)}: is the schedule running?"
    return f", {duration_text(age)} ago" if age >= timedelta(minutes=1) else ""


def is_late(rollout: Rollout, now: datetime) -> bool:
    return not rollout.final and now - rollout.updated > LATE_AFTER


def ladder_text(rollout: Rollout) -> str:
    """Return the steps, the current one in brackets: `10 % 1h > [50 % 1h] > 100 % 24h`."""
    parts = []
    for index, step in enumerate(rollout.policy.steps):
        text = f"{step.weight} % {format_duration(step.bake)}"
        is_current = index == rollout.step and rollout.phase in (Phase.PROGRESSING, Phase.PAUSED)
        parts.append(f"[{text}]" if is_current else text)
    return " > ".join(parts)
