"""Planted bugs around operators: drift, pauses, and the watch after a rollout has ended."""

from datetime import datetime

import pytest

from controller.core import decide as deciding
from controller.core.judge.judgement import Judgement
from controller.core.rollout import Exposed
from controller.core.transitions import by_operator, final_watch, rollback
from controller.immutable import replace
from controller.operations import start as starting
from tests.chaos.fault_plan import ActorAction, CallFault, Crash, InjectionPoint, Timing
from tests.chaos.invariants.operators import (
    NoOperatorOverride,
    NoUnattendedRetry,
    PausePersists,
    ZeroGuardScope,
)
from tests.chaos.invariants.raises import NoStaleRaise, RecordedRaise
from tests.chaos.invariants.target import FailureRollsBack
from tests.chaos.planted_bug import breaks
from tests.chaos.sample_plans import CANARY_ERRORS, MEASURE, READ, WRITE, interleaving, sample_plan
from tests.support.core import (
    Command,
    Decision,
    Paused,
    Pending,
    RolledBack,
    Rollout,
    SetWeight,
    TargetReading,
    UnreadableTarget,
    Verb,
)
from tests.support.rollouts import with_state
from tests.support.stage import short_policy


@breaks(
    NoOperatorOverride,
    "5% is set outside while 10% bakes",
    lambda: sample_plan(
        interleaving(2, MEASURE, ActorAction.SET_WEIGHT, weight=5, when=Timing.AFTER)
    ),
)
def reverts_drift(patch: pytest.MonkeyPatch) -> None:
    """Drift is reverted."""
    decide_drift = deciding._decide_drift

    def write_again(
        rollout: Rollout, state: Exposed, target: TargetReading, now: datetime
    ) -> Decision:
        if not target.weight:
            return decide_drift(rollout, state, target, now)
        pending = Pending(rollout.step, rollout.weight, target.weight, target.token, now)
        return Decision(
            with_state(rollout, position=pending), SetWeight(pending.weight, pending.token)
        )

    patch.setattr(deciding, "_decide_drift", write_again)


@breaks(
    RecordedRaise,
    "5% is set outside while 10% bakes, and an operator restores",
    lambda: sample_plan(
        interleaving(2, MEASURE, ActorAction.SET_WEIGHT, weight=5, when=Timing.AFTER),
        interleaving(4, MEASURE, ActorAction.RESUME_RESTORE, when=Timing.AFTER, waits=130),
    ),
)
def restore_raises_weight(patch: pytest.MonkeyPatch) -> None:
    """`resume --restore` also restores a weight that was lowered outside."""
    patch.setattr(TargetReading, "may_exceed", lambda *_: True)


@breaks(
    PausePersists,
    "an operator pauses",
    lambda: sample_plan(interleaving(2, MEASURE, ActorAction.PAUSE, waits=130)),
)
def pause_ends_itself(patch: pytest.MonkeyPatch) -> None:
    """A pause ends when the target shows the intended weight."""
    decide_paused = deciding._decide_paused

    def resume_by_itself(rollout: Rollout, state: Paused, judgement: Judgement) -> Decision:
        target = judgement.target
        if isinstance(target, TargetReading) and target.has_applied(rollout.weight):
            return by_operator.resume_at_intended_weight(
                rollout, state, target, Command(Verb.RESUME), judgement.now
            )
        return decide_paused(rollout, state, judgement)

    patch.setattr(deciding, "_decide_paused", resume_by_itself)


@breaks(
    ZeroGuardScope,
    "the canary fails, and 70% is set outside afterwards",
    lambda: sample_plan(
        interleaving(8, "store:visits", ActorAction.SET_WEIGHT, weight=70),
        events=[CANARY_ERRORS],
    ),
)
def guards_every_weight(patch: pytest.MonkeyPatch) -> None:
    """The watch after a rollback lowers any weight."""

    def lower_any_weight(rollout: Rollout, state: RolledBack, judgement: Judgement) -> Decision:
        if isinstance(judgement.target, TargetReading) and judgement.target.weight:
            lowered = rollback.lower_again(rollout, state, judgement.now)
            return replace(lowered, move=rollback.lower_move(rollout))
        return Decision(rollout)

    patch.setattr(final_watch, "after_rollback", lower_any_weight)


@breaks(NoStaleRaise, "the canary fails", lambda: sample_plan(events=[CANARY_ERRORS]))
def guard_raises_weight(patch: pytest.MonkeyPatch) -> None:
    """A rolled back rollout writes its last weight again."""

    def raise_again(rollout: Rollout, state: RolledBack, judgement: Judgement) -> Decision:
        target = judgement.target
        if isinstance(target, UnreadableTarget) or target.weight == state.intended:
            return Decision(rollout)
        return Decision(rollout, SetWeight(state.intended, target.token))

    patch.setattr(final_watch, "after_rollback", raise_again)


@breaks(
    FailureRollsBack,
    "a raise arrives five minutes late, after the rollout has ended without a write",
    lambda: sample_plan(
        Crash(InjectionPoint(0, WRITE), Timing.DURING, late=300),
        *(CallFault(InjectionPoint(tick, WRITE), "429") for tick in (2, 3)),
        policy=short_policy(shift_timeout="1m"),
    ),
)
def guards_nothing(patch: pytest.MonkeyPatch) -> None:
    """A late raise after a rollback is not lowered again."""
    patch.setattr(
        final_watch, "after_rollback", lambda rollout, state, judgement: Decision(rollout)
    )


@breaks(
    NoUnattendedRetry,
    "an operator rolls back, and CI starts the same revision again",
    lambda: sample_plan(
        interleaving(2, MEASURE, ActorAction.ROLLBACK),
        interleaving(8, "store:visits", ActorAction.START),
    ),
)
def forgets_rollback(patch: pytest.MonkeyPatch) -> None:
    """A start does not check whether its revision is blocked."""
    patch.setattr(starting, "_check_not_rolled_back", lambda *_: None)


@breaks(
    ZeroGuardScope,
    "a late raise arrives after the rollback, and 70% is set outside before it is lowered",
    lambda: sample_plan(
        Crash(InjectionPoint(0, WRITE), Timing.DURING, late=285),
        *(CallFault(InjectionPoint(tick, WRITE), "429") for tick in (2, 3)),
        interleaving(5, READ, ActorAction.SET_WEIGHT, number=1, weight=70),
        policy=short_policy(shift_timeout="1m"),
    ),
)
def guard_lowers_late_weight(patch: pytest.MonkeyPatch) -> None:
    """The watch after a rollback lowers a weight that was set after its reading."""
    lower_again = rollback.lower_again

    def lower_unconditionally(rollout: Rollout, state: RolledBack, now: datetime) -> Decision:
        return replace(lower_again(rollout, state, now), move=rollback.lower_move(rollout))

    patch.setattr(rollback, "lower_again", lower_unconditionally)


@breaks(
    NoStaleRaise,
    "an operator rolls back just before the write of the first raise",
    lambda: sample_plan(interleaving(0, WRITE, ActorAction.ROLLBACK)),
)
def leaves_token(patch: pytest.MonkeyPatch) -> None:
    """A rollback that finds 0% leaves the RevisionId of a pending first raise valid."""
    lower_move = rollback.lower_move
    patch.setattr(
        rollback, "lower_move", lambda rollout: replace(lower_move(rollout), outdated_token="")
    )
