"""What was recorded beside what follows: where a decision, or the stored state, differs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from controller.core.decision import Decision, Record
from controller.core.history import MEMORY_FIELDS, finding_data, record_data
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.replay.entry import RecordedDecision
from controller.core.rollout import Phase, Rollout

# What an entry says in single words.
_SCALAR_FIELDS: Final = ("phase_from", "phase_to", "weight_from", "weight_to", "step")
# What ticks without an entry change of a rollout, and what is no decision.
_TRANSIENT_FIELDS: Final = frozenset(
    {
        *MEMORY_FIELDS,
        "blocked",
        "chain",
        "entries",
        "next",
        "next_at",
        "outbox",
        "schema",
        "updated",
        "version",
    }
) - {"reason"}
_RECOMPUTED_FIELDS: Final[Mapping[Phase, frozenset[str]]] = {
    Phase.PROGRESSING: frozenset({"findings", "reason", "sentence"}),
    Phase.PAUSED: frozenset({"findings"}),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was recorded otherwise than it expected, both in words."""

    what: str
    recorded: str
    expected: str


def decision_differences(recorded: RecordedDecision, decision: Decision) -> list[Difference]:
    """Return where the entry that `decision` leads to differs from `recorded`."""
    record = decision.record
    if record is None:
        return [Difference("the decision", recorded.summary, "nothing to write down")]
    if record.kind != recorded.kind:
        return [Difference("the decision", recorded.summary, f"{record.kind}: {record.sentence}")]
    return [*_scalar_differences(recorded, record), *_reason_differences(recorded, record)]


def state_differences(stored: Rollout, expected: Rollout, *, exact: bool) -> Iterator[Difference]:
    """Yield where `stored` differs from what its history leads to.

    exact: the history was derived without a difference. After one, only what every entry says is
    known: phase, step and weight.
    """
    if not exact:
        for name in ("phase", "step", "weight"):
            yield from _value_differences(name, getattr(stored, name), getattr(expected, name))
        return
    passing = _TRANSIENT_FIELDS | _RECOMPUTED_FIELDS.get(expected.phase, frozenset())
    for name in (one.name for one in fields(Rollout) if one.name not in passing):
        known, right = getattr(stored, name), getattr(expected, name)
        match name:
            case "tallies":
                yield from _tally_differences(known, right)
            case "fold":
                yield from _part_differences(
                    "evidence of the rollout", asdict(known), asdict(right)
                )
            case "findings":
                yield from _finding_differences(known, right)
            case _:
                yield from _value_differences(name, known, right)


def _scalar_differences(recorded: RecordedDecision, record: Record) -> Iterator[Difference]:
    yield from _value_differences("time", recorded.entry.at, record.at)
    body, follows = recorded.entry.body, record_data(record)
    for name in _SCALAR_FIELDS:
        yield from _value_differences(name, body[name], follows[name])


def _reason_differences(recorded: RecordedDecision, record: Record) -> Iterator[Difference]:
    """Yield where an entry gives other reasons; an hour of evidence gives its tallies."""
    if recorded.kind == "evidence":
        yield from _tally_differences(recorded.tallies, record.tallies)
        folds = asdict(recorded.fold), asdict(record.fold)
        yield from _part_differences("evidence of the rollout", *folds)
        return
    yield from _value_differences("reason", recorded.reason, record.reason)
    other = list(_finding_differences(recorded.findings, record.findings))
    yield from other or _value_differences("sentence", recorded.sentence, record.sentence)


def _finding_differences(
    recorded: tuple[Finding, ...], expected: tuple[Finding, ...]
) -> Iterator[Difference]:
    ones, others = ({one.criterion: one for one in each} for each in (recorded, expected))
    for name in {**ones, **others}:
        one, other = ones.get(name), others.get(name)
        if one is None or other is None or one.sentence != other.sentence:
            said = (found.sentence if found else "no finding" for found in (one, other))
            yield from _value_differences(f"finding {name}", *said)
        else:
            yield from _part_differences(f"finding {name}", finding_data(one), finding_data(other))


def _tally_differences(
    recorded: Mapping[str, Tally], expected: Mapping[str, Tally]
) -> Iterator[Difference]:
    for name in {**recorded, **expected}:
        one, other = recorded.get(name, Tally()), expected.get(name, Tally())
        yield from _part_differences(f"tally of {name}", asdict(one), asdict(other))


def _part_differences(
    what: str, recorded: Mapping[str, Any], expected: Mapping[str, Any]
) -> Iterator[Difference]:
    """Yield one contrast of those parts of two things that differ."""
    other = [name for name in expected if recorded[name] != expected[name]]
    if other:
        said = (", ".join(f"{name} {one[name]}" for name in other) for one in (recorded, expected))
        yield Difference(what, *said)


def _value_differences(what: str, recorded: object, expected: object) -> Iterator[Difference]:
    if recorded != expected:
        yield Difference(what, _text(recorded), _text(expected))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
