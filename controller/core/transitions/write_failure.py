"""A failed write to the target: a notice says why, and the state keeps it until one succeeds."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Final

from controller.core.decision import Alert, Decision, Notice, Record, Severity
from controller.core.next_action import with_next_action
from controller.core.rollout import Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES

WRITE_FAILED: Final = "write_failed"

# Numbers and request ids differ between attempts that fail for the same reason.
_VARIABLE_PARTS: Final = re.compile(
    r"\b[0-9a-f]{4,}(-[0-9a-f]{4,})+\b|\b\w*[0-9]\w*\b", re.IGNORECASE
)


def with_write_failure(
    decision: Decision, why: str, now: datetime, *, saved: bool = False
) -> Decision:
    """Return what `decision` becomes when its move could not be written, and `why`.

    The error stays in the state until the weight is read back as applied. A new error is recorded
    and reported once. A tick that could not lower the weight ends with its alert at once; it pages
    only after the policy's `rollback_timeout`.

    saved: the decision was saved before its move failed, so the failure is an entry of its own.
    """
    before = decision.rollout
    lowering = before.phase in ROLLBACK_PHASES
    rollout = replace(before, write_error=why, updated=max(now, before.updated))
    decision = replace(
        decision,
        rollout=with_next_action(rollout),
        alert=Alert.ROLLBACK_UNCONFIRMED if lowering else decision.alert,
    )
    is_new = _error_kind(before.write_error) != _error_kind(why)
    if is_new:
        text = _sentence(rollout, why)
        decision = replace(
            decision, notices=(*decision.notices, Notice(Severity.WARNING, text, WRITE_FAILED))
        )
    return _with_failure_record(decision, before, why, is_new=is_new, saved=saved)


def _with_failure_record(
    decision: Decision, before: Rollout, why: str, *, is_new: bool, saved: bool
) -> Decision:
    entry, rollout = decision.record, decision.rollout
    because: dict[str, object] = {"write_error": why, "decided": before.updated.isoformat()}
    if entry is None and not is_new:
        return decision
    if entry is None:
        seen, sentence = before.seen_weight, _sentence(rollout, why)
        entry = Record.of(WRITE_FAILED, before, rollout, seen, rollout.updated, sentence=sentence)
    if saved:
        because["verb"] = WRITE_FAILED
    return replace(decision, record=replace(entry, because={**entry.because, **because}))


def _sentence(rollout: Rollout, why: str) -> str:
    weight = 0 if rollout.phase in ROLLBACK_PHASES else rollout.weight
    live = "unknown" if rollout.seen_weight is None else f"{rollout.seen_weight} %"
    return (
        f"{rollout.id}: {weight} % could not be written (weight last seen: {live}): {why}. "
        "The next tick tries again."
    )


def _error_kind(error: str) -> str:
    return _VARIABLE_PARTS.sub("", error)
