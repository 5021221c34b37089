"""The outcome of a rehearsal: as a timeline, as JSON data and as Markdown."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Final

from controller.core.history import Entry, finding_of
from controller.core.judge.findings import Verdict
from controller.core.rollout import Phase, Reason
from controller.core.units import duration_text
from controller.core.words.criteria_table import rows
from controller.core.words.findings import sentence_of
from controller.immutable import Immutable, picked
from controller.ports.json_view import Count, FindingView, Percent, Time, finding_view, one_of
from controller.render.history import WRITES, kind_span, weight_change_text, without_repeats
from controller.render.page import (
    EMPTY_LINE,
    Page,
    PageTable,
    Paragraph,
    TextSpan,
    Tone,
    paragraph,
)
from controller.render.pipeline import markdown_page
from controller.render.rollout_data import CriterionRow, criteria_data
from controller.render.rollout_page import criteria_table
from controller.render.rollout_texts import PHASE_TONES
from controller.tools.rehearse.rehearsal import RehearsalOutcome

# A weekday tells less time than this apart.
_WEEK: Final = timedelta(days=6)
_UNSHOWN: Final = frozenset({"evidence", "write_retried"})
_CONFIRMATIONS: Final = frozenset({"applied", "rolled_back"})


class RehearsedEntry(Immutable):
    """One transition of a rehearsal."""

    at: Time
    """When it was decided, in virtual time."""
    kind: str
    """What happened, such as advanced or rolled_back."""
    weight: Percent
    """Percent that was asked for."""
    reason: Annotated[str, one_of(Reason)]
    """Why, in one word."""
    sentence: str
    """Why, in a sentence for people."""
    findings: list[FindingView]
    """The findings that decided."""


class RehearseData(Immutable):
    """How a rehearsal ended."""

    policy: str
    """Name of the policy."""
    scenario: str
    """The scenario: its name, or its file."""
    seed: int
    """Seed of the noise."""
    status: Annotated[str, one_of(Phase)]
    """Phase at the end: succeeded, rolled_back or paused; another one when time ran out."""
    reason: Annotated[str, one_of(Reason)]
    """Why the rollout ended there, in one word."""
    sentence: str
    """Why the rollout ended there, in a sentence for people."""
    label: str
    """Weakest evidence of the steps; empty where none was judged."""
    criteria: list[CriterionRow]
    """Each criterion of the policy with its newest finding, by id."""
    weights: Sequence[Percent]
    """Every weight that was applied, in order."""
    final_weight: Percent
    """Percent of traffic on the canary at the end."""
    ticks: Count
    """Number of ticks."""
    started: Time
    """Begin in virtual time."""
    ended: Time
    """End in virtual time."""
    calls: dict[str, int]
    """Number of AWS calls by service and operation."""
    refused: Sequence[str]
    """Errors of second starts that the scenario tried."""
    accepted: Sequence[str]
    """Rollouts of second starts that were not refused."""
    findings: list[FindingView]
    """The findings at the end."""
    timeline: list[RehearsedEntry]
    """Every transition."""


def outcome_data(outcome: RehearsalOutcome, scenario: str, seed: int) -> RehearseData:
    """Return `outcome` as a document."""
    rollout = outcome.rollout
    return picked(
        RehearseData,
        outcome,
        policy=rollout.name,
        scenario=scenario,
        seed=seed,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        label=rollout.evidence.label,
        criteria=criteria_data(rollout),
        calls=dict(outcome.calls),
        refused=outcome.rejected_starts,
        accepted=outcome.accepted_starts,
        findings=[finding_view(finding) for finding in rollout.evidence.findings],
        timeline=[
            RehearsedEntry(
                at=entry.at,
                kind=entry.kind,
                weight=entry.body["weight_to"],
                reason=entry.body["reason"],
                sentence=entry.body["sentence"],
                findings=[finding_view(finding_of(one)) for one in entry.body["findings"]],
            )
            for entry in outcome.entries
            if entry.kind != "evidence"
        ],
    )


def outcome_page(outcome: RehearsalOutcome, scenario: str, seed: int) -> Page:
    """Return the timeline, the criteria, and as the last line the result."""
    rollout = outcome.rollout
    weights = " > ".join(f"{weight}%" for weight in outcome.weights) or "none"
    is_open = rollout.phase in (Phase.PROGRESSING, Phase.ROLLING_BACK)
    took = (outcome.ended if is_open else rollout.since) - outcome.started
    end = (
        f"{outcome.status} at {outcome.final_weight}% after {duration_text(took)} "
        f"(applied: {weights}); {outcome.ticks} ticks, seed {seed}"
    )
    if is_open:
        end += f": {rollout.sentence}"
    return [
        paragraph(
            f"{rollout.name}, scenario {scenario}: {rollout.policy.steps_text()}", Tone.TITLE
        ),
        PageTable(list(_rows(outcome)), right=(1,)),
        *_second_starts(outcome),
        EMPTY_LINE,
        criteria_table(rows(rollout)),
        paragraph("measured over the whole step, also before a fault", Tone.QUIET),
        paragraph(end, PHASE_TONES.get(rollout.phase, Tone.TITLE)),
    ]


def _rows(outcome: RehearsalOutcome) -> Iterator[tuple[str, str, TextSpan, str]]:
    """Yield a row for each transition, without those that only confirm a write at once."""
    form = "%a %H:%M" if outcome.ended - outcome.started < _WEEK else "%Y-%m-%d %H:%M"
    written = ""
    for entry, sentence in without_repeats(outcome.entries):
        at = entry.at.strftime(form)
        if entry.kind in _UNSHOWN or (entry.kind in _CONFIRMATIONS and at == written):
            continue
        written = at if entry.kind in WRITES else ""
        yield at, weight_change_text(entry), kind_span(entry), _text(entry, sentence)


def _text(entry: Entry, sentence: str) -> str:
    """Return what a row says, without its other columns.

    Of a gate that passed these are its criteria, of a leak check that passed there are no details.
    """
    findings = [finding_of(one) for one in entry.body["findings"]]
    passed = [finding.criterion for finding in findings if finding.verdict is Verdict.PASS]
    if entry.kind == "leak_checked" and len(passed) == len(findings):
        return "no request reaches the canary"
    if entry.kind == "started":
        return sentence.partition(";")[0]
    if entry.body["reason"] == Reason.GATE_PASSED:
        others = [
            sentence_of(finding) for finding in findings if finding.verdict is not Verdict.PASS
        ]
        return "; ".join((f"passed: {', '.join(passed)}", *others))
    return sentence.partition("; likelihood ratio")[0]


def _second_starts(outcome: RehearsalOutcome) -> Iterator[Paragraph]:
    """Yield a paragraph for each second start: why it was refused, or its rollout."""
    for refusal in outcome.rejected_starts:
        lines = f"A second start was refused: {refusal}".split("\n")
        yield from (EMPTY_LINE, *map(paragraph, lines))
    for rollout_id in outcome.accepted_starts:
        text = f"A second start was accepted, and its rollout did not tick: {rollout_id}"
        yield from (EMPTY_LINE, paragraph(text))


def outcome_markdown(outcome: RehearsalOutcome, scenario: str, seed: int) -> str:
    """Return how a rehearsal ended, its criteria and its timeline; at most MAX_CHARACTERS."""
    rollout = outcome.rollout
    duration = duration_text(rollout.since - outcome.started)
    facts = [
        f"scenario {scenario}, seed {seed}: {rollout.policy.steps_text()}",
        f"applied: {' > '.join(f'{weight}%' for weight in outcome.weights) or 'none'}",
        *(f"a second start was refused: {start}" for start in outcome.rejected_starts),
        *(
            f"a second start was accepted, and not ticked: {start}"
            for start in outcome.accepted_starts
        ),
    ]
    result = f"{outcome.status} at {outcome.final_weight}% after {duration}"
    return markdown_page(f"{rollout.name}: {result}", facts, rollout, outcome.entries)
