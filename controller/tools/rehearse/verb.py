"""The verb `rehearse`: runs a whole policy in a simulated world, in seconds.

Its outcome is shown as a timeline, as JSON data and as Markdown.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Annotated, Final

import click
from click.shell_completion import CompletionItem

from controller.cli import options
from controller.cli.call import CommandContext, Result, load_policy
from controller.cli.streams import Progress
from controller.core.history import Entry, finding_of
from controller.core.judge.findings import Verdict
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text, duration_text
from controller.core.words.criteria_table import rows
from controller.core.words.findings import sentence_of
from controller.engine.exit_status import of_rehearsal
from controller.errors import Exit
from controller.immutable import Immutable, picked
from controller.ports.json_view import Count, FindingView, Percent, Time, finding_view, one_of
from controller.ports.metrics import MetricSource
from controller.process import logging, settings
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
from controller.render.pipeline import junit_text, markdown_page
from controller.render.rollout_data import CriterionRow, criteria_data
from controller.render.rollout_page import criteria_table
from controller.render.rollout_texts import PHASE_TONES
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearsal
from controller.tools.rehearse.rehearsal import rehearse as play

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


_SHOW_EVERY = 10  # ticks between two updates of the progress line


def _complete_scenarios(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped scenarios that begin like `incomplete`, and leave files to the shell.

    Only file names are read: to import the simulation would delay every key press.
    """
    shipped = files("controller.tools.simulation") / "scenarios"
    names = sorted(one.name.removesuffix(".yaml") for one in shipped.iterdir())
    matches = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    # The file item comes first: Click's bash script drops the items before it.
    return [CompletionItem(incomplete, type="file"), *matches]


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--scenario", default="healthy", show_default=True, metavar="NAME|FILE",
    shell_complete=_complete_scenarios,
    help="A shipped scenario, or a file like them.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random noise.")
@click.option(
    "--requests-per-minute", "per_minute", type=options.RequestRate(), metavar="N",
    help="The request rate, both paths together. Default: that of the scenario.",
)  # fmt: skip
@options.tick_interval
@click.option(
    "--expect",
    type=click.Choice(["succeeded", "rolled_back", "paused"]),
    help="End with 0 when it ends like this, and with 7 when not.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="The canary has 100% at the start, and the rollout takes it over.",
)
@click.option(
    "--approve",
    is_flag=True,
    help="Approve each step that waits for approval, and sign each attestation that gates. "
    "Default: neither.",
)
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Keep the rollout in this empty store, sqlite:///FILE or dynamodb://TABLE.",
)
@options.report_option("rollout")
@options.call_options("markdown", "junit", "json")
def rehearse(
    call: CommandContext,
    policy: Path,
    scenario: str,
    seed: int,
    per_minute: float | None,
    interval: timedelta,
    expect: str | None,
    adopt: bool,
    approve: bool,
    report_place: settings.PageLocation | None,
) -> Result:
    """Run a whole rollout of POLICY in a simulation.

    It goes through the real runner, the real adapters and a real store, in virtual time. The store
    is in memory unless --store names one. The account is not read. `plan --live` checks
    whether its metrics, alarms and logs exist.
    """
    if call.verbose:
        call.configure_logs()
    else:
        logging.disable()
    location = settings.parse_store_url(call.store_url) if call.store_url else None
    with (
        rehearsal(
            load_policy(policy), scenario, seed, store=location, adopt=adopt, per_minute=per_minute
        ) as stage,
        Progress(wanted=not call.verbose) as progress,
    ):
        ticks = count(1)

        def show(rollout: Rollout) -> None:
            if next(ticks) % _SHOW_EVERY == 1:
                at = clock_text(rollout.updated)
                progress.show(f"{at}  {rollout.weight}%  {rollout.sentence}")

        outcome = play(
            stage.runner,
            stage.world,
            stage.policy,
            every=interval,
            on_tick=show,
            adopt=adopt,
            approve=approve,
        )
        if report_place is not None:
            _write_report(outcome, scenario, stage.runner.observer.metrics, report_place)
    status = of_rehearsal(outcome.status, expect)
    return Result(
        "rehearse",
        data=lambda: outcome_data(outcome, scenario, seed),
        page=lambda: outcome_page(outcome, scenario, seed),
        markdown=lambda: outcome_markdown(outcome, scenario, seed),
        junit=lambda: junit_text(outcome.rollout, outcome.entries, expect),
        notes=[f"expected {expect}, but it ended {outcome.status}"]
        if status is Exit.CHECK_FAILED
        else [],
        status=status,
    )


def _write_report(
    outcome: RehearsalOutcome, scenario: str, metrics: MetricSource, place: settings.PageLocation
) -> None:
    """Write the report of a rehearsal; its latencies are read from the simulated world."""
    from controller.bootstrap.account import write_page  # Jinja2: for pages alone
    from controller.tools.report import RolloutHistory
    from controller.tools.report.html import report_html
    from controller.tools.report.verb import report_of

    report = report_of(RolloutHistory(outcome.rollout, outcome.entries), outcome.ended, metrics)
    write_page(place, report_html(report, scenario=scenario))
