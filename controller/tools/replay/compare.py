"""One decision derived again from what its entry records, and how that differs from it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, assert_never

from msgspec.structs import fields

from controller.core import events
from controller.core.decide import decide
from controller.core.decision import Decision, Record
from controller.core.events import (
    Command,
    Commanded,
    LostSave,
    Observed,
    RecordChanged,
    StartCause,
    Started,
)
from controller.core.history import finding_data, record_data
from controller.core.judge.evidence import RolloutEvidence, Tally
from controller.core.judge.findings import Finding
from controller.core.judge.judgement import judge
from controller.core.judge.queries import JUDGED_PHASES, gate_query_plan
from controller.core.judge.stored_series import StoredPoints, restore_series
from controller.core.observation import Observation, TargetReading, UpdateStatus
from controller.core.repeated_state import MEMORY_FIELDS, state_parts
from controller.core.rollout import Paused, Progressing, Rollout, State
from controller.core.stats.combined_tests import SequentialState
from controller.core.transitions import advance, announce
from controller.core.words.findings import sentence_of
from controller.immutable import Immutable, field, plain_data, replace
from controller.operations.recorded.decision import (
    LostRace,
    RecordedDecision,
    Restored,
    WriteFailure,
)

STARTED = "started"
EVIDENCE = "evidence"


def derive_start(stored: Rollout, recorded: RecordedDecision) -> Decision:
    """Return the decision to start `stored`, derived from its first entry.

    The policy, the revision and the baselines that were read before the start are the stored ones.
    """
    cause = recorded.cause if isinstance(recorded.cause, StartCause) else StartCause()
    target, is_start = recorded.observation.target, recorded.kind == STARTED
    if not isinstance(target, TargetReading):
        target = TargetReading(stored.target, 0, "", "", UpdateStatus.SUCCESSFUL)
    baselines = stored.evidence.baselines
    started = Started(stored.policy, stored.revision, target, stored.attempt, baselines, cause)
    decision = decide(None, started, recorded.decided_at if is_start else stored.created)
    return replace(decision, rollout=replace(decision.rollout, code=stored.code))


def derive_decision(before: Rollout, recorded: RecordedDecision, stored: StoredPoints) -> Decision:
    """Return the decision on `before` that follows from the observation of `recorded`.

    stored: the points that earlier entries have stored. Raises UsageError when the entry is of a
    command that changes nothing.
    """
    read_from = gate_query_plan(before, recorded.decided_at).span.start
    series = restore_series(before, recorded.observation.series, stored.since(read_from))
    decision = _derive_by_cause(before, recorded, replace(recorded.observation, series=series))
    why = recorded.write_error if recorded.refusal is None else recorded.refusal
    if why is None:
        return decision
    failed = events.WriteFailed(decision, why, permanent=recorded.refusal is not None)
    return decide(decision.rollout, failed, recorded.entry.at)


def _derive_by_cause(
    before: Rollout, recorded: RecordedDecision, observation: Observation
) -> Decision:
    cause, now = recorded.cause, recorded.decided_at
    match cause:
        case Command():
            return decide(before, Commanded(observation, cause), now)
        case LostRace():
            lost = LostSave(observation, cause.reason, cause.sentence, recorded.findings)
            return decide(before, lost, now)
        case WriteFailure():
            return Decision(replace(before, updated=now))
        case Restored(changed):
            return decide(before, RecordChanged(observation, changed), now)
        case None if recorded.kind == EVIDENCE:
            return _derive_checkpoint(before, recorded, observation)
        case None | StartCause():
            return decide(before, Observed(observation), now)
        case unreachable:
            assert_never(unreachable)


def _derive_checkpoint(
    before: Rollout, recorded: RecordedDecision, observation: Observation
) -> Decision:
    """Write the checkpoint again from the minutes that the entry stored.

    Reason, sentence and findings are taken from the entry: that tick derived them from more data
    than the entry stores.
    """
    now = max(recorded.decided_at, before.updated)
    state = before.state
    if isinstance(state, Progressing | Paused):
        state = replace(state, reason=recorded.reason, sentence=recorded.sentence)
    rollout = replace(before, state=state, updated=now).with_findings(recorded.findings)
    judgement = judge(rollout, observation, now)
    if judgement.checkpoint is None:
        return Decision(rollout)
    decision = advance.evidence_entry(rollout, judgement.checkpoint, now)
    return announce.with_visibility(decision, judgement)


# --- Differences ----------------------------------------------------------------------------------

# The fields of an entry with a single value.
_SCALAR_FIELDS: Final = ("phase_from", "phase_to", "weight_from", "weight_to", "step")
# Fields of a rollout that ticks change without an entry, or that no decision sets.
_TRANSIENT_FIELDS: Final = frozenset(
    {
        *MEMORY_FIELDS,
        "chain",
        "due",
        "entries",
        "format",
        "outbox",
        "state_digest",
        "threads",
        "updated",
        "version",
    }
)


class Difference(Immutable):
    """A recorded value that is not the one that follows from what was observed."""

    what: str
    """Which value."""
    recorded: str
    """The value in the store, as text."""
    expected: str = field(name="follows")
    """The value that follows, as text."""


def decision_differences(recorded: RecordedDecision, decision: Decision) -> list[Difference]:
    """Return where the entry that `decision` leads to differs from `recorded`."""
    record = decision.record
    if record is None:
        return [Difference("the decision", recorded.summary, "nothing to write down")]
    if record.kind != recorded.kind:
        return [Difference("the decision", recorded.summary, f"{record.kind}: {record.sentence}")]
    body, expected = recorded.entry.body, record_data(record)
    return [
        *_value_differences("time", recorded.entry.at, record.at),
        *(
            difference
            for name in _SCALAR_FIELDS
            for difference in _value_differences(name, body[name], expected[name])
        ),
        *_reason_differences(recorded, record),
    ]


def state_differences(stored: Rollout, expected: Rollout, *, exact: bool) -> Iterator[Difference]:
    """Yield where `stored` differs from `expected`, the state that its history leads to.

    exact: the history was derived without a difference. After one, only the fields of every entry
    are known: phase, step and weight.
    """
    if not exact:
        for name in ("phase", "step", "weight"):
            yield from _value_differences(name, getattr(stored, name), getattr(expected, name))
        return
    ignored = _TRANSIENT_FIELDS
    if expected.phase in JUDGED_PHASES:  # every tick judges again, with or without an entry
        ignored |= {"findings"}
    expected_values = _values(expected)
    for name, value in _values(stored).items():
        if name not in ignored:
            differences = _DIFFERENCES.get(name, partial(_value_differences, name))
            yield from differences(value, expected_values[name])


def _values(rollout: Rollout) -> dict[str, Any]:
    """Return the fields of `rollout` and of its evidence, by name."""
    own = {one.name: getattr(rollout, one.name) for one in fields(Rollout)}
    evidence = own.pop("evidence")
    return own | {one.name: getattr(evidence, one.name) for one in fields(RolloutEvidence)}


def _state_differences(stored: State, expected: State) -> Iterator[Difference]:
    if stored.phase is not expected.phase:
        yield from _value_differences("phase", stored.phase, expected.phase)
        return
    yield from _part_differences("state", state_parts(stored), state_parts(expected))


def _reason_differences(recorded: RecordedDecision, record: Record) -> Iterator[Difference]:
    """Yield where the reasons of an entry differ; those of hourly evidence are its tallies."""
    if recorded.kind == "evidence":
        yield from _tally_differences(recorded.tallies, record.tallies)
        yield from _fold_differences(recorded.fold, record.fold)
        return
    yield from _value_differences("reason", recorded.reason, record.reason)
    differences = list(_finding_differences(recorded.findings, record.findings))
    yield from differences or _value_differences("sentence", recorded.sentence, record.sentence)


def _finding_differences(
    recorded: tuple[Finding, ...], expected: tuple[Finding, ...]
) -> Iterator[Difference]:
    by_criterion, expected_by_criterion = (
        {finding.criterion: finding for finding in findings} for findings in (recorded, expected)
    )
    for name in {**by_criterion, **expected_by_criterion}:
        one, other = by_criterion.get(name), expected_by_criterion.get(name)
        if one is None or other is None or sentence_of(one) != sentence_of(other):
            sentences = (sentence_of(one) if one else "no finding" for one in (one, other))
            yield from _value_differences(f"finding {name}", *sentences)
        else:
            yield from _part_differences(f"finding {name}", finding_data(one), finding_data(other))


def _tally_differences(
    recorded: Mapping[str, Tally], expected: Mapping[str, Tally]
) -> Iterator[Difference]:
    for name in {**recorded, **expected}:
        one, other = recorded.get(name, Tally()), expected.get(name, Tally())
        yield from _part_differences(f"tally of {name}", plain_data(one), plain_data(other))


def _part_differences(
    what: str, recorded: Mapping[str, Any], expected: Mapping[str, Any]
) -> Iterator[Difference]:
    """Yield one difference that names every part in which `recorded` is not `expected`."""
    names = [name for name in expected if recorded[name] != expected[name]]
    if names:
        texts = (", ".join(f"{name} {one[name]}" for name in names) for one in (recorded, expected))
        yield Difference(what, *texts)


def _value_differences(what: str, recorded: object, expected: object) -> Iterator[Difference]:
    if recorded != expected:
        yield Difference(what, _text(recorded), _text(expected))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _fold_differences(recorded: SequentialState, expected: SequentialState) -> Iterator[Difference]:
    yield from _part_differences(
        "evidence of the rollout", plain_data(recorded), plain_data(expected)
    )


# The fields of a rollout whose parts are compared one by one.
_DIFFERENCES: Final[Mapping[str, Callable[[Any, Any], Iterator[Difference]]]] = {
    "state": _state_differences,
    "tallies": _tally_differences,
    "fold": _fold_differences,
    "findings": _finding_differences,
}
