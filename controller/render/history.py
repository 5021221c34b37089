"""History entries and the exposure of a rollout: as rows, as text and as JSON data.

The exposure is the bad requests that were served, and those to expect.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Annotated, Any, Final

from controller.core.events import Verb
from controller.core.history import Digests, Entry, finding_of
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text, count_text, number_text
from controller.core.words.findings import sentence_of
from controller.immutable import Immutable, field, picked
from controller.operations.recorded.exposure import Exposure
from controller.ports.json_view import (
    Count,
    FindingView,
    Number,
    Percent,
    Tenths,
    Time,
    finding_view,
    one_of,
)
from controller.render.page import Block, Page, PageTable, TextSpan, Tone, paragraph


class ExpectedData(Immutable):
    """What an outage at one step would cost: every request of the canary fails."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    per_minute: Number = field(name="requests_per_minute")
    """The traffic of both paths that it is worked out from."""
    minutes: Count
    """Minutes from the first bad request until 0% is written."""
    found: bool
    """Whether a criterion finds it within the step; false: the minutes are those of the step."""
    bad_requests: Tenths
    """Requests that would fail until then."""
    budget: Count | None = field(name="max_bad_requests")
    """How many the policy allows, so that an advance waits above that; null: any number."""


class StepExposureData(Immutable):
    """What the recorded minutes of one step cost."""

    step: Count
    """Index of the step, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    criterion: str
    """The criterion that counts failures; empty: the step has none."""
    requests: Number
    """Requests of the canary."""
    failures: Number = field(name="bad_requests")
    """Requests of the canary that failed."""
    excess: Number
    """How many more that are than at the share of the stable path, or at the allowed share."""
    budget: Count | None = field(name="max_bad_requests")
    """How many the policy lets the step be expected to serve; null: any number."""


class ExposureData(Immutable):
    """The bad requests of a rollout, by its history: its hourly entries and its transitions."""

    requests: Number
    """Requests of the canary."""
    failures: Number = field(name="bad_requests")
    """Requests of the canary that failed."""
    excess: Number
    """How many more that are than at the share of the stable path, or at the allowed share."""
    recorded_to: Time | None
    """End of the newest minute that is counted; null: none is."""
    steps: list[StepExposureData]
    """Each step that was reached."""
    expected: ExpectedData | None
    """What an outage at the next step would cost; null: none follows, or the traffic is unknown."""


def _served_text(exposure: Exposure) -> str:
    """Return the bad requests that were served, in all and by step."""
    if not exposure.criterion:
        return "bad requests are not counted"
    if exposure.recorded_to is None:
        return "no minute with requests is recorded yet"
    steps = ", ".join(
        f"{step.weight}%: {number_text(round(step.failures))}" for step in exposure.steps
    )
    return (
        f"{count_text(round(exposure.failures), 'bad request')} served of "
        f"{number_text(round(exposure.requests))}, {number_text(round(exposure.excess))} of them "
        f"more than usual ({steps}), as recorded to {clock_text(exposure.recorded_to)}"
    )


def exposure_text(exposure: Exposure) -> str:
    """Return what was served, and what is expected of the next step where that has a limit."""
    expected = exposure.expected
    if expected is None or expected.budget is None:
        return _served_text(exposure)
    return f"{_served_text(exposure)}; {expected.text}"


def exposure_fact(rollout: Rollout, exposure: Exposure | None) -> str:
    """Return what was served and what is expected, which the reason of a wait has already."""
    if exposure is None:
        return ""
    waits = rollout.reason is Reason.OVER_EXPOSURE_BUDGET
    return _served_text(exposure) if waits else exposure_text(exposure)


def exposure_data(exposure: Exposure) -> ExposureData:
    """Return `exposure` as documents have it."""
    expected = exposure.expected
    return picked(
        ExposureData,
        exposure,
        steps=[picked(StepExposureData, step) for step in exposure.steps],
        expected=None if expected is None else picked(ExpectedData, expected),
    )


# --- Entries --------------------------------------------------------------------------------------

# Reasons of a gate's decision: its sentence is short, and the findings are printed below it.
_GATE_REASONS = frozenset(
    {Reason.GATE_PASSED, Reason.ADVANCED_UNPROVEN, Reason.COMPLETED, Reason.INCONCLUSIVE}
)
_WIDTHS: Final = (len("2026-11-24 12:00"), len("50 → 100%"), len("rolling_back"))
# Entries of a write that changes the weight; any other is about the weight that is live.
WRITES: Final = frozenset({"started", "advanced", "rolling_back", "lowered_again"})
_TONES: Final = {
    "succeeded": Tone.GOOD,
    "paused": Tone.WAITING,
    "rolling_back": Tone.BAD,
    "rolled_back": Tone.BAD,
    "evidence": Tone.QUIET,
}
_COMMANDS: Final = frozenset({"start", *Verb})
# Entries with which the run of a command confirms its own write.
_CONFIRMATIONS: Final = frozenset({"applied", "rolled_back"})
_DECISIONS = frozenset({"advanced", "succeeded", "paused", "rolling_back"})


class EntryData(Immutable):
    """One entry of a history."""

    seq: Count
    """Number of the entry, from 1."""
    at: Time
    """When it was decided."""
    kind: str
    """What happened, such as advanced or rolled_back."""
    by: str
    """Who did it, as was claimed."""
    caller: str | None
    """ARN of the caller that AWS reported; empty: AWS did not say; null: a tick does not ask."""
    run: str
    """Id of the run, as in its log; empty: there was no log."""
    phase_from: Annotated[str, one_of(Phase)]
    """Phase before."""
    phase_to: Annotated[str, one_of(Phase)]
    """Phase after."""
    weight_from: Percent | None
    """Percent that was live before; null: unknown."""
    weight_to: Percent
    """Percent that was asked for."""
    step: Count
    """Index of the step after, from 0."""
    reason: Annotated[str, one_of(Reason)]
    """Why, in one word."""
    sentence: str
    """Why, in a sentence for people."""
    findings: Sequence[FindingView]
    """The findings that decided."""
    body: Mapping[str, Any]
    """All that is stored, in the form that the hash covers: also what was observed."""
    previous: str
    """Hash of the entry before; empty in the first."""
    hash: str
    """SHA-256 over the JSON list of previous, seq, at, kind and body, with sorted keys."""


class HistoryData(Immutable):
    """The whole history of a rollout."""

    rollout: str
    """Id of the rollout."""
    chain_valid: bool
    """Whether the hash chain holds, and the state names its last entry."""
    policy_valid: bool
    """Whether the policy is still the one that the rollout started with."""
    policy_digests: Digests
    """Digests of the policy."""
    exposure: ExposureData
    """Bad requests served and to expect."""
    entries: Iterable[EntryData]
    """Every entry, the first one first."""


def history_data(
    rollout_id: str, entries: Iterable[Entry], digests: Digests, exposure: Exposure, *, intact: bool
) -> HistoryData:
    """Return a history as a document. intact: whether its hash chain is valid.

    Its entries are an iterator: each is made from the next of `entries`.
    """
    cost = exposure_data(exposure)
    made = map(_entry_data, entries)
    return HistoryData(rollout_id, intact, digests.consistent, digests, cost, made)


def _entry_data(entry: Entry) -> EntryData:
    """Return an entry of the document: what happened, and the body that its hash covers.

    A field that a changed entry lacks is empty; `body` has whatever is stored.
    """
    body = entry.body
    return picked(
        EntryData,
        entry,
        by=body.get("by", ""),
        caller=body.get("caller"),
        run=body.get("run", ""),
        phase_from=body.get("phase_from", ""),
        phase_to=body.get("phase_to", ""),
        weight_from=body.get("weight_from"),
        weight_to=body.get("weight_to", 0),
        step=body.get("step", 0),
        reason=body.get("reason", ""),
        sentence=body.get("sentence", ""),
        findings=list(_finding_views(body.get("findings"))),
        body=dict(body),
    )


def _finding_views(findings: object) -> Iterator[FindingView]:
    """Yield the findings of an entry as other programs read them, but for unreadable ones."""
    for one in findings if isinstance(findings, list | tuple) else ():
        with suppress(ValueError, TypeError, KeyError):
            yield finding_view(finding_of(one))


def history_page(entries: Iterable[Entry]) -> Page:
    """Return `history_blocks`, with hours of evidence that say the same in one row."""
    page: list[Block] = []
    for (kind, _), group in groupby(_with_authors(entries), lambda one: (one[0].kind, one[1])):
        repeated, last, second = -1, None, list[Block]()
        for repeated, one in enumerate(group):
            if kind != "evidence" or repeated == 0:
                page += _blocks_with_author(*one)
            elif repeated == 1:
                second = list(_blocks_with_author(*one))
            last = one[0].at
        if kind == "evidence" and repeated > 1:
            text = f"the same {repeated} more times, the last time at {last:%Y-%m-%d %H:%M}"
            page.append(paragraph(text, Tone.QUIET, indent=4))
        else:
            page += second
    return page


def history_blocks(entries: Iterable[Entry]) -> Iterator[Block]:
    """Yield every entry as a row with its author, and below it the findings that decided.

    The columns of all entries are aligned, so that entries can be printed as they come.
    """
    for one in _with_authors(entries):
        yield from _blocks_with_author(*one)


def timeline(entries: Iterable[Entry]) -> Iterator[Block]:
    """Yield every transition as a row, and below it the findings that decided."""
    for entry, sentence in without_repeats(entries):
        if entry.kind not in ("evidence", "write_retried"):
            yield from _blocks(entry, sentence)


def without_repeats(entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield entries with sentences; the end of a rollback does not repeat a reason."""
    reasons = set[str]()
    for entry in entries:
        sentence = entry.body["sentence"]
        if entry.kind == "rolling_back":
            reasons.add(sentence)
        elif entry.kind == "rolled_back" and sentence in reasons:
            sentence = "0% is applied"
        yield entry, sentence


