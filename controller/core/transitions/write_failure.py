"""A failed write to the target: a notice says why, and the state keeps it until one succeeds."""

import re
from datetime import datetime
from typing import Final

from controller.core.decision import Alert, Decision, Notice, Record
from controller.core.events import WriteFailed
from controller.core.message import Severity
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.announce import with_page
from controller.core.transitions.rollback import ROLLBACK_PHASES, with_unconfirmed_rollback
from controller.immutable import replace

WRITE_FAILED: Final = "write_failed"

# Numbers and request ids differ between attempts that fail for the same reason.
_VARIABLE_PARTS: Final = re.compile(
    r"\b[0-9a-f]{4,}(-[0-9a-f]{4,})+\b|\b\w*[0-9]\w*\b", re.IGNORECASE
)


def record_write_failure(failed: WriteFailed, now: datetime) -> Decision:
    """Return the decision that could not be written, with the reason in its state and record.

    The error stays in the state until the weight is read back as applied. A new error is recorded
    and reported once. A tick that could not lower the weight ends with its alert at once; it pages
    only after the policy's `rollback_timeout`, or at once where no later try can succeed.
    """
    before, why = failed.decision.rollout, failed.why
    now = max(now, before.updated)
    rollout = replace(before, write_error=why, updated=now)
    decision = replace(failed.decision, rollout=rollout)
    if failed.permanent:
        return _with_refused_rollback(decision, why, before.updated)
    if before.phase in ROLLBACK_PHASES:
        decision = replace(decision, alert=Alert.ROLLBACK_UNCONFIRMED)
    entry, sentence = decision.record, _sentence(rollout, why)
    if _error_kind(before.write_error) != _error_kind(why):
        notice = Notice(Severity.WARNING, sentence, WRITE_FAILED)
        decision = replace(decision, notices=(*decision.notices, notice))
        seen = before.seen_weight
        entry = entry or Record.of(WRITE_FAILED, before, rollout, seen, now, sentence=sentence)
    if entry is None:
        return decision
    cause = {**entry.cause, "write_error": why, "decided": before.updated.isoformat()}
    if failed.saved:
        cause["verb"] = WRITE_FAILED
    return replace(decision, record=replace(entry, cause=cause))


def _with_refused_rollback(decision: Decision, why: str, decided_at: datetime) -> Decision:
    """Return `decision` after its move to 0% was refused for good.

    It ends the tick with an alert, pages at most every quarter of an hour, and is recorded once.
    """
    now = decision.rollout.updated
    decision = with_page(with_unconfirmed_rollback(decision, why, now), now)
    record = decision.record
    if record is None:
        return decision
    because = {**record.cause, "refused": why, "decided": decided_at.isoformat()}
    return replace(decision, record=replace(record, cause=because))


def _sentence(rollout: Rollout, why: str) -> str:
    if rollout.phase is Phase.PAUSED:  # set-weight has put its weight down as seen
        return (
            f"{rollout.id}: {rollout.seen_weight}% could not be written: {why}. The rollout is "
            "paused, and no tick tries again."
        )
    weight = 0 if rollout.phase in ROLLBACK_PHASES else rollout.weight
    live = "unknown" if rollout.seen_weight is None else f"{rollout.seen_weight}%"
    return (
        f"{rollout.id}: {weight}% could not be written (last known weight: {live}): {why}. "
        "The next tick tries again."
    )


def _error_kind(error: str) -> str:
    return _VARIABLE_PARTS.sub("", error)
