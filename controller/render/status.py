"""Where a rollout stands, as one line, as a page, and as JSON data."""

from typing import Any

from controller.carrying import Visit
from controller.core.findings import Finding, Verdict
from controller.core.history import finding_data
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, format_duration

_MARKS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}


def rollout_data(rollout: Rollout) -> dict[str, Any]:
    """Return `rollout` as plain JSON data, as `status --json` prints it."""

    def moment(value: Any) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "id": rollout.id,
        "name": rollout.name,
        "revision": rollout.revision,
        "policy_digest": rollout.digest,
        "target": rollout.target,
        "phase": str(rollout.phase),
        "step": rollout.step,
        "weight": rollout.weight,
        "seen_weight": rollout.seen_weight,
        "reason": str(rollout.reason),
        "sentence": rollout.sentence,
        "label": rollout.label,
        "next": rollout.next,
        "next_at": moment(rollout.next_at),
        "blocked": rollout.blocked,
        "created": moment(rollout.created),
        "since": moment(rollout.since),
        "settled": moment(rollout.settled),
        "updated": moment(rollout.updated),
        "findings": [finding_data(finding) for finding in rollout.findings],
        "drain": None if rollout.drain is None else finding_data(rollout.drain),
    }


def rollout_line(rollout: Rollout) -> str:
    """Return `rollout` in one line: id, phase, weight, why, and what comes next."""
    following = f"; next: {rollout.next}" if rollout.next else ""
    return (
        f"{rollout.id}  {rollout.phase}  {rollout.weight} %  "
        f"{rollout.reason}: {rollout.sentence}{following}"
    )


def visit_data(visit: Visit) -> dict[str, Any]:
    """Return a visit as plain JSON data: the rollout, and what needs an exit status of its own."""
    return {
        **rollout_data(visit.rollout),
        "busy": visit.busy,
        "problem": visit.problem,
        "saved": visit.saved,
        "alerts": [str(alert) for alert in visit.alerts],
    }


def visit_line(visit: Visit) -> str:
    """Return a visit in one line, with what went wrong in front."""
    line = rollout_line(visit.rollout)
    if visit.busy:
        return f"another run was faster; nothing changed by this one: {line}"
    if not visit.saved:
        return f"the decision could not be saved ({visit.problem}): {line}"
    if visit.problem:
        return f"the target cannot be read ({visit.problem}): {line}"
    return line


def rollout_text(rollout: Rollout) -> str:
    """Return `rollout` as a page: the ladder, what is next, and every finding."""
    lines = [
        f"{rollout.id}  {rollout.phase}  {rollout.weight} %",
        f"  revision  {rollout.revision}",
        f"  ladder    {ladder_text(rollout)}",
        f"  because   {rollout.sentence}",
    ]
    if rollout.seen_weight not in (None, rollout.weight):
        lines.append(f"  live      {rollout.seen_weight} % as last seen")
    if rollout.next:
        lines.append(f"  next      {rollout.next}")
    if rollout.blocked:
        lines.append(f"  blocked   {rollout.blocked}")
    if rollout.label:
        lines.append(f"  shown     {rollout.label}")
    if rollout.drain is not None:
        lines.append(f"  drain     {rollout.drain.sentence.removeprefix('drain ')}")
    lines.append(f"  updated   {clock_text(rollout.updated)}")
    lines.extend(f"  {finding_line(finding)}" for finding in rollout.findings)
    return "\n".join(lines)


def ladder_text(rollout: Rollout) -> str:
    """Return the steps, the current one in brackets: `10 % 1h > [50 % 1h] > 100 % 24h`."""
    parts = []
    for index, step in enumerate(rollout.policy.steps):
        text = f"{step.weight} % {format_duration(step.bake)}"
        here = index == rollout.step and rollout.phase in (Phase.PROGRESSING, Phase.PAUSED)
        parts.append(f"[{text}]" if here else text)
    return " > ".join(parts)


def finding_line(finding: Finding) -> str:
    """Return a finding in one line: verdict, how much was shown, and the sentence."""
    return f"{_MARKS[finding.verdict]:<4}  {finding.label}: {finding.sentence}"
