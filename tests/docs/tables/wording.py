"""How the tables say what a decision is."""

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
# Nothing of the kind can be.
NEVER = "—"
_STATUS = {Alert.DRIFT: int(Exit.DRIFT), Alert.ROLLBACK_UNCONFIRMED: int(Exit.UNCONFIRMED)}


def told(rollout: Rollout, decision: Decision) -> str:
    """Return a decision in words: where it leads, why, what it writes, how loud it is."""
    after = decision.rollout
    reason = decision.record.reason if decision.record else after.reason
    stays = after.phase is rollout.phase
    words = ["stays" if stays else f"`{after.phase}`"]
    if not stays or reason is not rollout.reason:
        words[0] += f" (`{reason}`)"
    match decision.move:
        case Shift(weight=weight):
            words.append(f"writes {weight} %")
        case Lower():
            words.append("writes 0 %")
        case None:
            pass
    if any(one.severity is Severity.CRITICAL for one in decision.notices):
        words.append("pages")
    if decision.alert is not None:
        words.append(f"exit {_STATUS[decision.alert]}")
    return ", ".join(words)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])
