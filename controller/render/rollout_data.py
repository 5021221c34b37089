"""The status of a rollout as JSON data, and what a visit of it came to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from controller.core.decision import Alert
from controller.core.judge.findings import Verdict
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.words.criteria_table import CriterionTexts, rows
from controller.core.words.notices import fix_text
from controller.engine.execute import TickOutcome
from controller.engine.lease import SkippedRollout
from controller.immutable import Immutable, picked
from controller.ports.json_view import (
    Count,
    FindingView,
    Number,
    Percent,
    Time,
    finding_view,
    one_of,
)
from controller.render.rollout_texts import rollout_texts


class CriterionRow(Immutable):
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
    verdict: Verdict
    """The newest verdict; inconclusive before the first."""
    label: str
    """How strong the evidence is."""
    towards_fail: Number | None
    """How much of the evidence that fails it there is, from 0 to 1; null: not known."""
    towards_pass: Number | None
    """How much of what a pass needs there is, from 0 to 1; null: not known, or not possible now."""


class LiveData(Immutable):
    """A step whose weight was read back from the target: its gate is judged."""

    step: Count
    """Index of the step in the policy, from 0."""
    weight: Percent
    """Percent of traffic on the canary."""
    since: Time
    """When the weight was first read back as applied."""


class PendingData(Immutable):
    """A write that was decided and was not read back yet."""

    step: Count
    """Index of the step that becomes live, from 0."""
    weight: Percent
    """Percent that was decided."""
    previous: Percent
    """Percent that the target had at the decision."""
    decided: Time
    """When the write was decided."""
    first_look: Time | None
    """The first tick that saw it not applied, from which its time limit counts; null: none yet."""
    tried: Time | None
    """When it was last written; null: it waits, and the previous weight was seen since."""
    accepted: Time | None
    """When the target accepted it, if it was not read back then; null: that is not known."""


class ConditionData(Immutable):
    """What people must know about the rollout until it ends."""

    kind: ConditionKind
    """What it is: no sight, a block, a pause, an unconfirmed rollback, or a change outside."""
    text: str
    """The condition in a sentence."""
    since: Time
    """When it began."""
    announced: Time | None
    """When operators were notified last; null: not yet."""
    critical: bool
    """Whether it pages."""
    acknowledged: bool
    """Whether an operator has acknowledged it, so that it pages no more."""


class StablePathData(Immutable):
    """The requests of the stable path since 100% was applied, read once a day after success."""

    metrics: list[str]
    """The metrics that count them."""
    read: Time
    """When they were read last."""
    through: Time
    """Up to when they are known."""
    used: Time | None
    """End of the last hour that had a request; null: none had."""
    text: str
    """The same for people."""


class FixData(Immutable):
    """What was red when a rollout was started as a fix."""

    text: str
    """What that means, in a sentence."""
    not_green: list[str]
    """Ids of the criteria that do not gate until they have been green once."""
    green: list[str]
    """Ids of the criteria that have been green since the start, and gate."""


class RolloutData(Immutable):
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
    phase: Phase
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
    reason: Reason
    """Why the rollout is in its state, in one word."""
    sentence: str
    """Why the rollout is in its state, in a sentence for people."""
    label: str
    """Weakest evidence of the steps that are over; empty while none is."""
    next: str
    """What comes next, for people; empty when nothing does."""
    next_at: Time | None
    """When that is due; null: no time is known."""
    waiting_for: str
    """What the next step waits for; empty when it waits for nothing."""
    created: Time
    """When the rollout was started."""
    since: Time
    """When its phase began."""
    updated: Time
    """When the rollout was looked at last."""
    due: Time | None
    """When a tick has to look at it again; null: the next tick has to."""
    findings: list[FindingView]
    """Each criterion of the step judged once, at the last look."""
    criteria: list[CriterionRow]
    """Each criterion of the policy with its newest finding, by id."""
    fix: FixData | None
    """What was red when the rollout was started as a fix; null: it was not."""
    leak_check: FindingView | None
    """Whether requests reach the canary after a rollback; null: not known yet, or no rollback."""
    stable_path: StablePathData | None
    """Whether the stable path is still used after success; null: not read, or not counted."""
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
    alerts: Sequence[Alert]
    """Conditions that give this command an exit status of its own."""


class SkipData(Immutable):
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
    alerts: Sequence[Alert]
    """Empty: nothing was looked at."""


def rollout_data(rollout: Rollout, now: datetime | None = None) -> RolloutData:
    """Return `rollout`, as `status --json` prints it.

    now: as in `rollout_texts`.
    """
    texts, fix = rollout_texts(rollout, now), rollout.evidence.fix
    return picked(
        RolloutData,
        rollout,
        policy_digest=rollout.digest,
        live=rollout.live and picked(LiveData, rollout.live),
        pending=rollout.pending and picked(PendingData, rollout.pending),
        label=rollout.evidence.label,
        next=texts.next,
        next_at=texts.next_at,
        waiting_for=texts.waits_for,
        findings=[finding_view(finding) for finding in rollout.evidence.findings],
        criteria=criteria_data(rollout),
        fix=fix and FixData(fix_text(fix), list(fix.not_green), list(fix.green)),
        leak_check=rollout.leak_check and finding_view(rollout.leak_check),
        stable_path=rollout.stable_use
        and picked(
            StablePathData,
            rollout.stable_use,
            metrics=list(rollout.policy.stable_requests),
            text=texts.stable_path,
        ),
        conditions=[
            picked(ConditionData, condition, kind=kind)
            for kind, condition in rollout.conditions.items()
        ],
        undelivered=[message.key for message in rollout.outbox],
    )


def criteria_data(rollout: Rollout) -> list[CriterionRow]:
    """Return the criteria of `rollout`, each with its newest finding."""
    return [
        picked(
            CriterionRow,
            row,
            samples=0 if row.finding is None else row.finding.samples,
            label=row.evidence,
            towards_fail=None if row.progress.fail is None else round(row.progress.fail.share, 4),
            towards_pass=_pass_share(row),
        )
        for row in rows(rollout)
    ]


def _pass_share(row: CriterionTexts) -> float | None:
    """Return how much of what a pass needs there is; None where more of it makes no pass."""
    if row.verdict is Verdict.PASS:
        return 1.0
    passing = row.progress.passing if row.progress.keeps_limit else None
    return None if passing is None else round(passing.share, 4)


def visit_data(visit: TickOutcome) -> VisitData:
    """Return a visit: the rollout, and what decides the exit status."""
    return picked(
        VisitData,
        rollout_data(visit.rollout),
        busy=visit.busy,
        problem=visit.problem,
        saved=visit.saved,
        alerts=visit.alerts,
    )


def skip_data(skip: SkippedRollout) -> SkipData:
    """Return a rollout that a tick skipped; its phase is unknown."""
    return SkipData(
        id=skip.rollout_id,
        phase=None,
        busy=False,
        problem=str(skip.error),
        saved=False,
        alerts=[],
    )
