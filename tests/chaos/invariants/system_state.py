"""How everything stands while a story is told: what an invariant compares a happening with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from controller.core.history import Entry
from controller.core.policy import LambdaEnv
from controller.core.rollout import Intent, Rollout
from controller.core.transitions import ROLLBACK_PHASES
from tests.chaos.event_log import (
    RESUME_KEEP,
    RESUME_RESTORE,
    RETRY,
    START,
    EnvironmentWrite,
    LambdaResponse,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    UpdateCompletion,
    is_external,
)

NEVER = datetime.min.replace(tzinfo=UTC)
# A person who asks one of these lets the weight go up again.
GO_AHEAD_VERBS = frozenset({START, RETRY, "resume", RESUME_RESTORE, RESUME_KEEP, "promote"})
# What is written into the history when a weight is decided; all but the last may be more traffic.
WEIGHT_DECISIONS = ("started", "advanced", "resumed")
ADVANCE_KINDS = frozenset(WEIGHT_DECISIONS[:2])


@dataclass(slots=True)
class ProcessRecord:
    """A process from its begin on.

    begun: what had happened before it, as a number. found: the rollouts as it found them.
    asked: what a person asked by it. sound: Lambda has answered it as it should, and always did.
    """

    started: datetime
    start_number: int
    rollouts_at_start: dict[str, Rollout]
    verbs: set[str] = field(default_factory=set)
    answers: int = 0
    sound: bool = True


@dataclass(slots=True)
class SystemState:
    """The truth after everything that has been heard.

    weight, in_force: what the function shows and what requests meet; None: a contradiction.
    skew: how far the clocks of two processes may be apart. now: when the last thing happened.
    external_weights: every weight that another hand has set, and the one of the beginning.
    last: who wrote the environment last; last_write_number: when, counted in happenings.
    raises: of each rollout the last intent to raise, and the weight that it had asked for before.
    go_ahead: a person has let the weight go up since another hand wrote it.
    met: the rollouts whose weight requests have met since it was asked for.
    """

    target: LambdaEnv
    weight: int | None = 0
    served_weight: int | None = 0
    skew: timedelta = timedelta()
    now: datetime = NEVER
    number: int = 0
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, list[Entry]] = field(default_factory=dict)
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    external_weights: set[int | None] = field(default_factory=set)
    last_writer: str = ""
    last_write_number: int = 0
    raises: dict[str, tuple[Intent, int]] = field(default_factory=dict)
    go_ahead: bool = False
    served_rollouts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.external_weights.add(self.weight)

    def process(self, by: str, at: datetime) -> ProcessRecord:
        """Return the life of the process `by`, which begins now if nobody saw it begin."""
        if by not in self.processes:
            self.processes[by] = ProcessRecord(at, self.number, dict(self.stored))
        return self.processes[by]

    def verbs_of(self, by: str) -> frozenset[str]:
        """Return what a person asked by the process `by`."""
        return frozenset(self.processes[by].verbs) if by in self.processes else frozenset()

    def rollout_of_raise(self, write: EnvironmentWrite) -> Rollout | None:
        """Return the rollout that has recorded the raise to what was written; None: none has.

        The one that meant this very state of the function comes first, then the newest.
        """
        fitting = [one for one in write.stored if self._advance_weight(one) == write.weight_after]
        fitting.sort(key=lambda one: (self._has_token(one, write.token), one.attempt))
        return fitting[-1] if fitting else None

    def advance(self, rollout_id: str) -> Entry | None:
        """Return the entry in which more traffic was decided, if that is what was decided last."""
        decided = [
            one for one in self.histories.get(rollout_id, ()) if one.kind in WEIGHT_DECISIONS
        ]
        return decided[-1] if decided and decided[-1].kind in ADVANCE_KINDS else None

    def _advance_weight(self, rollout: Rollout) -> int | None:
        entry = self.advance(rollout.id)
        return None if entry is None else int(entry.body["weight_to"])

    def _has_token(self, rollout: Rollout, token: str) -> bool:
        known = self.raises.get(rollout.id)
        return known is not None and known[0].token == token

    def newest(self) -> Rollout | None:
        """Return the rollout that was created last."""
        return max(self.stored.values(), key=lambda one: (one.created, one.attempt), default=None)

    def apply(self, event: ObservedEvent) -> None:
        """Take note of what has happened."""
        self.number += 1
        match event:
            case ProcessStart(at=at, by=by):
                self.processes.setdefault(by, ProcessRecord(at, self.number, dict(self.stored)))
            case OperatorCommand(at=at, by=by, verb=verb):
                self.process(by, at).verbs.add(verb)
            case LambdaResponse(at=at, by=by, sound=sound):
                life = self.process(by, at)
                life.answers += 1
                life.sound = life.sound and sound
            case EnvironmentWrite():
                self._wrote(event)
            case UpdateCompletion(weight=weight):
                self.served_weight = weight
                going = (one for one in self.stored.values() if one.phase not in ROLLBACK_PHASES)
                self.served_rollouts |= {one.id for one in going if one.weight == weight}
            case RolloutSave():
                self._saved(event)
            case ProcessEnd(by=by):
                self.processes.pop(by, None)
            case _:
                pass

    def _wrote(self, write: EnvironmentWrite) -> None:
        self.weight = write.weight_after
        self.last_writer, self.last_write_number = write.by, self.number
        if is_external(write.by):
            self.external_weights.add(write.weight_after)
            self.go_ahead = False

    def _saved(self, save: RolloutSave) -> None:
        before, after = save.before, save.after
        self.stored[after.id] = after
        self.histories.setdefault(after.id, []).extend(save.entries)
        if self.verbs_of(save.by) & GO_AHEAD_VERBS:
            self.go_ahead = True
        intent = after.intent
        if before is not None and before.intent == intent:
            return
        self.served_rollouts -= {after.id}
        if self.served_weight == after.weight:
            self.served_rollouts.add(after.id)
        if intent.weight > intent.previous:
            self.raises[after.id] = (intent, 0 if before is None else before.weight)
