"""One decision derived again, from what its entry says was seen."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from controller.core import transitions as to
from controller.core.commands import Ask, asked
from controller.core.conflict import overtaken
from controller.core.decide import decide, refused
from controller.core.decision import Decision
from controller.core.judge.sealing import sealed, whole
from controller.core.observation import Observation, Reading, Update
from controller.core.replay.entry import Overtaken, Recorded, Start, WriteFailed
from controller.core.rollout import Phase, Reason, Rollout

STARTED = "started"
EVIDENCE = "evidence"


def begun(stored: Rollout, recorded: Recorded) -> Decision:
    """Return the start of `stored`, as it follows from its first entry.

    The policy, the revision and the baselines that were read before the start are those stored.
    """
    start = recorded.cause if isinstance(recorded.cause, Start) else Start()
    target, is_start = recorded.seen.target, recorded.kind == STARTED
    if not isinstance(target, Reading):
        target = Reading(stored.target, 0, "", "", Update.SUCCESSFUL)
    return to.created(
        stored.policy,
        stored.revision,
        target,
        stored.attempt,
        stored.baselines,
        start.retry_reason,
        recorded.decided if is_start else stored.created,
        start.adopted,
    )


def derived(
    before: Rollout, recorded: Recorded, sealed_points: Mapping[str, Mapping[int, float]]
) -> Decision:
    """Return what follows from what `recorded` says was seen of `before`.

    sealed_points: by series, what earlier entries have sealed. Raises UsageError when a person
    asked for what changes nothing.
    """
    series = whole(before, recorded.seen.series, sealed_points)
    decision = _decided(before, recorded, replace(recorded.seen, series=series))
    if recorded.refused is not None:
        return refused(decision, recorded.refused, recorded.entry.at)
    if recorded.write_error is not None:
        return to.write_failed(decision, recorded.write_error, recorded.entry.at)
    return decision


def _decided(before: Rollout, recorded: Recorded, seen: Observation) -> Decision:
    cause, now = recorded.cause, recorded.decided
    match cause:
        case Ask():
            return asked(before, cause, seen, now)
        case Overtaken():
            return overtaken(before, _lowered(before, cause, recorded), seen, now)
        case WriteFailed():
            return Decision(replace(before, updated=now))
        case None if recorded.kind == EVIDENCE:
            return _sealing(before, recorded, seen)
        case None | Start():
            return decide(before, seen, now)
        case unreachable:
            assert_never(unreachable)


def _lowered(before: Rollout, cause: Overtaken, recorded: Recorded) -> Decision:
    """Return the decision that was carried out when another run had saved first."""
    guarded = cause.reason is Reason.GUARDING_ZERO
    phase = Phase.ROLLED_BACK if guarded else Phase.ROLLING_BACK
    lowered = replace(before, phase=phase, reason=cause.reason, sentence=cause.sentence)
    return Decision(replace(lowered, findings=recorded.findings))


def _sealing(before: Rollout, recorded: Recorded, seen: Observation) -> Decision:
    """Seal what the entry kept. What else that tick found came from more than was kept."""
    now = max(recorded.decided, before.updated)
    rollout = replace(
        before, reason=recorded.reason, sentence=recorded.sentence, findings=recorded.findings,
        updated=now,
    )  # fmt: skip
    tallies = sealed(rollout, seen, now)
    if tallies is None:
        return Decision(rollout)
    return to.sighted(before, to.evidence_entry(rollout, tallies, now), seen, now)
