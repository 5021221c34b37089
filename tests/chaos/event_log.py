"""Events of a simulation run, as the oracle observes them: the ground truth of the invariants.

`by` names the cause: a process by its name; an external actor, `person` or `deploy`, whose name may
continue after a space; or `time`, which finishes an update.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from controller.immutable import Immutable, field
from tests.support.core import Entry, Notice, Rollout, Verdict

TIME: Final = "time"
PERSON: Final = "person"
DEPLOY: Final = "deploy"

# Operator commands of a process: a `Verb` of the core, or one of these.
START: Final = "start"
RETRY: Final = "retry"
RESUME_RESTORE: Final = "resume --restore"
RESUME_KEEP: Final = "resume --keep"
BARE_ROLLBACK: Final = "bare rollback"


def is_external(by: str) -> bool:
    """Tell whether `by` is an external actor, and no process of rolloutctl."""
    return by.partition(" ")[0] in (PERSON, DEPLOY)


class ProcessStart(Immutable):
    """A process made its first external call."""

    at: datetime
    by: str


class TargetWrite(Immutable):
    """The target was written, by a process or by an external actor.

    weight_before, weight_after: the weight that it shows; None: a contradiction, and then
    full_before tells whether it may have meant 100. stored: the rollouts as they were stored at
    that moment. token: the version of the target before the write. beside: the names of settings
    beside the weight that it changed. effective: whether it changed any setting.
    unseen: who wrote the target since the process of this write had read it. Only an API without a
    condition on its writes lets that happen. The write was then decided on what the process had
    read: `stored` and `token` are of that reading, and `beside` leaves out what it had read so.
    """

    at: datetime
    by: str
    weight_before: int | None
    weight_after: int | None
    stored: Sequence[Rollout] = ()
    token: str = ""
    full_before: bool = False
    beside: Sequence[str] = ()
    effective: bool = True
    unseen: Sequence[str] = ()

    @property
    def unseen_external(self) -> bool:
        """True when an external actor wrote the target since the process had read it."""
        return any(map(is_external, self.unseen))

    @property
    def raised(self) -> bool:
        """True when it raises the weight; a contradiction that may mean 100 counts as 100."""
        contradiction = 100 if self.full_before else 0
        before = contradiction if self.weight_before is None else self.weight_before
        return (self.weight_after or 0) > before

    @property
    def lowered(self) -> bool:
        """True when it lowers a weight above 0 to 0."""
        return self.weight_after == 0 and self.weight_before != 0


class UpdateCompletion(Immutable):
    """An update has finished: requests get this weight. None: a contradiction."""

    at: datetime
    by: str
    weight: int | None
    failed: bool = False


class RolloutSave(Immutable):
    """A rollout was saved; `before` is None when it was created.

    entries: the new entries of the history. history_intact: False when older entries were removed
    or changed. owners: the rollout that holds each of its locks. final: whether each lock that it
    holds says that its rollout is final. read: the versions of the target that the process had read
    by then, where the API has no condition on a write; empty elsewhere.
    """

    at: datetime
    by: str
    before: Rollout | None
    after: Rollout
    entries: Sequence[Entry] = ()
    history_intact: bool = True
    owners: Mapping[str, str | None] = field(default_factory=dict)
    final: Mapping[str, bool] = field(default_factory=dict)
    read: frozenset[str] = frozenset()


class OperatorCommand(Immutable):
    """A process runs an operator command: everything it does is on behalf of that person."""

    at: datetime
    by: str
    verb: str


class TargetResponse(Immutable):
    """The service of the target answered a process. sound: the process can act on the answer."""

    at: datetime
    by: str
    operation: str
    sound: bool


class GateVerdict(Immutable):
    """The verdict on the metrics that a process got, as the oracle judges them again."""

    at: datetime
    by: str
    rollout: str
    verdict: Verdict


class Notification(Immutable):
    """A process sent a notice. rollout: as the process had it then."""

    at: datetime
    by: str
    rollout: Rollout
    notice: Notice


class ProcessEnd(Immutable):
    """A process ended. status: its exit status; None when it crashed."""

    at: datetime
    by: str
    status: int | None


ObservedEvent: TypeAlias = (
    ProcessStart
    | TargetWrite
    | UpdateCompletion
    | RolloutSave
    | OperatorCommand
    | TargetResponse
    | GateVerdict
    | Notification
    | ProcessEnd
)
