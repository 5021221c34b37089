"""Words and columns of the tables about decisions."""

from collections.abc import Sequence

from controller.core.decision import Alert, Decision, Lower, Severity, Shift
from controller.core.rollout import Rollout
from controller.errors import Exit

COLUMNS = (
    "`progressing`, weight not seen in force",
    "`progressing`, in force",
    "`paused`",
    "`rolling_back`",
    "`rolled_back`",
    "`succeeded`",
)
# The combination is impossible.
NEVER = "—"
_STATUS = {Alert.DRIFT: int(Exit.DRIFT), Alert.ROLLBACK_UNCONFIRMED: int(Exit.UNCONFIRMED)}


def decision_text(rollout: Rollout, decision: Decision) -> str:
    """Return a decision in words: phase, reason, write, page and exit status."""
    after = decision.rollout
    reason = decision.record.reason if decision.record else after.reason
    is_same_phase = after.phase is rollout.phase
    parts = ["stays" if is_same_phase else f"`{after.phase}`"]
    if not is_same_phase or reason is not rollout.reason:
        parts[0] += f" (`{reason}`)"
    match decision.move:
        case Shift(weight=weight):
            parts.append(f"writes {weight} %")
        case Lower():
            parts.append("writes 0 %")
        case None:
            pass
    if any(one.severity is Severity.CRITICAL for one in decision.notices):
        parts.append("pages")
    if decision.alert is not None:
        parts.append(f"exit {_STATUS[decision.alert]}")
    return ", ".join(parts)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])
