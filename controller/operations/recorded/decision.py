"""A history entry parsed: the observation, memory and cause of its decision, and the outcome."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from msgspec import NODEFAULT, convert
from msgspec.structs import fields

from controller.core.decide import LOST_RACE
from controller.core.events import Command, StartCause
from controller.core.history import Entry
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.stored_series import series_of
from controller.core.observation import (
    AlarmReading,
    HookAnswer,
    Observation,
    TargetReading,
    UnreadableTarget,
)
from controller.core.repeated_state import MEMORY_FIELDS, PENDING_MEMORY_FIELDS, STATE_MEMORY_FIELDS
from controller.core.rollout import Paused, Pending, Phase, Progressing, Reason, Rollout
from controller.core.stats.combined_tests import SequentialState
from controller.core.transitions.pause import RESTORED
from controller.core.transitions.write_failure import WRITE_FAILED
from controller.core.units import AwareTime, Real
from controller.immutable import Immutable, field, replace


class UnreadableEntryError(ValueError):
    """The body of an entry is not what this program writes."""


class LostRace(Immutable):
    """The cause of a rollback that was carried out while another run saved first."""

    reason: Reason
    sentence: str


class WriteFailure(Immutable):
    """The cause of an entry about a decision whose move could not be written."""


class Restored(Immutable):
    """The cause of an entry that puts a changed record back; changed: its fields."""

    changed: tuple[str, ...]


Cause: TypeAlias = Command | StartCause | LostRace | WriteFailure | Restored | None
"""The cause of a decision besides its observation; None: there is none."""


class RecordedDecision(Immutable):
    """The content of one history entry.

    memory: the fields that ticks without an entry may have changed before the decision.
    decided_at: when it was decided; the time of the entry may be when its move was refused.
    refusal: why its move to 0% was refused for good; None when it was not.
    write_error: why its move could not be written; None when it was, or was refused for good.
    """

    entry: Entry
    observation: Observation
    memory: Mapping[str, Any]
    cause: Cause
    decided_at: datetime
    refusal: str | None
    write_error: str | None
    phase: Phase
    weight: int
    step: int
    reason: Reason
    sentence: str
    findings: tuple[Finding, ...]
    tallies: Mapping[str, Tally]
    fold: SequentialState = field(default_factory=SequentialState)

    @property
    def kind(self) -> str:
        """The kind of the entry."""
        return self.entry.kind

    @property
    def summary(self) -> str:
        """The decision in a few words."""
        return f"{self.kind}: {self.sentence}"

    def with_memory(self, rollout: Rollout) -> Rollout:
        """Return `rollout` with the changes of ticks without an entry.

        While a gate is judged, every tick changes its findings; a decision that does not judge
        keeps the last ones.
        """
        if rollout.phase in JUDGED_PHASES and rollout.live:
            rollout = rollout.with_findings(self.findings)
        state, pending = rollout.state, rollout.pending
        if isinstance(state, Progressing):
            state = replace(state, **self._memory_of(STATE_MEMORY_FIELDS))
        if pending is not None and isinstance(state, Progressing | Paused):
            pending = replace(pending, **self._memory_of(PENDING_MEMORY_FIELDS))
            state = replace(state, position=pending)
        return replace(rollout, state=state, **self._memory_of(MEMORY_FIELDS))

    def _memory_of(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self.memory[name] for name in names if name in self.memory}


def read_entry(entry: Entry, steps: int) -> RecordedDecision:
    """Return the content of `entry`, in the history of a policy with that number of `steps`.

    Raises UnreadableEntryError for a body that this program does not write.
    """
    try:
        recorded = _parse_entry(entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise UnreadableEntryError(f"{type(error).__name__}: {first_line}") from error
    adopted = recorded.cause.adopted if isinstance(recorded.cause, StartCause) else None
    for step in (recorded.step, adopted):
        if step is not None and not 0 <= step < steps:
            problem = f"the policy has {steps} steps, and none is number {step}"
            raise UnreadableEntryError(f"ValueError: {problem}")
    return recorded


def _parse_entry(entry: Entry) -> RecordedDecision:
    body = entry.body
    seen = body["observation"]
    because = body.get("cause", {})
    return RecordedDecision(
        entry=entry,
        observation=Observation(
            _target(seen["target"]),
            series_of(seen["series"]),
            seen.get("owns_target", True),
            convert(seen.get("alarms", {}), dict[str, AlarmReading]),
            convert(seen.get("hooks", {}), dict[str, HookAnswer]),
            convert(seen.get("fix"), dict[str, Real | None] | None),
        ),
        memory=_memory(seen["memory"]),
        cause=_cause(because),
        decided_at=convert(because.get("decided", entry.at), AwareTime),
        refusal=because.get("refused"),
        write_error=because.get("write_error"),
        phase=Phase(body["phase_to"]),
        weight=convert(body["weight_to"], int),
        step=convert(body["step"], int),
        reason=Reason(body["reason"]),
        sentence=convert(body["sentence"], str),
        findings=convert(body["findings"], tuple[Finding, ...]),
        tallies=convert(body.get("tallies", {}), dict[str, Tally]),
        fold=convert(body.get("fold", {}), SequentialState),
    )


_MEMORY: Final = [
    one
    for owner, names in (
        (Rollout, MEMORY_FIELDS),
        (Progressing, STATE_MEMORY_FIELDS),
        (Pending, PENDING_MEMORY_FIELDS),
    )
    for one in fields(owner)
    if one.name in names
]


# By verb; any other is that of a command.
_CAUSES: Final[Mapping[str, type[Immutable]]] = {
    "start": StartCause,
    LOST_RACE: LostRace,
    WRITE_FAILED: WriteFailure,
    RESTORED: Restored,
}


def _cause(because: Mapping[str, Any]) -> Cause:
    """Return the cause that `because` names; it says other things as well."""
    if because.get("verb") is None:
        return None
    kind: Any = _CAUSES.get(str(because["verb"]), Command)
    names = [one.name for one in fields(kind)]
    cause: Cause = convert({name: because[name] for name in names if name in because}, kind)
    return cause


def _target(data: Mapping[str, Any]) -> TargetReading | UnreadableTarget:
    if "unreadable" in data:
        return UnreadableTarget(convert(data["unreadable"], str), data["permanent"] is True)
    return convert(data, TargetReading)


def _memory(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of the memory; a field that the entry leaves out had its default."""
    memory = {
        one.name: convert(data[one.name], one.type) if one.name in data else one.default
        for one in _MEMORY
    }
    return {name: value for name, value in memory.items() if value is not NODEFAULT}
