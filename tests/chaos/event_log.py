"""Events of a simulation run, as the oracle observes them: the ground truth of the invariants.

`by` names the cause: a process by its name; an external actor, `person` or `deploy`, whose name may
continue after a space; or `time`, which finishes an update.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from controller.core.decision import Notice
from controller.core.history import Entry
from controller.core.judge.findings import Verdict
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.core.rollout import Rollout

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


def parse_weight(target: LambdaEnv, variables: Mapping[str, str]) -> int | None:
    """Return the weight in `variables`; None when they contradict each other.

    This is a second implementation: the oracle checks the adapter, and must not share its bugs.
    """
    text, flag = variables.get(target.percentage), ""
    if target.boolean is not None:
        flag = variables.get(target.boolean, "")
    if flag.lower() not in ("", "true", "false") or (flag != "true" and flag.lower() == "true"):
        return None
    if text is None:
        return 100 if flag == "true" else 0
    if not (text.isascii() and text.isdigit() and str(int(text)) == text and int(text) <= 100):
        return None
    contradicts = target.boolean is not None and (flag == "true") != (int(text) == 100)
    return None if contradicts else int(text)


def may_mean_full_weight(target: LambdaEnv, variables: Mapping[str, str]) -> bool:
    """Tell whether the variables contradict each other and one of them may mean 100 %."""
    if parse_weight(target, variables) is not None or target.boolean is None:
        return False
    return variables.get(target.boolean, "").lower() not in ("", "false")


@dataclass(frozen=True, slots=True)
class ProcessStart:
    """A process made its first external call."""

    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class EnvironmentWrite:
    """The environment of the function was written, by a process or by an external actor.

    before, after: all its variables. weight_before, weight_after: the weight of the pair; None when
    it contradicts itself, and then full_before tells whether it may have meant 100. token: the
    RevisionId before the write. stored: the rollouts as they were stored at that moment.
    """

    at: datetime
    by: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    weight_before: int | None
    weight_after: int | None
    stored: Sequence[Rollout] = ()
    token: str = ""
    full_before: bool = False

    @property
    def raised(self) -> bool:
        """True when it raises the weight; a contradictory pair that may mean 100 counts as 100."""
        contradiction = 100 if self.full_before else 0
        before = contradiction if self.weight_before is None else self.weight_before
        return (self.weight_after or 0) > before

    @property
    def lowered(self) -> bool:
        """True when it lowers a weight above 0 to 0."""
        return self.weight_after == 0 and self.weight_before != 0


@dataclass(frozen=True, slots=True)
class UpdateCompletion:
    """An update has finished: $LATEST serves this weight. None: the pair contradicts itself."""

    at: datetime
    by: str
    weight: int | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RolloutSave:
    """A rollout was saved; `before` is None when it was created.

    entries: the new entries of the history. history_intact: False when older entries were removed
    or changed. owners: the rollout that holds each of its locks. final: whether each lock that it
    holds says that its rollout is final.
    """

    at: datetime
    by: str
    before: Rollout | None
    after: Rollout
    entries: Sequence[Entry] = ()
    history_intact: bool = True
    owners: Mapping[str, str | None] = field(default_factory=dict)
    final: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A process runs an operator command: everything it does is on behalf of that person."""

    at: datetime
    by: str
    verb: str


@dataclass(frozen=True, slots=True)
class LambdaResponse:
    """Lambda answered a process. sound: with an environment, and without an update in progress."""

    at: datetime
    by: str
    operation: str
    sound: bool


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict on the metrics that a process got, as the oracle judges them again."""

    at: datetime
    by: str
    rollout: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Notification:
    """A process sent a notice. rollout: as the process had it then."""

    at: datetime
    by: str
    rollout: Rollout
    notice: Notice


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """A process ended. status: its exit status; None when it crashed."""

    at: datetime
    by: str
    status: int | None


ObservedEvent: TypeAlias = (
    ProcessStart
    | EnvironmentWrite
    | UpdateCompletion
    | RolloutSave
    | OperatorCommand
    | LambdaResponse
    | GateVerdict
    | Notification
    | ProcessEnd
)
