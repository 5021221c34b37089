"""Events: what happened to a rollout, so that the next state is decided."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, TypeAlias

from controller.core.decision import Decision
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.findings import Finding
from controller.core.observation import Observation, TargetReading
from controller.core.policy import Policy
from controller.core.rollout import Reason, RolledBack, Rollout
from controller.core.units import Real
from controller.immutable import Immutable, field

# --- Commands -------------------------------------------------------------------------------------

DriftResolution: TypeAlias = Literal["", "restore", "keep"]


class Verb(StrEnum):
    """A command of an operator for an existing rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    APPROVE = "approve"
    ATTEST = "attest"
    ROLLBACK = "rollback"
    SET_WEIGHT = "set-weight"
    ACK = "ack"


class Command(Immutable):
    """A command of an operator: a verb and its options.

    way: the weight with which `resume` goes on after drift. weight: of `set-weight`, the weight to
    set; of `rollback`, the weight that was live before 0% was written.
    retry: of `set-weight`, whether the revision was rolled back and gets traffic again.
    criterion, refuse, by: of `attest`, the criterion, whether it is refused, and who signs.
    """

    verb: Verb
    reason: str = ""
    way: DriftResolution = ""
    weight: int | None = None
    retry: bool = False
    criterion: str = ""
    refuse: bool = False
    by: str = ""

    def data(self) -> dict[str, object]:
        """Return the command as plain JSON data, for the history."""
        data: dict[str, object] = {"verb": str(self.verb), "reason": self.reason, "way": self.way}
        if self.verb is Verb.ATTEST:
            return {**data, "criterion": self.criterion, "refuse": self.refuse, "by": self.by}
        data |= {} if self.weight is None else {"weight": self.weight}
        return data | ({"retry": True} if self.retry else {})


# --- Events ---------------------------------------------------------------------------------------


class StartCause(Immutable):
    """What an operator said of a start.

    retry_reason: why a revision that was rolled back is started again; None where it was not.
    adopted: index of the step whose weight is live already. The rollout starts in that step and
        writes nothing: the weight was read back from the target, and no limit of a raise applies.
    despite: the failed checks that the operator passed, by name, with what they found.
    despite_reason: why; empty where none was passed.
    fix: what was red, of a start as a fix, as `FixStart` has it; fix_reason: why it was started so.
    """

    retry_reason: str | None = None
    adopted: int | None = None
    despite: Mapping[str, str] = field(default_factory=dict)
    despite_reason: str = ""
    fix: Mapping[str, Real | None] = field(default_factory=dict)
    fix_reason: str = ""


class Started(Immutable):
    """An operator started a rollout, for a target that stands at 0% as it was read."""

    policy: Policy
    revision: str
    target: TargetReading
    attempt: int
    baselines: Mapping[str, BaselineMeasurement]
    cause: StartCause = StartCause()


class Observed(Immutable):
    """A tick observed the rollout."""

    observation: Observation


class Commanded(Immutable):
    """An operator gave a command. observation: of the rollout at that moment."""

    observation: Observation
    command: Command


class WriteFailed(Immutable):
    """The move of `decision`, which led to the rollout, could not be written.

    permanent: no later try can succeed either. saved: the decision was saved before its move
        failed, so the failure is an entry of its own.
    """

    decision: Decision
    why: str
    permanent: bool = False
    saved: bool = False


class LostSave(Immutable):
    """A run wrote 0%, and another run saved the rollout before this one did.

    reason, sentence, findings: why this run wrote it; GUARDING_ZERO in the watch after a rollback.
    """

    observation: Observation
    reason: Reason
    sentence: str
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, observation: Observation, lowered: Rollout) -> "LostSave":
        """Return the event for the state `lowered`, which could not be saved."""
        guarding = isinstance(lowered.state, RolledBack)
        reason = Reason.LOWERED_AGAIN if guarding else lowered.reason
        return cls(observation, reason, lowered.sentence, lowered.evidence.findings)


class LateRaise(Immutable):
    """A run wrote the raise of `raised`, and another run had rolled the rollout back before."""

    observation: Observation
    raised: Rollout


class RecordChanged(Immutable):
    """The rollout has the state of its history again; its record had another one.

    changed: the names of the fields that were changed outside rolloutctl.
    """

    observation: Observation
    changed: tuple[str, ...]


Seen: TypeAlias = Observed | Commanded
"""The events that come with a whole observation, in which hooks may have to answer."""

Event: TypeAlias = Observed | Commanded | WriteFailed | LostSave | LateRaise | RecordChanged
"""The events of a rollout that exists; `Started` creates one."""
