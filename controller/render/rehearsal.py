"""The outcome of a rehearsal, as a timeline and as JSON data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from controller.core.history import finding_of
from controller.core.units import duration_text
from controller.operations.rehearse import RehearsalOutcome
from controller.ports.json_view import finding_view
from controller.render.history import timeline
from controller.render.page import EMPTY_LINE, Page, Paragraph, Tone, paragraph, plain_text
from controller.render.rollout_page import PHASE_TONES, criteria_blocks
from controller.render.status import criteria_data

if TYPE_CHECKING:
    from controller.render.outputs.policies import RehearseData


def outcome_data(outcome: RehearsalOutcome, scenario: str, seed: int) -> "RehearseData":
    """Return `outcome` as plain JSON data."""
    rollout = outcome.rollout
    return {
        "policy": rollout.name,
        "scenario": scenario,
        "seed": seed,
        "status": outcome.status,
        "reason": str(rollout.reason),
        "sentence": rollout.sentence,
        "label": rollout.evidence.label,
        "criteria": criteria_data(rollout),
        "weights": list(outcome.weights),
        "final_weight": outcome.final_weight,
        "ticks": outcome.ticks,
        "started": outcome.started.isoformat(),
        "ended": outcome.ended.isoformat(),
        "calls": dict(outcome.calls),
        "refused": list(outcome.rejected_starts),
        "accepted": list(outcome.accepted_starts),
        "findings": [finding_view(finding) for finding in rollout.evidence.findings],
        "timeline": [
            {
                "at": entry.at.isoformat(),
                "kind": entry.kind,
                "weight": entry.body["weight_to"],
                "reason": entry.body["reason"],
                "sentence": entry.body["sentence"],
                "findings": [finding_view(finding_of(one)) for one in entry.body["findings"]],
            }
            for entry in outcome.entries
            if entry.kind != "evidence"
        ],
    }


def outcome_text(outcome: RehearsalOutcome, scenario: str, seed: int) -> str:
    """Return `outcome_page` as the lines of a pipe."""
    return plain_text(outcome_page(outcome, scenario, seed))


def outcome_page(outcome: RehearsalOutcome, scenario: str, seed: int) -> Page:
    """Return the timeline, the criteria, and as the last line the result."""
    rollout = outcome.rollout
    took = duration_text(rollout.since - outcome.started)
    watched = outcome.ended - rollout.since
    more = f", watched for {duration_text(watched)} more" if watched else ""
    weights = " > ".join(f"{weight} %" for weight in outcome.weights) or "none"
    head = f"{rollout.name}, scenario {scenario}, seed {seed}: {rollout.policy.steps_text()}"
    end = (
        f"{outcome.status} at {outcome.final_weight} % after {took}{more}; {outcome.ticks} ticks "
        f"(applied: {weights}): {rollout.sentence}"
    )
    return [
        paragraph(head, Tone.TITLE),
        EMPTY_LINE,
        *timeline(outcome.entries),
        *_second_starts(outcome),
        *criteria_blocks(rollout),
        EMPTY_LINE,
        paragraph(end, PHASE_TONES.get(rollout.phase, Tone.TITLE)),
    ]


def _second_starts(outcome: RehearsalOutcome) -> Iterator[Paragraph]:
    """Yield a paragraph for each second start: why it was refused, or its rollout."""
    for refusal in outcome.rejected_starts:
        lines = f"A second start was refused: {refusal}".split("\n")
        yield from (EMPTY_LINE, *map(paragraph, lines))
    for rollout_id in outcome.accepted_starts:
        text = f"A second start was accepted, and its rollout did not tick: {rollout_id}"
        yield from (EMPTY_LINE, paragraph(text))