def _with_authors(entries: Iterable[Entry]) -> Iterator[tuple[Entry, str, bool]]:
    """Yield entries with sentences, and whether a command made it, or its run confirmed it."""
    command_run: str | None = None  # the run of a command whose entry came last
    for entry, sentence in without_repeats(entries):
        run, asks = entry.body.get("run", ""), "caller" in entry.body  # asks AWS who runs it
        confirms = asks and entry.kind in _CONFIRMATIONS and run == command_run
        is_command = confirms or _is_command(entry)
        command_run = run if is_command else None
        yield entry, sentence, is_command


def _blocks_with_author(entry: Entry, sentence: str, is_command: bool) -> Iterator[Block]:
    """Yield an entry with `by NAME` for a command; else with who ran the tick.

    The name is as claimed; behind it is the identity that AWS reports when that is another one.
    """
    by, caller = entry.body["by"], entry.body.get("caller")
    author = str(by)
    if caller not in (None, by):
        author = f"{by} (identity {f'from AWS: {caller}' if caller else 'unverified'})"
    return _blocks(entry, f"{sentence}  ({'by' if is_command else 'tick, run by'} {author})")


def _blocks(entry: Entry, sentence: str) -> Iterator[Block]:
    at = f"{entry.at:%Y-%m-%d %H:%M}"
    first = at, weight_change_text(entry), kind_span(entry), sentence
    yield PageTable([first], right=(1,), least=_WIDTHS)
    if entry.kind in _DECISIONS and entry.body["reason"] in _GATE_REASONS:
        for one in entry.body["findings"]:
            yield paragraph(sentence_of(finding_of(one)), Tone.QUIET, indent=4)


def kind_span(entry: Entry) -> TextSpan:
    """Return what happened, in its tone."""
    return TextSpan(entry.kind, _TONES.get(entry.kind, Tone.TITLE))


def weight_change_text(entry: Entry) -> str:
    """Return the weight that was live, and the new one where it was written: `10 → 50%`."""
    before, after = entry.body.get("weight_from"), entry.body.get("weight_to", 0)
    cause = entry.body.get("cause")
    if isinstance(cause, Mapping) and cause.get("verb") == Verb.SET_WEIGHT:
        after = cause.get("weight")
    elif entry.kind not in WRITES and before is not None:
        after = before
    return f"{after}%" if before in (None, after) else f"{before} → {after}%"


def _is_command(entry: Entry) -> bool:
    """Tell whether a person's command made `entry`; also where another run saved before it."""
    cause = entry.body.get("cause")
    if isinstance(cause, Mapping) and cause.get("verb") in _COMMANDS:
        return True
    return "caller" in entry.body and entry.body.get("reason") == Reason.ROLLBACK_REQUESTED
