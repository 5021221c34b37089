"""The JSON of verbs on rollouts: their states, transitions, histories and replays."""

from typing import Annotated, Any, Literal

from controller.core.conditions import ConditionKind
from controller.core.decision import Alert
from controller.core.judge.findings import Verdict
from controller.core.observation import UpdateStatus
from controller.core.rollout import Phase, Reason
from controller.ports.json_types import (
    Count,
    Document,
    FindingView,
    Moment,
    Percent,
    one_of,
)
from controller.render.outputs.exposure import ExposureData


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


class BareRollbackData(Document):
    """A target after a rollback without a store."""

    target: str
    """Name of the resource that holds the weight."""
    confirmed: bool
    """Whether 0 % was read back as applied."""
    variables: str
    """What holds the weight as it was read back, or why it was not."""
    recorded: Literal[False]
    """No history has the rollback."""
    warnings: list[str]
    """Why the names of the target may be wrong."""


class ReadingData(Document):
    """The weight of a function, as it was read."""

    weight: Percent | None
    """Percent on the canary; null: the variables contradict each other."""
    variables: str
    """The variables as they stand, for people."""
    update: Annotated[str, one_of(UpdateStatus)]
    """Status of the last configuration update of the function."""


class SetWeightData(Document):
    """A target after its weight was set."""

    target: str
    """Name of the resource that holds the weight."""
    requested: Percent
    """Percent that the command asked for."""
    applied: bool
    """Whether that percent was read back as applied."""
    written: bool
    """Whether anything was written; false: the weight was applied already."""
    before: ReadingData
    """The weight before."""
    live: ReadingData
    """The weight after."""
    paused: str | None
    """Id of the rollout that was paused for it; null: none was."""
    notes: list[str]
    """What the operator should know."""


# --- history and replay ---------------------------------------------------------------------------


class Digests(Document):
    """SHA-256 of the policy, from each place that has one; all three are equal."""

    snapshot: str
    """Of the policy as it is stored."""
    state: str
    """In the state of the rollout."""
    first_entry: str
    """In the first entry of the history; empty where it has none."""


class PolicyDigests(Document):
    """Whether the policy is unchanged since the start."""

    policy_valid: bool
    """Whether the policy is still the one that the rollout started with."""
    policy_digests: Digests
    """Digests of the policy."""


class EntryData(Document):
    """One entry of a history."""

    seq: Count
    """Number of the entry, from 1."""
    at: Moment
    """When it was decided."""
    kind: str
    """What happened, such as advanced or rolled_back."""
    by: str
    """Who did it, as was claimed."""
    caller: str | None
    """ARN of the caller that AWS reported; empty: AWS did not say; null: a tick does not ask."""
    run: str
    """Id of the run, as in its log; empty: there was no log."""
    phase_from: Annotated[str, one_of(Phase)]
    """Phase before."""
    phase_to: Annotated[str, one_of(Phase)]
    """Phase after."""
    weight_from: Percent | None
    """Percent that was live before; null: unknown."""
    weight_to: Percent
    """Percent that was asked for."""
    step: Count
    """Index of the step after, from 0."""
    reason: Annotated[str, one_of(Reason)]
    """Why, in one word."""
    sentence: str
    """Why, in a sentence for people."""
    findings: list[FindingView]
    """The findings that decided."""
    body: dict[str, Any]
    """All that is stored, in the form that the hash covers: also what was observed."""
    previous: str
    """Hash of the entry before; empty in the first."""
    hash: str
    """SHA-256 over the JSON list of previous, seq, at, kind and body, with sorted keys."""


class HistoryData(PolicyDigests):
    """The whole history of a rollout."""

    rollout: str
    """Id of the rollout."""
    chain_valid: bool
    """Whether the hash chain holds, and the state names its last entry."""
    exposure: ExposureData
    """Bad requests served and to expect."""
    entries: list[EntryData]
    """Every entry, the first one first."""


class Difference(Document):
    """A recorded value that is not the one that follows from what was observed."""

    what: str
    """Which value."""
    recorded: str
    """The value in the store, as text."""
    follows: str
    """The value that follows, as text."""


class EntryDifferences(Document):
    """A decision that does not follow from what it saw."""

    seq: Count
    """Number of the entry."""
    at: Moment
    """When it was decided."""
    kind: str
    """What happened."""
    differs: list[Difference]
    """Where it differs."""


class ReplayData(PolicyDigests):
    """Every decision of a rollout, evaluated again."""

    rollout: str
    """Id of the rollout."""
    same: bool
    """Whether nothing differs, the hash chain holds, and the policy is unchanged."""
    entries: Count
    """Number of entries."""
    decisions: Count
    """Number of decisions that were evaluated again."""
    hours_of_evidence: Count
    """Number of hours of evidence that were added up again."""
    chain_valid: bool
    """Whether the hash chain holds."""
    chain_broken_at: int | None
    """Number of the first entry that breaks the chain; null: none does."""
    differences: list[EntryDifferences]
    """Each entry that differs."""
    state: list[Difference]
    """Where the stored state is not the one that the history leads to."""


class ReportData(Document):
    """The page that was written."""

    rollout: str
    """Id of the rollout."""
    file: str
    """Where the page is: a path, or the address of an object in S3."""
    bytes: Count
    """Size of the page."""
    exposure: ExposureData
    """Bad requests served and to expect."""
    missing: list[str]
    """What the page does not show, and why."""
