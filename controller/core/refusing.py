"""What a person may not ask of a rollout, and why; the same for every verb."""

from controller.core.asking import Verb
from controller.core.evidence import findings_of
from controller.core.findings import Finding, Verdict, gate
from controller.core.judge import Evidence
from controller.core.observation import Observation, Reading, Unreadable, Update
from controller.core.rollout import Rollout
from controller.errors import UsageError


def refused(rollout: Rollout, verb: str, why: str) -> UsageError:
    """Return the error that says that `verb` changed nothing, and why."""
    return UsageError(f"{verb} changed nothing of {rollout.id}: {why}", rollout=rollout.id)


def readable(rollout: Rollout, verb: str, seen: Observation) -> Reading:
    """Return the target as it was seen. Raises UsageError when no weight can be written to it."""
    target = seen.target
    if isinstance(target, Unreadable):
        raise refused(rollout, verb, f"its target cannot be read: {target.reason}")
    if target.update is not Update.SUCCESSFUL:
        detail = f": {target.detail}" if target.detail else ""
        raise refused(rollout, verb, f"the last update of its target is {target.update}{detail}")
    return target


def judged(rollout: Rollout, evidence: Evidence | None, verb: str) -> tuple[Finding, ...]:
    """Return what is measured now. A fail is in the data already, so nobody goes on over it."""
    findings = findings_of(rollout, evidence)
    if gate(findings) is Verdict.FAIL:
        why = " ".join(one.sentence for one in findings if one.fails)
        does = "sets a weight over" if verb == Verb.SET_WEIGHT else f"{verb}s"
        raise refused(rollout, verb, f"nobody {does} a fail, the next tick rolls back: {why}")
    return findings
