"""The status of a rollout as one line, as a page and as JSON data; of many, one line each."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.core.judge.criteria_table import VERDICT_MARKS, rows, table
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.sentences import sentence_of
from controller.core.message import Page
from controller.core.next_action import unacknowledged_page
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, duration_text, format_duration
from controller.engine.execute import Visit
from controller.engine.lease import Skip
from controller.ports.json_view import finding_view
from controller.text import printable_block

if TYPE_CHECKING:
    from controller.render.outputs.rollouts import (
        CriterionRow,
        PageData,
        RolloutData,
        SkipData,
        VisitData,
    )

# The slowest supported schedule ticks every 15 minutes; after 20, it has probably stopped.
LATE_AFTER = timedelta(minutes=20)


def rollout_data(rollout: Rollout) -> "RolloutData":
    """Return `rollout` as plain JSON data, as `status --json` prints it."""

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
        "next_at": _moment(rollout.next_at),
        "blocked": rollout.blocked,
        "created": rollout.created.isoformat(),
        "since": rollout.since.isoformat(),
        "settled": _moment(rollout.settled),
        "updated": rollout.updated.isoformat(),
        "findings": [finding_view(finding) for finding in rollout.findings],
        "criteria": criteria_data(rollout),
        "drain": None if rollout.drain is None else finding_view(rollout.drain),
        "unconfirmed": rollout.unconfirmed,
        "write_error": rollout.write_error,
        "page": None if rollout.page is None else _page_data(rollout.page),
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
            "label": row.label,
        }
        for row in rows(rollout)
    ]


def _page_data(page: Page) -> "PageData":
    return {
        "kind": page.kind,
        "text": page.text,
        "since": page.since.isoformat(),
        "acknowledged": page.acknowledged,
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
    if not rollout.final and (rollout.phase is Phase.ROLLING_BACK or rollout.in_flight):
        return f"{actual}, going to {expected}"
    return f"{actual}, expected {expected}"


def rollout_line(rollout: Rollout) -> str:
    """Return `rollout` in one line: id, phase, weight, reason, and the next action."""
    following = f"; next: {rollout.next}" if rollout.next else ""
    return (
        f"{rollout.id}  {rollout.phase}  {weight_text(rollout)}  "
        f"{rollout.reason}: {rollout.sentence}{following}"
    )


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
    return f"{skip.rollout_id}  was not visited: {skip.error}"


def visit_line(visit: Visit) -> str:
    """Return a visit in one line, starting with the problem."""
    line = rollout_line(visit.rollout)
    if visit.busy:
        return f"skipped, another run holds the rollout or saved first: {line}"
    if not visit.saved:
        return f"not saved: {visit.problem}: {line}"
    if visit.problem:
        return f"problem: {visit.problem}: {line}"
    return line


def rollout_text(rollout: Rollout, now: datetime | None = None) -> str:
    """Return `rollout` as a page: its steps, the next action, and every finding.

    now: adds a warning when no tick ran recently; None: a tick runs now.
    """
    lines = [
        f"{rollout.id}  {rollout.phase}  {weight_text(rollout)}",
        f"  revision  {rollout.revision}",
        f"  ladder    {ladder_text(rollout)}",
        f"  because   {rollout.sentence}",
    ]
    lines += [f"  {name:<9} {text}" for name, text in _facts(rollout) if text]
    late_note = "" if now is None else late_text(rollout, now)
    lines.append(f"  updated   {clock_text(rollout.updated)}{late_note}")
    if lines_of_table := table(rollout):
        lines += ["", *(f"  {line}" for line in lines_of_table), ""]
    lines.extend(f"  {finding_line(finding)}" for finding in rollout.findings)
    return printable_block(lines)


def _facts(rollout: Rollout) -> Iterator[tuple[str, str]]:
    """Yield name and text of each optional line of the page; the text may be empty."""
    yield "next", rollout.next
    yield "blocked", rollout.blocked
    if rollout.write_error not in rollout.blocked:
        yield "error", f"the last write of the weight failed: {rollout.write_error}"
    yield "shown", rollout.label
    if rollout.drain is not None:
        yield "drain", sentence_of(rollout.drain).removeprefix("drain ")
    if page := unacknowledged_page(rollout):
        since = clock_text(page.since)
        yield "critical", f"since {since}, told again until: rolloutctl ack {rollout.id}"
    if rollout.phase is Phase.SUCCEEDED:
        yield "to do", f"make it permanent: rolloutctl permanent {rollout.name}"


def late_text(rollout: Rollout, now: datetime) -> str:
    """Return how long ago the last tick was, when it is overdue; else empty."""
    if not _is_late(rollout, now):
        return ""
    return f", {duration_text(now - rollout.updated)} ago: does anything tick it?"


def _is_late(rollout: Rollout, now: datetime) -> bool:
    return not rollout.final and now - rollout.updated > LATE_AFTER


def ladder_text(rollout: Rollout) -> str:
    """Return the steps, the current one in brackets: `10 % 1h > [50 % 1h] > 100 % 24h`."""
    parts = []
    for index, step in enumerate(rollout.policy.steps):
        text = f"{step.weight} % {format_duration(step.bake)}"
        is_current = index == rollout.step and rollout.phase in (Phase.PROGRESSING, Phase.PAUSED)
        parts.append(f"[{text}]" if is_current else text)
    return " > ".join(parts)


def finding_line(finding: Finding) -> str:
    """Return a finding in one line: verdict, evidence label, and the sentence."""
    role = "" if finding.gates else "report only, "
    return f"{VERDICT_MARKS[finding.verdict]:<4}  {role}{finding.label}: {sentence_of(finding)}"


# --- Overview -----------------------------------------------------------------------------------


def overview_lines(rollouts: Sequence[Rollout], now: datetime) -> list[str]:
    """Return a line per rollout, the most urgent first; `!` marks those that need an operator."""
    ranked = sorted(rollouts, key=lambda one: _rank(one, now))
    width = max((len(one.id) for one in rollouts), default=0)
    return [
        f"{'!' if _rank(one, now) <= _NEEDS_OPERATOR else ' '} {one.id:<{width}}  "
        f"{one.phase:<12}  {weight_text(one):>5}  {_summary(one, now)}"
        for one in ranked
    ]


_NEEDS_OPERATOR = 3


def _rank(rollout: Rollout, now: datetime) -> int:
    """Return the urgency of `rollout`: 0 is the most urgent."""
    match rollout.phase:
        case Phase.ROLLING_BACK:
            return 0 if rollout.unconfirmed else 1
        case Phase.PAUSED:
            return 2
        case Phase.PROGRESSING:
            return 3 if _is_late(rollout, now) else 4
        case Phase.ROLLED_BACK:
            return 0 if _drain_is_incomplete(rollout, now) else 5
        case Phase.SUCCEEDED:
            return 6


def _drain_is_incomplete(rollout: Rollout, now: datetime) -> bool:
    """Tell whether canary requests may continue after a rollback that is still watched."""
    failed = rollout.drain is not None and rollout.drain.verdict is Verdict.FAIL
    return rollout.is_watched(now) and (failed or rollout.unconfirmed)


def _summary(rollout: Rollout, now: datetime) -> str:
    """Return the state of a rollout in a few words, problems first."""
    if rollout.drain is not None and _drain_is_incomplete(rollout, now):
        return sentence_of(rollout.drain)
    progressing = rollout.phase is Phase.PROGRESSING
    text = (rollout.next if progressing else "") or rollout.sentence
    if _is_late(rollout, now):
        text = f"no tick for {duration_text(now - rollout.updated)}; {text}"
    unconfirmed = rollout.phase is Phase.ROLLING_BACK and rollout.unconfirmed
    return f"NOT at 0 %: {rollout.blocked}; {text}" if unconfirmed else text
