"""What really happened, as nobody inside knows it: the ground truth that invariants are about.

`by` says who did it: a process by its name; a hand, `person` or `deploy`, whose name may go on
after a space; or `time`, which finishes an update.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from controller.core.decision import Notice
from controller.core.history import Entry
from controller.core.judge.findings import Verdict
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout

TIME: Final = "time"
PERSON: Final = "person"
DEPLOY: Final = "deploy"

# What people ask by a process: a `Verb` of the core, or one of these.
START: Final = "start"
RETRY: Final = "retry"
RESUME_RESTORE: Final = "resume --restore"
RESUME_KEEP: Final = "resume --keep"
BARE_ROLLBACK: Final = "bare rollback"


def is_external(by: str) -> bool:
    """Tell whether `by` is another hand, and no process of ours."""
    return by.partition(" ")[0] in (PERSON, DEPLOY)


def parse_weight(target: LambdaEnv, variables: Mapping[str, str]) -> int | None:
    """Return the weight that `variables` say; None when they contradict each other.

    Written a second time, for who checks the adapter must not share its mistakes.
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
    """A process took its first step outside."""

    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class EnvironmentWrite:
    """The environment of the function was written, by a process or by another hand.

    before, after: all its variables. weight_before, weight_after: what the pair meant and means;
    None while it contradicts itself, and then full_before tells whether it may have meant 100.
    token: the RevisionId that the function carried before. stored: the rollouts as they were stored
    at that moment.
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
        """True when more traffic goes to the canary by it; a pair that may mean 100 is 100."""
        contradiction = 100 if self.full_before else 0
        before = contradiction if self.weight_before is None else self.weight_before
        return (self.weight_after or 0) > before

    @property
    def lowered(self) -> bool:
        """True when a weight above 0 went to 0."""
        return self.weight_after == 0 and self.weight_before != 0


@dataclass(frozen=True, slots=True)
class UpdateCompletion:
    """An update has finished: $LATEST is served with this weight. None: it contradicts itself."""

    at: datetime
    by: str
    weight: int | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RolloutSave:
    """What is stored of a rollout was changed; `before` is None when it was created.

    entries: what the history has gained. history_intact: False when entries that were there are no more, or
    others. owners: which rollout holds each of its locks. final: what each lock that it holds says.
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
    """A person asks something by a process: whatever that process does is on their behalf."""

    at: datetime
    by: str
    verb: str


@dataclass(frozen=True, slots=True)
class LambdaResponse:
    """Lambda answered a process. sound: as it should, with an environment, and at rest."""

    at: datetime
    by: str
    operation: str
    sound: bool


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What a process was shown by the metrics, judged once more beside it."""

    at: datetime
    by: str
    rollout: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Notification:
    """People were told of a rollout as the process had it then."""

    at: datetime
    by: str
    rollout: Rollout
    notice: Notice


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """A process ended: with an exit status, or None when it crashed."""

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
