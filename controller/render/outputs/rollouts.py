"""The JSON of verbs on rollouts: their states, transitions, histories and replays."""

from typing import Annotated, Literal

from controller.core.conditions import ConditionKind
from controller.core.decision import Alert
from controller.core.judge.findings import Verdict
from controller.core.rollout import Phase, Reason
from controller.ports.json_types import (
    Count,
    Document,
    FindingView,
    Moment,
    Percent,
    one_of,
)
from controller.render.exposure import ExposureData


class CriterionRow(Document):
    """A criterion of the policy with its newest finding."""

    criterion: str
    """Id of the criterion."""
    kind: str
    """Kind of the criterion."""
    role: Annotated[str, one_of(("gate", "report"))]
    """Whether the criterion decides over the rollout, or only reports."""
    target: str
    """What the criterion asks for, as text."""
    measured: str
    """What was measured, as text with its unit; a dash: nothing."""
    samples: Count
    """Requests, datapoints or events behind the finding."""
    verdict: Annotated[str, one_of(Verdict)]
    """The newest verdict; inconclusive before the first."""
    label: str
    """How strong the evidence is."""


class LiveData(Document):
    """A step whose weight was read back from the target: its gate is judged."""

    step: Count
    """Index of the step in the policy, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    since: Moment
    """When the weight was first read back as applied."""


class PendingData(Document):
    """A write that was decided and was not read back yet."""

    step: Count
    """Index of the step that becomes live, from 0."""
    weight: Percent
    """Percent that was decided."""
    previous: Percent
    """Percent that the target had at the decision."""
    decided: Moment
    """When the write was decided."""
    first_look: Moment | None
    """The first tick that saw it not applied, from which its time limit counts; null: none yet."""
    tried: Moment | None
    """When it was last written; null: it waits, and the previous weight was seen since."""
    accepted: Moment | None
    """When the target accepted it, if it was not read back then; null: that is not known."""


class ConditionData(Document):
    """What people must know about the rollout until it ends."""

    kind: Annotated[str, one_of(ConditionKind)]
    """What it is: no sight, a block, a pause, an unconfirmed rollback, or a changed weight."""
    text: str
    """The condition in a sentence."""
    since: Moment
    """When it began."""
    announced: Moment | None
    """When operators were notified last; null: not yet."""
    critical: bool
    """Whether it pages."""
    acknowledged: bool
    """Whether an operator has acknowledged it, so that it pages no more."""


class RolloutData(Document):
    """One run of a policy for one revision, as its state is stored."""

    id: str
    """Name of the policy and number of the attempt, such as checkout#2."""
    name: str
    """Name of the policy."""
    revision: str
    """What is rolled out; by default the CodeSha256 of the function."""
    policy_digest: str
    """SHA-256 of the policy that the rollout started with."""
    target: str
    """What holds the weight, as an ARN."""
    phase: Annotated[str, one_of(Phase)]
    """Phase of the rollout; succeeded and rolled_back are final."""
    step: Count
    """Index of the step in the policy, from 0."""
    weight: Percent
    """Percent of traffic on the canary that the rollout asked for last."""
    live: LiveData | None
    """The step that is judged; null: no weight was read back yet, or it was taken back."""
    pending: PendingData | None
    """The write that was decided and was not read back yet; null: there is none."""
    seen_weight: Percent | None
    """Percent that was read last from the target; null: its variables contradict each other."""
    reason: Annotated[str, one_of(Reason)]
    """Why the rollout is in its state, in one word."""
    sentence: str
    """Why the rollout is in its state, in a sentence for people."""
    label: str
    """Weakest evidence of the steps that are over; empty while none is."""
    next: str
    """What comes next, for people; empty when nothing does."""
    next_at: Moment | None
    """When that is due; null: no time is known."""
    waiting_for: str
    """What the next step waits for; empty when it waits for nothing."""
    created: Moment
    """When the rollout was started."""
    since: Moment
    """When its phase began."""
    updated: Moment
    """When the rollout was looked at last."""
    findings: list[FindingView]
    """Each criterion of the step judged once, at the last look."""
    criteria: list[CriterionRow]
    """Each criterion of the policy with its newest finding, by id."""
    drain: FindingView | None
    """Whether requests left the canary after a rollback; null: not known yet, or no rollback."""
    write_error: str
    """Why the last write of the weight failed; empty once the weight is applied."""
    conditions: list[ConditionData]
    """What people must know about the rollout until it ends."""
    undelivered: list[str]
    """Keys of the messages that some recipient has not received yet."""


class VisitData(RolloutData):
    """A rollout after this command looked at it, and what came of that."""

    busy: bool
    """Whether another run holds the rollout or saved first; then this one changed nothing."""
    problem: str
    """Why the target was not read, or the decision not saved; empty: there was no problem."""
    saved: bool
    """Whether the state above is stored; false: the next run finds an older one."""
    alerts: list[Annotated[str, one_of(Alert)]]
    """Conditions that give this command an exit status of its own."""


class SkipData(Document):
    """A rollout that a tick did not visit."""

    id: str
    """Id of the rollout."""
    phase: None
    """Unknown, since the rollout was not read."""
    busy: Literal[False]
    """No other run holds it, as far as is known."""
    problem: str
    """Why the rollout was not visited."""
    saved: Literal[False]
    """Nothing was saved."""
    alerts: list[Annotated[str, one_of(Alert)]]
    """Empty: nothing was looked at."""


# --- status, start, run, tick and the operator's verbs --------------------------------------------


class StatusData(RolloutData):
    """One rollout, as `status ROLLOUT` prints it."""

    policy_changed: bool
    """Whether the stored policy is not the one that the rollout started with."""
    exposure: ExposureData | None
    """Bad requests served and to expect; null: the policy has no `max_bad_requests`."""


class StatusList(Document):
    """Every active rollout, or with --all every rollout, as `status` without ROLLOUT prints it."""

    rollouts: list[StatusData]
    """Each rollout that can be read; the others are named on stderr."""


class StartData(RolloutData):
    """The rollout that was started, or is active already."""

    new: bool
    """Whether this command started it; false: it was active already, and nothing changed."""
    warnings: list[str]
    """What is allowed and should be looked at."""


class RunData(RolloutData):
    """The rollout when `run` ended."""

    warnings: list[str]
    """What the start allowed and should be looked at."""


class TickData(Document):
    """What one tick did."""

    rollouts: list[VisitData | SkipData]
    """Each rollout of the tick, the visited ones first."""


class RollbackData(VisitData):
    """The rollout after a rollback that went through the store."""

    recorded: bool
    """Whether the history has the rollback."""
    warnings: list[str]
    """What should be looked at."""
