"""The state of the system before an event, with which invariants compare the event."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from controller.core.transitions.rollback import ROLLBACK_PHASES
from tests.chaos.event_log import (
    RESUME_KEEP,
    RESUME_RESTORE,
    RETRY,
    START,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    TargetResponse,
    TargetWrite,
    UpdateCompletion,
    is_external,
)
from tests.support.core import Entry, Pending, Rollout

NEVER = datetime.min.replace(tzinfo=UTC)
# Commands by which an operator allows the weight to rise again.
GO_AHEAD_VERBS = frozenset({START, RETRY, "resume", RESUME_RESTORE, RESUME_KEEP, "promote"})
# Kinds of history entries that decide a weight; all but the last may raise it.
WEIGHT_DECISIONS = ("started", "advanced", "resumed")
ADVANCE_KINDS = frozenset(WEIGHT_DECISIONS[:2])


@dataclass(slots=True)
class ProcessRecord:
    """A process since its start.

    start_number: the number of events before it. rollouts_at_start: the rollouts as stored then.
    verbs: its operator commands. answers: how often the target answered it. sound: all those
    answers were sound.
    """

    started: datetime
    start_number: int
    rollouts_at_start: dict[str, Rollout]
    verbs: set[str] = field(default_factory=set)
    answers: int = 0
    sound: bool = True


@dataclass(slots=True)
class SystemState:
    """The state after all events so far.

    weight, served_weight: what the target shows, and what requests get; None: a contradiction.
    skew: how much the clocks of two processes may differ. now: the time of the last event.
    number: how many events there were. stored, histories: the rollouts and their entries.
    read_versions: the versions of the target that the process which decided a raise had read, by
    the token of that raise; only where the API has no condition on a write. processes: those that
    run. ended_verbs: the operator commands of those that have ended. external_weights: every weight
    that an external actor has set, and the first one.
    last_writer: who wrote the target last; last_write_number: the number of that event;
    last_unseen: as `TargetWrite.unseen` of it. raises: the last raise that each rollout decided,
    and its intended weight before. go_ahead: an operator has allowed a raise since the last
    external write. served_rollouts: the rollouts whose intended weight has been served.
    stable_fails: the stable path fails, from before the first rollout on.
    """

    weight: int | None = 0
    served_weight: int | None = 0
    skew: timedelta = timedelta()
    stable_fails: bool = False
    now: datetime = NEVER
    number: int = 0
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, list[Entry]] = field(default_factory=dict)
    read_versions: dict[str, frozenset[str]] = field(default_factory=dict)
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    ended_verbs: dict[str, frozenset[str]] = field(default_factory=dict)
    external_weights: set[int | None] = field(default_factory=set)
    last_writer: str = ""
    last_write_number: int = 0
    last_unseen: tuple[str, ...] = ()
    raises: dict[str, tuple[Pending, int]] = field(default_factory=dict)
    go_ahead: bool = False
    served_rollouts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.external_weights.add(self.weight)

    def process(self, by: str, at: datetime) -> ProcessRecord:
        """Return the record of the process `by`; it starts now if there is none."""
        if by not in self.processes:
            self.processes[by] = ProcessRecord(at, self.number, dict(self.stored))
        return self.processes[by]

    def verbs_of(self, by: str) -> frozenset[str]:
        """Return the operator commands of the process `by`.

        What a process had sent when it was killed may be carried out after its end.
        """
        if by in self.processes:
            return frozenset(self.processes[by].verbs)
        return self.ended_verbs.get(by, frozenset())

    def rollout_of_raise(self, write: TargetWrite) -> Rollout | None:
        """Return the rollout that has recorded the raise that was written; None: none has.

        One whose raise has the token of the write is preferred, then the newest.
        """
        matching = [one for one in write.stored if self._advance_weight(one) == write.weight_after]
        matching.sort(key=lambda one: (self._has_token(one, write.token), one.attempt))
        return matching[-1] if matching else None

    def advance(self, rollout_id: str) -> Entry | None:
        """Return the last entry that decided a weight, if it is a start or an advance."""
        decisions = [
            one for one in self.histories.get(rollout_id, ()) if one.kind in WEIGHT_DECISIONS
        ]
        return decisions[-1] if decisions and decisions[-1].kind in ADVANCE_KINDS else None

    def _advance_weight(self, rollout: Rollout) -> int | None:
        entry = self.advance(rollout.id)
        return None if entry is None else int(entry.body["weight_to"])

    def _has_token(self, rollout: Rollout, version: str) -> bool:
        known = self.raises.get(rollout.id)
        return known is not None and self.is_version(known[0].token, version)

    def is_version(self, token: str, version: str) -> bool:
        """Tell whether a raise with this token was decided on this version of the target."""
        return token == version or version in self.read_versions.get(token, ())

    def newest(self) -> Rollout | None:
        """Return the rollout that was stored last for the first time, by whatever clock."""
        return next(reversed(self.stored.values()), None)

    def apply(self, event: ObservedEvent) -> None:
        """Update the state by `event`."""
        self.number += 1
        match event:
            case ProcessStart(at=at, by=by):
                self.processes.setdefault(by, ProcessRecord(at, self.number, dict(self.stored)))
            case OperatorCommand(at=at, by=by, verb=verb):
                self.process(by, at).verbs.add(verb)
            case TargetResponse(at=at, by=by, sound=sound):
                process = self.process(by, at)
                process.answers += 1
                process.sound = process.sound and sound
            case TargetWrite():
                self._apply_write(event)
            case UpdateCompletion(weight=weight):
                self.served_weight = weight
                not_rolling_back = (
                    one for one in self.stored.values() if one.phase not in ROLLBACK_PHASES
                )
                self.served_rollouts |= {one.id for one in not_rolling_back if one.weight == weight}
            case RolloutSave():
                self._apply_save(event)
            case ProcessEnd(by=by):
                self.ended_verbs[by] = self.verbs_of(by)
                self.processes.pop(by, None)
            case _:
                pass

    def _apply_write(self, write: TargetWrite) -> None:
        self.weight = write.weight_after
        self.last_writer, self.last_write_number = write.by, self.number
        self.last_unseen = tuple(write.unseen)
        if is_external(write.by):
            self.external_weights.add(write.weight_after)
            self.go_ahead = False

    def _apply_save(self, save: RolloutSave) -> None:
        before, after = save.before, save.after
        self.stored[after.id] = after
        self.histories.setdefault(after.id, []).extend(save.entries)
        if self.verbs_of(save.by) & GO_AHEAD_VERBS:
            self.go_ahead = True
        if before is not None and not _has_new_intention(before, after):
            return
        self.served_rollouts -= {after.id}
        if self.served_weight == after.weight:
            self.served_rollouts.add(after.id)
        pending = after.pending
        if pending is not None and pending.is_raise:
            self.raises[after.id] = (pending, 0 if before is None else before.weight)
            if save.read:
                self.read_versions.setdefault(pending.token, save.read)


def _has_new_intention(before: Rollout, after: Rollout) -> bool:
    """Tell whether `after` intends another weight than `before`, or another write of it."""
    known, pending = (
        one.pending and (one.pending.decided, one.pending.token) for one in (before, after)
    )
    return before.weight != after.weight or pending not in (None, known)
