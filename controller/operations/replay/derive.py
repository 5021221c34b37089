"""Derive one decision again, from the observation that its entry recorded."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from controller.core import transitions as to
from controller.core.commands import Command
from controller.core.decide import Commanded, LostSave, Observed, decide, with_refused_rollback
from controller.core.decision import Decision
from controller.core.judge.tick_evidence import restore_series, seal_if_due
from controller.core.observation import Observation, TargetReading, UpdateStatus
from controller.core.rollout import Phase, Reason, Rollout
from controller.operations.replay.entry import LostRace, RecordedDecision, Start, WriteFailed

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
    return to.start_rollout(
        stored.policy,
        stored.revision,
        target,
        stored.attempt,
        stored.baselines,
        start.retry_reason,
        recorded.decided_at if is_start else stored.created,
        start.adopted,
    )


def derive_decision(
    before: Rollout, recorded: RecordedDecision, sealed_points: Mapping[str, Mapping[int, float]]
) -> Decision:
    """Return the decision on `before` that follows from the observation of `recorded`.

    sealed_points: the points that earlier entries have sealed, by series. Raises UsageError when
    the entry is of a command that changes nothing.
    """
    series = restore_series(before, recorded.observation.series, sealed_points)
    decision = _derive_by_cause(before, recorded, replace(recorded.observation, series=series))
    if recorded.refusal is not None:
        return with_refused_rollback(decision, recorded.refusal, recorded.entry.at)
    if recorded.write_error is not None:
        return to.with_write_failure(decision, recorded.write_error, recorded.entry.at)
    return decision


def _derive_by_cause(
    before: Rollout, recorded: RecordedDecision, observation: Observation
) -> Decision:
    cause, now = recorded.cause, recorded.decided_at
    match cause:
        case Command():
            return decide(before, Commanded(observation, cause), now)
        case LostRace():
            lowered = _lowering_decision(before, cause, recorded)
            return decide(before, LostSave(observation, lowered), now)
        case WriteFailed():
            return Decision(replace(before, updated=now))
        case None if recorded.kind == EVIDENCE:
            return _derive_seal(before, recorded, observation)
        case None | Start():
            return decide(before, Observed(observation), now)
        case unreachable:
            assert_never(unreachable)


def _lowering_decision(before: Rollout, cause: LostRace, recorded: RecordedDecision) -> Decision:
    """Return the rollback that was carried out before it lost its compare-and-swap."""
    is_watch = cause.reason is Reason.GUARDING_ZERO
    phase = Phase.ROLLED_BACK if is_watch else Phase.ROLLING_BACK
    lowered = replace(before, phase=phase, reason=cause.reason, sentence=cause.sentence)
    return Decision(replace(lowered, findings=recorded.findings))


def _derive_seal(before: Rollout, recorded: RecordedDecision, observation: Observation) -> Decision:
    """Seal the evidence that the entry stored.

    Reason, sentence and findings are taken from the entry: that tick derived them from more data
    than the entry stores.
    """
    now = max(recorded.decided_at, before.updated)
    rollout = replace(
        before, reason=recorded.reason, sentence=recorded.sentence, findings=recorded.findings,
        updated=now,
    )  # fmt: skip
    seal = seal_if_due(rollout, observation, now)
    if seal is None:
        return Decision(rollout)
    return to.with_visibility(before, to.evidence_entry(rollout, seal, now), observation, now)
