"""Resync after a difference: the rollout in the state that an entry recorded."""

from typing import assert_never

from controller.core.decision import Decision
from controller.core.observation import TargetReading
from controller.core.rollout import (
    Live,
    Paused,
    Pending,
    Phase,
    Position,
    Progressing,
    RolledBack,
    RollingBack,
    Rollout,
    State,
    Succeeded,
)
from controller.core.transitions.advance import SUCCESS_WATCH, close_step
from controller.core.transitions.rollback import ROLLBACK_GUARD
from controller.immutable import replace
from controller.operations.replay.entry import RecordedDecision

# Kinds of entries that report on a rollout and leave it where it is.
_KINDS_WITHOUT_CHANGE = frozenset(
    {
        "acknowledged",
        "approved",
        "at_zero_again",
        "attested",
        "blind",
        "drained",
        "drifted",
        "lowered_again",
        "refused",
        "rollback_unconfirmed",
        "silent",
        "weight_set",
        "write_failed",
    }
)


def resync_to_entry(
    before: Rollout, decision: Decision | None, recorded: RecordedDecision
) -> Rollout:
    """Return the rollout `before` in the state that `recorded` leads to.

    decision: the derived one; where its outcome is the recorded one, its other fields are used.
    """
    agrees = decision is not None and _decision_outcome(decision) == _recorded_outcome(recorded)
    after = decision.rollout if decision and agrees else _apply_entry(before, recorded)
    if recorded.kind in _KINDS_WITHOUT_CHANGE:
        return after
    if recorded.kind == "evidence":
        sealed = replace(after.evidence, tallies=recorded.tallies, fold=recorded.fold)
        after = replace(after, evidence=sealed)
    findings = recorded.findings if after.evidence.findings else ()
    after = replace(after, state=_with_cause(after.state, recorded))
    return after.with_findings(findings)


def _with_cause(state: State, recorded: RecordedDecision) -> State:
    if isinstance(state, Succeeded):
        return replace(state, sentence=recorded.sentence)
    return replace(state, reason=recorded.reason, sentence=recorded.sentence)


def _decision_outcome(decision: Decision) -> object:
    entry = decision.record
    return entry and (entry.kind, entry.phase_to, entry.weight_to, entry.step)


def _recorded_outcome(recorded: RecordedDecision) -> object:
    return (recorded.kind, recorded.phase, recorded.weight, recorded.step)


def _apply_entry(before: Rollout, recorded: RecordedDecision) -> Rollout:
    after = replace(before, updated=recorded.entry.at)
    if recorded.kind in ("applied", "resumed"):
        after = close_step(after, recorded.entry.at)
    if recorded.kind == "rolled_back":
        after = replace(after, exposed_to=before.exposed_to or recorded.entry.at)
    return replace(after, state=_recorded_state(before, recorded))


def _recorded_state(before: Rollout, recorded: RecordedDecision) -> State:
    """Return the state that `recorded` leads to, as far as an entry tells it."""
    at, reason, sentence = recorded.entry.at, recorded.reason, recorded.sentence
    since = before.since if recorded.phase is before.phase else at
    weight = before.weight or before.from_weight
    match recorded.phase:
        case Phase.PROGRESSING:
            position = _recorded_position(before, recorded)
            return Progressing(since=since, reason=reason, sentence=sentence, position=position)
        case Phase.PAUSED:
            position = _recorded_position(before, recorded)
            return Paused(since=since, reason=reason, sentence=sentence, position=position)
        case Phase.ROLLING_BACK:
            return RollingBack(
                since=since, reason=reason, sentence=sentence, step=recorded.step,
                intended=weight, from_weight=weight,
            )  # fmt: skip
        case Phase.ROLLED_BACK:
            return RolledBack(
                since=since, reason=reason, sentence=sentence, step=recorded.step,
                intended=weight, from_weight=weight, watch_until=at + ROLLBACK_GUARD,
            )  # fmt: skip
        case Phase.SUCCEEDED:
            live = Live(recorded.step, recorded.weight, before.live.since if before.live else at)
            until = at + SUCCESS_WATCH
            return Succeeded(since=since, sentence=sentence, position=live, watch_until=until)
        case unreachable:
            assert_never(unreachable)


def _recorded_position(before: Rollout, recorded: RecordedDecision) -> Position:
    at, step, weight = recorded.entry.at, recorded.step, recorded.weight
    position, target = before.position, recorded.observation.target
    if recorded.kind == "advanced":
        token = target.token if isinstance(target, TargetReading) else ""
        return Pending(step, weight, before.weight, token, at, tried=at, live=before.live)
    if position is not None and (position.step, position.weight) == (step, weight):
        return Live(step, weight, at) if recorded.kind == "applied" else position
    return Live(step, weight, at)
