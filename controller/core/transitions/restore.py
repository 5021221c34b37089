"""A record that was changed outside rolloutctl goes back to what its history says, and pauses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from controller.core.decision import Decision, Notice, Record
from controller.core.message import Severity
from controller.core.observation import Observation, weight_of
from controller.core.repeated_state import without_evidence
from controller.core.rollout import Paused, Progressing, Reason, Rollout
from controller.core.transitions.pause import enter_pause, operator_options
from controller.core.transitions.paused_raise import position_in_pause
from controller.immutable import replace

RESTORED: Final = "restored"


def restore_record(
    rollout: Rollout, changed: Sequence[str], observation: Observation, now: datetime
) -> Decision:
    """Return `rollout`, which has the state of its history again, with an entry that says so.

    While traffic may be on the canary it pauses: its gate is judged on, and an operator looks.
    changed: the fields that were changed; changed evidence is read from its source again.
    """
    target = observation.target
    why = f"its record was changed outside rolloutctl ({', '.join(changed)})"
    evidence = without_evidence(rollout.evidence, changed)
    after = replace(rollout, updated=now, evidence=evidence, seen_weight=None)
    text = f"{rollout.id}: {why}, and has the state of its history again"
    if isinstance(rollout.state, Progressing | Paused):
        position = position_in_pause(rollout.state.position, target)
        paused = Paused(since=now, reason=Reason.RECORD_CHANGED, sentence=why, position=position)
        after = replace(after, state=paused)
        options = operator_options(after, weight_of(target), may_exceed=False)
        text = f"{rollout.id} is paused: {why}. Find out who wrote to the store. {options}"
        after = enter_pause(after, text, now, critical=True)
    entry = Record.of(
        RESTORED, rollout, after, weight_of(target), now, reason=Reason.RECORD_CHANGED, sentence=why
    )
    entry = replace(entry, cause={"verb": RESTORED, "changed": list(changed)})
    return Decision(after, notices=(Notice(Severity.CRITICAL, text),), record=entry)
