"""What was recorded beside what follows: where a decision, or the stored state, differs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from controller.core.decision import Decision, Record
from controller.core.history import MEMORY, finding_data, record_data
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.replay.entry import Recorded
from controller.core.rollout import Phase, Rollout

# What an entry says in single words.
_WORDS: Final = ("phase_from", "phase_to", "weight_from", "weight_to", "step")
# What ticks without an entry change of a rollout, and what is no decision.
_PASSING: Final = frozenset(
    {
        *MEMORY,
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
_SAID_ANEW: Final[Mapping[Phase, frozenset[str]]] = {
    Phase.PROGRESSING: frozenset({"findings", "reason", "sentence"}),
    Phase.PAUSED: frozenset({"findings"}),
}


@dataclass(frozen=True, slots=True)
class Contrast:
    """One thing that was recorded otherwise than it follows, both in words."""

    what: str
    recorded: str
    follows: str


def decision_contrasts(recorded: Recorded, decision: Decision) -> list[Contrast]:
    """Return where the entry that `decision` leads to differs from `recorded`."""
    record = decision.record
    if record is None:
        return [Contrast("the decision", recorded.shown, "nothing to write down")]
    if record.kind != recorded.kind:
        return [Contrast("the decision", recorded.shown, f"{record.kind}: {record.sentence}")]
    return [*_words(recorded, record), *_reasons(recorded, record)]


def state_contrasts(stored: Rollout, follows: Rollout, *, exact: bool) -> Iterator[Contrast]:
    """Yield where `stored` differs from what its history leads to.

    exact: the history was derived without a difference. After one, only what every entry says is
    known: phase, step and weight.
    """
    if not exact:
        for name in ("phase", "step", "weight"):
            yield from _differs(name, getattr(stored, name), getattr(follows, name))
        return
    passing = _PASSING | _SAID_ANEW.get(follows.phase, frozenset())
    for name in (one.name for one in fields(Rollout) if one.name not in passing):
        known, right = getattr(stored, name), getattr(follows, name)
        match name:
            case "tallies":
                yield from _tallies(known, right)
            case "fold":
                yield from _parts("evidence of the rollout", asdict(known), asdict(right))
            case "findings":
                yield from _findings(known, right)
            case _:
                yield from _differs(name, known, right)


def _words(recorded: Recorded, record: Record) -> Iterator[Contrast]:
    yield from _differs("time", recorded.entry.at, record.at)
    body, follows = recorded.entry.body, record_data(record)
    for name in _WORDS:
        yield from _differs(name, body[name], follows[name])


def _reasons(recorded: Recorded, record: Record) -> Iterator[Contrast]:
    """Yield where an entry gives other reasons; an hour of evidence gives its tallies."""
    if recorded.kind == "evidence":
        yield from _tallies(recorded.tallies, record.tallies)
        folds = asdict(recorded.fold), asdict(record.fold)
        yield from _parts("evidence of the rollout", *folds)
        return
    yield from _differs("reason", recorded.reason, record.reason)
    other = list(_findings(recorded.findings, record.findings))
    yield from other or _differs("sentence", recorded.sentence, record.sentence)


def _findings(recorded: tuple[Finding, ...], follows: tuple[Finding, ...]) -> Iterator[Contrast]:
    ones, others = ({one.criterion: one for one in each} for each in (recorded, follows))
    for name in {**ones, **others}:
        one, other = ones.get(name), others.get(name)
        if one is None or other is None or one.sentence != other.sentence:
            said = (found.sentence if found else "no finding" for found in (one, other))
            yield from _differs(f"finding {name}", *said)
        else:
            yield from _parts(f"finding {name}", finding_data(one), finding_data(other))


def _tallies(recorded: Mapping[str, Tally], follows: Mapping[str, Tally]) -> Iterator[Contrast]:
    for name in {**recorded, **follows}:
        one, other = recorded.get(name, Tally()), follows.get(name, Tally())
        yield from _parts(f"tally of {name}", asdict(one), asdict(other))


def _parts(
    what: str, recorded: Mapping[str, Any], follows: Mapping[str, Any]
) -> Iterator[Contrast]:
    """Yield one contrast of those parts of two things that differ."""
    other = [name for name in follows if recorded[name] != follows[name]]
    if other:
        said = (", ".join(f"{name} {one[name]}" for name in other) for one in (recorded, follows))
        yield Contrast(what, *said)


def _differs(what: str, recorded: object, follows: object) -> Iterator[Contrast]:
    if recorded != follows:
        yield Contrast(what, _text(recorded), _text(follows))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
