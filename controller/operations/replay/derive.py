"""Derive one decision again, from the observation that its entry recorded."""

from collections.abc import Mapping
from typing import assert_never

from controller.core import events
from controller.core import transitions as to
from controller.core.decide import decide
from controller.core.decision import Decision
from controller.core.events import (
    Command,
    Commanded,
    LostSave,
    Observed,
    RecordChanged,
    Started,
)
from controller.core.judge.judgement import judge
from controller.core.judge.stored_series import restore_series
from controller.core.observation import Observation, TargetReading, UpdateStatus
from controller.core.rollout import Paused, Progressing, Rollout
from controller.immutable import replace
from controller.operations.replay.entry import (
    LostRace,
    RecordedDecision,
    Restored,
    Start,
    WriteFailed,
)

STARTED = "started"
EVIDENCE = "evidence"


def derive_start(stored: Rollout, recorded: RecordedDecision) -> Decision:
    """Return the decision to start `stored`, derived from its first entry.

    The policy, the revision and the baselines that were read before the start are the stored ones.
    """
    start = recorded.cause if isinstance(recorded.cause, Start) else Start()
    target, is_start = recorded.observation.target, recorded.kind == STARTED
    if not isinstance(target, TargetReading):
        target = TargetReading(stored.target, 0, "", "", UpdateStatus.SUCCESSFUL)
    started = Started(
        stored.policy,
        stored.revision,
        target,
        stored.attempt,
        stored.evidence.baselines,
        start.retry_reason,
        start.adopted,
        start.despite,
        start.despite_reason,
    )
    return decide(None, started, recorded.decided_at if is_start else stored.created)


def derive_decision(
    before: Rollout, recorded: RecordedDecision, sealed_points: Mapping[str, Mapping[int, float]]
) -> Decision:
    """Return the decision on `before` that follows from the observation of `recorded`.

    sealed_points: the points that earlier entries have sealed, by series. Raises UsageError when
    the entry is of a command that changes nothing.
    """
    series = restore_series(before, recorded.observation.series, sealed_points)
    decision = _derive_by_cause(before, recorded, replace(recorded.observation, series=series))
    why = recorded.write_error if recorded.refusal is None else recorded.refusal
    if why is None:
        return decision
    failed = events.WriteFailed(decision, why, permanent=recorded.refusal is not None)
    return decide(decision.rollout, failed, recorded.entry.at)


def _derive_by_cause(
    before: Rollout, recorded: RecordedDecision, observation: Observation
) -> Decision:
    cause, now = recorded.cause, recorded.decided_at
    match cause:
        case Command():
            return decide(before, Commanded(observation, cause), now)
        case LostRace():
            lost = LostSave(observation, cause.reason, cause.sentence, recorded.findings)
            return decide(before, lost, now)
        case WriteFailed():
            return Decision(replace(before, updated=now))
        case Restored(changed):
            return decide(before, RecordChanged(observation, changed), now)
        case None if recorded.kind == EVIDENCE:
            return _derive_seal(before, recorded, observation)
        case None | Start():
            return decide(before, Observed(observation), now)
        case unreachable:
            assert_never(unreachable)


def _derive_seal(before: Rollout, recorded: RecordedDecision, observation: Observation) -> Decision:
    """Seal the evidence that the entry stored.

    Reason, sentence and findings are taken from the entry: that tick derived them from more data
    than the entry stores.
    """
    now = max(recorded.decided_at, before.updated)
    state = before.state
    if isinstance(state, Progressing | Paused):
        state = replace(state, reason=recorded.reason, sentence=recorded.sentence)
    rollout = replace(before, state=state, updated=now).with_findings(recorded.findings)
    seal = judge(rollout, observation, now).seal
    if seal is None:
        return Decision(rollout)
    return to.with_visibility(before, to.evidence_entry(rollout, seal, now), observation, now)
