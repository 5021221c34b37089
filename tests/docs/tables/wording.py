"""Words of the tables about decisions."""

from collections.abc import Sequence

from controller.errors import Exit
from tests.docs.tables.boxes import Box, box_of
from tests.support.core import Alert, Decision, Phase, Rollout, SetWeight, SetZero, Severity

# The combination is impossible.
NEVER = "—"
_STATUS = {Alert.DRIFT: int(Exit.DRIFT), Alert.ROLLBACK_UNCONFIRMED: int(Exit.UNCONFIRMED)}


def decision_text(rollout: Rollout, decision: Decision) -> str:
    """Return a decision in words: box or phase, reason, write, page and exit status."""
    after, box = decision.rollout, box_of(decision.rollout)
    reason = decision.record.reason if decision.record else after.reason
    stays = box is box_of(rollout)
    parts = ["stays" if stays else box_text(box, after.phase)]
    if not stays or reason is not rollout.reason:
        parts[0] += f" (`{reason}`)"
    match decision.move:
        case SetWeight(weight=weight):
            parts.append(f"writes {weight}%")
        case SetZero():
            parts.append("writes 0%")
        case None:
            pass
    if any(notice.severity is Severity.CRITICAL for notice in decision.notices):
        parts.append("pages")
    if decision.alert is not None:
        parts.append(f"exit {_STATUS[decision.alert]}")
    return ", ".join(parts)


def box_text(box: Box, phase: Phase) -> str:
    """Return the phase of a box; for `progressing`, the name of the box."""
    return str(box) if phase is Phase.PROGRESSING else f"`{phase}`"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])
