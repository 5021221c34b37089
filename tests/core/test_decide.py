"""One tick, row by row of the state machine; in each table the id is the claim."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from controller.core.commands import Command, Verb, apply_command
from controller.core.decide import with_refused_rollback
from controller.core.decision import Alert, Decision, Shift
from controller.core.observation import Observation, Series, TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    AT_100,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    HEALTHY,
    LOWER,
    LOWER_BY_OPERATOR,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    PARTIAL,
    PAUSED,
    PROGRESSING,
    RAISING,
    ROLLED_BACK,
    ROLLING_BACK,
    SUCCEEDED,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    an_adopted_rollout,
    decide_tick,
)

# Seen unfinished at noon.
UNFINISHED = replace(RAISING, unfinished_since=NOON)
# A pending restore: an operator takes a raised weight back.
RESTORING = replace(FIRST_RAISE, intent=Intent(10, 100, "token-1", NOON), seen_weight=100)
# Variables that contradict each other, with a boolean that says 100 %.
FULL = "full"


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "phase", "reason", "move"),
    [
        pytest.param(
            RAISING, a_reading(50), 1, PROGRESSING, Reason.SETTLED, None,
            id="the intended weight is applied: the clock of the step starts",
        ),
        pytest.param(
            RAISING, a_reading(50, UPDATE_FAILED), 1, ROLLING_BACK, Reason.SHIFT_FAILED, LOWER,
            id="an update that failed is rolled back",
        ),
        pytest.param(
            RAISING, a_reading(10, UPDATE_FAILED), 1, ROLLING_BACK, Reason.SHIFT_FAILED, LOWER,
            id="an update that failed and left the old weight is rolled back",
        ),
        pytest.param(
            RAISING, a_reading(0), 1, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % where the raise came from above 0 ends the rollout",
        ),
        pytest.param(
            RAISING, a_reading(0, UPDATE_IN_PROGRESS), 1, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % that is still moving is read back before the rollout ends",
        ),
        pytest.param(
            RAISING, a_reading(10), 1, PROGRESSING, Reason.WRITE_AGAIN, Shift(50, "token-1"),
            id="a raise that was saved and never written is written again",
        ),
        pytest.param(
            FIRST_RAISE, a_reading(0), 1, PROGRESSING, Reason.WRITE_AGAIN, Shift(10, "token-1"),
            id="the first raise that was never written is written again",
        ),
        pytest.param(
            RAISING, a_reading(10), 60, PROGRESSING, Reason.WRITE_AGAIN, Shift(50, "token-1"),
            id="a raise that was never written is written again however late it is first seen",
        ),
        pytest.param(
            UNFINISHED, a_reading(10), 10, PROGRESSING, Reason.WRITE_AGAIN, Shift(50, "token-1"),
            id="a raise that is refused is written again up to shift_timeout",
        ),
        pytest.param(
            UNFINISHED, a_reading(10), 10.1, ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="a raise that is refused for shift_timeout is rolled back",
        ),
        pytest.param(
            replace(FIRST_RAISE, unfinished_since=NOON), a_reading(0), 10.1,
            ROLLED_BACK, Reason.SHIFT_TIMED_OUT, None,
            id="a first raise that is refused for shift_timeout ends at the 0 % that stands",
        ),
        pytest.param(
            UNFINISHED, a_reading(50), 60, PROGRESSING, Reason.SETTLED, None,
            id="an applied raise is applied however late it is seen",
        ),
        pytest.param(
            RAISING, a_reading(10, token="token-9"), 1, PAUSED, Reason.RAISE_UNCERTAIN, None,
            id="the old weight on a target that was changed meanwhile waits for an operator",
        ),
        pytest.param(
            RAISING, a_reading(10, token="token-9"), 99, PAUSED, Reason.RAISE_UNCERTAIN, None,
            id="the old weight on a changed target waits for an operator however late it is seen",
        ),
        pytest.param(
            FIRST_RAISE, a_reading(0, token="token-9"), 1,
            ROLLED_BACK, Reason.RAISE_UNCERTAIN, None,
            id="a first raise whose target was changed meanwhile ends at the 0 % that stands",
        ),
        pytest.param(
            replace(FIRST_RAISE, seen_weight=10), a_reading(0, token="token-9"), 1,
            ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % after the first raise was seen in progress ends the rollout",
        ),
        pytest.param(
            RESTORING, a_reading(100, token="token-9"), 1, PAUSED, Reason.DRIFTED, None,
            id="a restore whose target was changed meanwhile is drift again",
        ),
        pytest.param(
            replace(RESTORING, policy=a_policy(on_drift_up="rollback")),
            a_reading(100, token="token-9"), 1, ROLLING_BACK, Reason.DRIFTED, LOWER,
            id="a restore whose target was changed meanwhile is drift up",
        ),
        pytest.param(
            UNFINISHED, a_reading(50, UPDATE_IN_PROGRESS), 10, PROGRESSING, Reason.WAITING, None,
            id="an update in progress is waited for up to shift_timeout",
        ),
        pytest.param(
            RAISING, a_reading(50, UPDATE_IN_PROGRESS), 60, PROGRESSING, Reason.WAITING, None,
            id="an update that one late tick sees in progress is waited for",
        ),
        pytest.param(
            UNFINISHED, a_reading(50, UPDATE_IN_PROGRESS), 10.1,
            ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="an update in progress for longer than shift_timeout is rolled back",
        ),
        pytest.param(
            RAISING, a_reading(10, UPDATE_IN_PROGRESS), 1, PROGRESSING, Reason.WAITING, None,
            id="nothing is written while another update is in progress",
        ),
        pytest.param(
            RAISING, a_reading(30), 1, PAUSED, Reason.DRIFTED, None,
            id="a third weight instead of the intended one waits for an operator",
        ),
        pytest.param(
            RAISING, a_reading(None), 1, PAUSED, Reason.DRIFTED, None,
            id="variables that contradict each other instead of the raise wait for an operator",
        ),
        pytest.param(
            UNFINISHED, UNREADABLE, 10, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="a target that cannot be read after a raise is read again",
        ),
        pytest.param(
            RAISING, UNREADABLE, 60, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="a target that one late tick cannot read after a raise is read again",
        ),
        pytest.param(
            UNFINISHED, UNREADABLE, 10.1, ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="a target that cannot be read for shift_timeout after a raise is rolled back",
        ),
        pytest.param(
            RAISING, UNREADABLE_FOR_GOOD, 1, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="an unreadable environment after a raise may still heal",
        ),
    ],
)  # fmt: skip
def test_a_pending_raise(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = decide_tick(rollout, target, minute, NO_DATA)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    ("target", "minute", "measured", "phase", "reason", "move"),
    [
        pytest.param(
            a_reading(0), 5, FAILING, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="drift to 0 % ends the rollout before anything failed",
        ),
        pytest.param(
            a_reading(0), 7, FAILING, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="0 % where the gate fails is put down to the gate",
        ),
        pytest.param(
            a_reading(0, UPDATE_IN_PROGRESS), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, None,
            id="0 % in progress where the gate fails is put down to the gate",
        ),
        pytest.param(
            a_reading(30), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a rollback does not wait for the operator after drift",
        ),
        pytest.param(
            a_reading(0, UPDATE_IN_PROGRESS), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="drift to 0 % that is in progress is waited for",
        ),
        pytest.param(
            a_reading(0, UPDATE_FAILED), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, LOWER,
            id="drift to 0 % whose update failed is written by the rollout",
        ),
        pytest.param(
            a_reading(30), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="drift up pauses",
        ),
        pytest.param(
            a_reading(5), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="drift down pauses",
        ),
        pytest.param(
            a_reading(None), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="variables that contradict each other pause",
        ),
        pytest.param(
            a_reading(10), 6, FAILING, PROGRESSING, Reason.BAKING, None,
            id="one settled bad minute is no failure where two fail",
        ),
        pytest.param(
            a_reading(10), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for the bake",
        ),
        pytest.param(
            UNREADABLE, 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for a target that cannot be read",
        ),
        pytest.param(
            UNREADABLE_FOR_GOOD, 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for an environment that cannot be read",
        ),
        pytest.param(
            a_reading(10), 1, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="a warm-up is not judged",
        ),
        pytest.param(
            a_reading(10), 11.9, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="good news waits for the end of the bake",
        ),
        pytest.param(
            a_reading(10), 14.9, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="good news waits until the last minute of the bake has settled",
        ),
        pytest.param(
            a_reading(10, token="token-2"), 15, HEALTHY, PROGRESSING, Reason.GATE_PASSED,
            Shift(50, "token-2"),
            id="a gate that passes leads to the next weight, under the token that was seen",
        ),
        pytest.param(
            a_reading(10, UPDATE_IN_PROGRESS), 15, HEALTHY, PROGRESSING, Reason.HOLDING, None,
            id="nothing is raised while another update of the target is in progress",
        ),
        pytest.param(
            a_reading(10, UPDATE_IN_PROGRESS), 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None,
            id="another update of the target is waited for up to max_hold",
        ),
        pytest.param(
            a_reading(10), 15, NO_DATA, PROGRESSING, Reason.HOLDING, None,
            id="silence is not health",
        ),
        pytest.param(
            a_reading(10), 15, TOO_FEW_REQUESTS, PROGRESSING, Reason.HOLDING, None,
            id="too few requests hold",
        ),
        pytest.param(
            a_reading(10), 15, OUTAGE, PROGRESSING, Reason.HOLDING, None,
            id="an outage of the metrics holds",
        ),
        pytest.param(
            a_reading(10), 15, PARTIAL, PROGRESSING, Reason.HOLDING, None,
            id="an answer in part never passes",
        ),
        pytest.param(
            a_reading(10), 31.9, NO_DATA, PROGRESSING, Reason.HOLDING, None,
            id="silence holds for max_hold after the bake",
        ),
        pytest.param(
            a_reading(10), 32, NO_DATA, PAUSED, Reason.INCONCLUSIVE, None,
            id="silence for max_hold pauses",
        ),
        pytest.param(
            a_reading(10), 50, HEALTHY, PROGRESSING, Reason.GATE_PASSED, Shift(50, "token-1"),
            id="ticks that were missed do not turn a pass into a pause",
        ),
        pytest.param(
            UNREADABLE, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="a target that cannot be read keeps its traffic",
        ),
        pytest.param(
            UNREADABLE_FOR_GOOD, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="an environment that cannot be read keeps its traffic",
        ),
        pytest.param(
            UNREADABLE, 20, HEALTHY, PROGRESSING, Reason.HOLDING, None,
            id="a gate that passes raises no target that cannot be read",
        ),
        pytest.param(
            UNREADABLE, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None,
            id="a target that cannot be read for max_hold pauses",
        ),
    ],
)  # fmt: skip
def test_a_step_that_bakes(
    target: TargetReading | UnreadableTarget,
    minute: float,
    measured: Mapping[str, Series],
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = decide_tick(AT_10, target, minute, measured)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "phase", "reason", "move"),
    [
        pytest.param(
            DURING_ROLLBACK, a_reading(10), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a weight above 0 is lowered again",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(10), 500, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a rollback never stops trying",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(None), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="variables that contradict each other are lowered",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(0, UPDATE_IN_PROGRESS), 1,
            ROLLING_BACK, Reason.GATE_FAILED, None,
            id="0 % in progress is not written twice",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(0, UPDATE_FAILED), 1,
            ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="0 % whose update failed is written again",
        ),
        pytest.param(
            DURING_ROLLBACK, UNREADABLE, 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a rollback does not wait for a target to be readable",
        ),
        pytest.param(
            DURING_ROLLBACK, UNREADABLE_FOR_GOOD, 1, ROLLING_BACK, Reason.GATE_FAILED, None,
            id="an environment that cannot be read is never written",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(0), 1, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="0 % that is applied completes the rollback, with its reason",
        ),
        pytest.param(
            AFTER_ROLLBACK, a_reading(10), 14, ROLLED_BACK, Reason.GATE_FAILED,
            replace(LOWER, must_succeed=True, only=10),
            id="the last weight of the rollout that comes back is lowered again",
        ),
        pytest.param(
            AFTER_ROLLBACK, a_reading(10), 15, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="0 % is guarded for 15 minutes",
        ),
        pytest.param(
            AFTER_ROLLBACK, a_reading(20), 14, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="another weight after a rollback is left alone",
        ),
        pytest.param(
            AFTER_ROLLBACK, UNREADABLE, 14, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="nothing is guarded where nothing can be read",
        ),
        pytest.param(
            ON_HOLD, a_reading(0), 20, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="drift to 0 % ends a paused rollout",
        ),
        pytest.param(
            replace(ON_HOLD, seen_weight=0), a_reading(0), 20,
            ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % ends a paused rollout also when it was seen before",
        ),
        pytest.param(
            ON_HOLD, a_reading(0, UPDATE_IN_PROGRESS), 20, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % in progress ends a paused rollout once it is applied",
        ),
        pytest.param(
            ON_HOLD, a_reading(10), 20, PAUSED, Reason.INCONCLUSIVE, None,
            id="a paused rollout does not go on by itself",
        ),
        pytest.param(
            ON_HOLD, a_reading(50), 20, PAUSED, Reason.DRIFTED, None,
            id="a weight changed during a pause is drift, and left to the operator",
        ),
        pytest.param(
            ON_HOLD, UNREADABLE, 20, PAUSED, Reason.INCONCLUSIVE, None,
            id="a target that cannot be read leaves a paused rollout as it is",
        ),
        pytest.param(
            AFTER_SUCCESS, a_reading(100), 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success stays",
        ),
        pytest.param(
            AFTER_SUCCESS, a_reading(0), 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success is not rolled back by drift",
        ),
        pytest.param(
            AFTER_SUCCESS, UNREADABLE_FOR_GOOD, 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success needs no readable target",
        ),
    ],
)  # fmt: skip
def test_a_rollout_that_does_not_advance(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = decide_tick(rollout, target, minute)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    ("on_inconclusive", "phase", "reason", "move"),
    [
        ("pause", PAUSED, Reason.INCONCLUSIVE, None),
        ("rollback", ROLLING_BACK, Reason.INCONCLUSIVE, LOWER),
        ("advance", PROGRESSING, Reason.ADVANCED_UNPROVEN, Shift(50, "token-1")),
    ],
)
def test_a_hold_ends_as_the_policy_says(
    on_inconclusive: str, phase: Phase, reason: Reason, move: object
) -> None:
    rollout = replace(AT_10, policy=a_policy(on_inconclusive=on_inconclusive))
    decision = decide_tick(rollout, a_reading(10), 32, TOO_FEW_REQUESTS)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    "target", [UNREADABLE, a_reading(10, UPDATE_IN_PROGRESS)], ids=["unreadable", "moving"]
)
@pytest.mark.parametrize("on_inconclusive", ["pause", "rollback", "advance"])
def test_a_gate_that_passed_waits_for_its_target_and_never_ends_as_an_inconclusive_one(
    target: TargetReading | UnreadableTarget, on_inconclusive: str
) -> None:
    rollout = replace(AT_10, policy=a_policy(on_inconclusive=on_inconclusive))
    held, ended = decide_tick(rollout, target, 31.9), decide_tick(rollout, target, 32)
    assert (held.rollout.phase, held.rollout.reason) == (PROGRESSING, Reason.HOLDING)
    assert held.rollout.next == (
        "50 % as soon as the target takes it; pauses at 2026-11-24 12:32 UTC"
    )
    assert (ended.rollout.phase, ended.move) == (PAUSED, None)


NOT_RAISED = [
    pytest.param([UNREADABLE, UNREADABLE], Reason.TARGET_UNREADABLE, id="unreadable for long"),
    pytest.param(
        [a_reading(100, UPDATE_IN_PROGRESS)] * 2, Reason.BAKING, id="an update that takes long"
    ),
    pytest.param([a_reading(100, UPDATE_FAILED)] * 2, Reason.BAKING, id="an update that failed"),
]


@pytest.mark.parametrize(("targets", "reason"), NOT_RAISED)
def test_a_weight_that_was_adopted_is_not_taken_back_by_the_limits_of_a_raise(
    targets: list[TargetReading | UnreadableTarget], reason: Reason
) -> None:
    first = decide_tick(an_adopted_rollout(100), targets[0], 1).rollout
    decision = decide_tick(first, targets[1], 12)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (PROGRESSING, reason, None)


# The intended weight may have been live: contradictory variables at 100 % that were put right.
PERHAPS_UNCHANGED = replace(UNFINISHED, step=2, intent=Intent(100, 100, "token-1", NOON))


@pytest.mark.parametrize(
    ("target", "minute", "reason"),
    [
        pytest.param(UNREADABLE, 10.1, Reason.SHIFT_TIMED_OUT, id="unreadable for shift_timeout"),
        pytest.param(
            a_reading(100, UPDATE_IN_PROGRESS),
            10.1,
            Reason.SHIFT_TIMED_OUT,
            id="moving for as long",
        ),
        pytest.param(
            a_reading(100, UPDATE_FAILED), 1, Reason.SHIFT_FAILED, id="an update that failed"
        ),
    ],
)
def test_where_no_weight_was_raised_a_limit_pauses_and_lowers_nothing(
    target: TargetReading | UnreadableTarget, minute: float, reason: Reason
) -> None:
    decision = decide_tick(PERHAPS_UNCHANGED, target, minute, NO_DATA)
    assert (decision.rollout.phase, decision.rollout.reason, decision.move) == (
        PAUSED, reason, None,
    )  # fmt: skip
    assert (
        "pauses unless 100 % is in force by"
        in decide_tick(PERHAPS_UNCHANGED, UNREADABLE, 1).rollout.next
    )


def test_a_first_raise_whose_target_was_changed_says_how_to_start_it_again() -> None:
    assert decide_tick(FIRST_RAISE, a_reading(0, token="token-9"), 1).rollout.sentence == (
        "no traffic was seen to move to 10 %: the function was changed by another hand between "
        "the decision and its write; to try it again: rolloutctl retry checkout#1 --reason TEXT"
    )


def test_a_raise_is_timed_from_the_first_tick_that_saw_it_unfinished() -> None:
    """Ticks an hour apart: one that cannot read is no reason to take a healthy release back."""
    first = decide_tick(RAISING, UNREADABLE, 60).rollout
    assert decide_tick(first, a_reading(50), 120).rollout.reason is Reason.SETTLED
    assert decide_tick(first, UNREADABLE, 120).rollout.reason is Reason.SHIFT_TIMED_OUT
    assert first.next_at == NOON + 70 * MINUTE


def test_a_raise_that_is_refused_for_good_is_not_written_for_ever() -> None:
    rollout, raises = RAISING, 0
    for minute in range(1, 60):
        decision = decide_tick(rollout, a_reading(10), minute)
        raises += isinstance(decision.move, Shift)
        rollout = decision.rollout
        if rollout.phase is ROLLING_BACK:
            break
    assert (raises, rollout.reason, minute) == (11, Reason.SHIFT_TIMED_OUT, 12)


def test_a_clock_that_is_behind_records_nothing_before_a_refusal() -> None:
    """The refusal comes after the decision, and the next run may have another clock."""
    decided = decide_tick(DURING_ROLLBACK, a_reading(50), 1)
    after = with_refused_rollback(decided, "KMS says no", NOON + 4 * MINUTE)
    later = decide_tick(after.rollout, a_reading(0), 2)
    assert after.record is not None
    assert later.record is not None
    assert NOON + 4 * MINUTE == after.record.at <= later.record.at
    assert (
        with_refused_rollback(decided, "KMS says no", NOON).rollout.updated
        == decided.rollout.updated
    )


def test_every_step_has_the_whole_time_for_its_raise() -> None:
    settled = decide_tick(UNFINISHED, a_reading(50), 5).rollout
    advanced = decide_tick(settled, a_reading(50), 20).rollout
    assert advanced.reason is Reason.GATE_PASSED
    assert (
        decide_tick(advanced, a_reading(100, UPDATE_IN_PROGRESS), 21).rollout.reason
        is Reason.WAITING
    )


@pytest.mark.parametrize(
    "target", [UNREADABLE, a_reading(10, UPDATE_IN_PROGRESS)], ids=["unreadable", "moving"]
)
def test_an_unproven_advance_raises_no_target_that_does_not_stand(
    target: TargetReading | UnreadableTarget,
) -> None:
    policy = a_policy(on_inconclusive="advance")
    decision = decide_tick(replace(AT_10, policy=policy), target, 32, TOO_FEW_REQUESTS)
    assert (decision.rollout.phase, decision.move) == (PAUSED, None)


@pytest.mark.parametrize(
    ("on_drift_up", "weight", "phase", "move"),
    [
        pytest.param("pause", 30, PAUSED, None, id="up, pause"),
        pytest.param("rollback", 30, ROLLING_BACK, LOWER, id="up, rollback"),
        pytest.param("rollback", 5, PAUSED, None, id="down is never rolled back"),
        pytest.param("rollback", None, PAUSED, None, id="a contradiction is not surely up"),
        pytest.param("rollback", FULL, ROLLING_BACK, LOWER, id="what may be 100 % is up"),
        pytest.param("pause", FULL, PAUSED, None, id="what may be 100 %, pause"),
    ],
)
@pytest.mark.parametrize("rollout", [AT_10, ON_HOLD], ids=["baking", "paused"])
def test_drift_up_ends_as_the_policy_says(
    rollout: Rollout, on_drift_up: str, weight: int | str | None, phase: Phase, move: object
) -> None:
    rollout = replace(rollout, policy=a_policy(on_drift_up=on_drift_up), seen_weight=10)
    target = a_reading(None, may_be_full=True) if isinstance(weight, str) else a_reading(weight)
    decision = decide_tick(rollout, target, 5)
    assert (decision.rollout.phase, decision.move) == (phase, move)
    assert decision.alert is Alert.DRIFT


def test_a_gate_that_fails_at_zero_says_both() -> None:
    decision = decide_tick(AT_10, a_reading(0), 7, FAILING)
    assert decision.rollout.sentence.startswith("works fails: ")
    assert decision.rollout.sentence.endswith(" 0 % is set already.")
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == ("rolled_back", Reason.GATE_FAILED)


def test_a_paused_rollout_whose_gate_fails_at_zero_is_put_down_to_the_gate() -> None:
    after = decide_tick(ON_HOLD, a_reading(0), 20, FAILING).rollout
    assert (after.phase, after.reason) == (ROLLED_BACK, Reason.GATE_FAILED)


def test_a_paused_rollout_is_judged_and_rolled_back() -> None:
    decision = decide_tick(ON_HOLD, a_reading(10), 20, FAILING)
    assert (decision.rollout.phase, decision.rollout.reason) == (ROLLING_BACK, Reason.GATE_FAILED)


def test_a_paused_rollout_shows_what_is_measured_now() -> None:
    (finding,) = decide_tick(ON_HOLD, a_reading(10), 20).rollout.findings
    assert finding.sentence.startswith("works holds")


def test_a_rollout_that_is_found_at_zero_has_no_weight_any_more() -> None:
    assert decide_tick(AT_10, a_reading(0), 5).rollout.weight == 0


def test_a_drifted_weight_is_judged_from_then_on() -> None:
    paused = decide_tick(RAISING, a_reading(30), 1, NO_DATA).rollout
    assert decide_tick(paused, a_reading(30), 8, FAILING).rollout.reason is Reason.GATE_FAILED


@pytest.mark.parametrize(
    "rollout",
    [RAISING, AT_10, ON_HOLD, DURING_ROLLBACK, AFTER_ROLLBACK, AFTER_SUCCESS],
    ids=["raising", "baking", "paused", "rolling back", "rolled back", "succeeded"],
)
@pytest.mark.parametrize(
    "target", [a_reading(100), UNREADABLE, UNREADABLE_FOR_GOOD], ids=["readable", "gone", "broken"]
)
def test_an_operator_rolls_back_in_every_phase(
    rollout: Rollout, target: TargetReading | UnreadableTarget
) -> None:
    decision = apply_command(
        rollout, Command(Verb.ROLLBACK, "the shop is down"), Observation(target), NOON + MINUTE
    )
    assert (decision.rollout.phase, decision.move) == (ROLLING_BACK, LOWER_BY_OPERATOR)
    after, entry = decision.rollout, decision.record
    has_cause = rollout.phase in (ROLLING_BACK, ROLLED_BACK)  # the first cause stays
    assert after.sentence == (rollout.sentence if has_cause else "the shop is down")
    assert entry is not None
    assert (entry.sentence, after.updated) == ("the shop is down", NOON + MINUTE)


@pytest.mark.parametrize("phase", [ROLLING_BACK, ROLLED_BACK])
@pytest.mark.parametrize(
    ("reason", "stays"),
    [
        (Reason.GATE_FAILED, True),
        (Reason.ROLLBACK_REQUESTED, True),
        (Reason.FOUND_AT_ZERO, False),
        (Reason.RAISE_UNCERTAIN, False),
    ],
)
def test_the_first_cause_of_a_rollback_survives_a_command_but_a_found_zero_is_no_cause(
    phase: Phase, reason: Reason, stays: bool
) -> None:
    before = replace(DURING_ROLLBACK, phase=phase, reason=reason, sentence="the first cause")
    command = Command(Verb.ROLLBACK, "the shop is down", weight=10)
    decision = apply_command(before, command, Observation(a_reading(0)), NOON + MINUTE)
    after, entry = decision.rollout, decision.record
    first_cause = (reason, "the first cause")
    assert (after.reason, after.sentence) == (
        first_cause if stays else (Reason.ROLLBACK_REQUESTED, "the shop is down")
    )
    assert entry is not None
    assert (entry.reason, entry.weight_from) == (Reason.ROLLBACK_REQUESTED, 10)


def test_a_policy_in_the_snapshot_is_the_one_that_is_followed() -> None:
    slow: Policy = a_policy(steps=[{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}])
    assert (
        decide_tick(replace(AT_10, policy=slow), a_reading(10), 15).rollout.reason is Reason.BAKING
    )


def test_a_clock_that_went_back_counts_as_the_newest_moment_known() -> None:
    ahead: datetime = NOON + 20 * MINUTE
    after = decide_tick(replace(AT_10, updated=ahead), a_reading(10), 5).rollout
    assert (after.updated, after.reason) == (ahead, Reason.GATE_PASSED)


def test_every_transition_is_recorded_and_staying_is_not() -> None:
    def kind(decision: Decision) -> str | None:
        return decision.record.kind if decision.record else None

    assert [
        kind(decide_tick(RAISING, a_reading(50), 1)),
        kind(decide_tick(AT_10, a_reading(10), 5)),
        kind(decide_tick(AT_10, a_reading(10), 15)),
        kind(decide_tick(AT_10, a_reading(10), 15, TOO_FEW_REQUESTS)),
        kind(decide_tick(AT_10, a_reading(10), 32, TOO_FEW_REQUESTS)),
        kind(decide_tick(AT_10, a_reading(10), 7, FAILING)),
        kind(decide_tick(DURING_ROLLBACK, a_reading(10), 1)),
        kind(decide_tick(DURING_ROLLBACK, a_reading(0), 1)),
        kind(decide_tick(AT_100, a_reading(100), 35)),
    ] == [
        "settled", None, "advanced", None, "paused", "rolling_back", None, "rolled_back",
        "succeeded",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rollout", "minute", "measured", "kind"),
    [
        (AT_10, 7, FAILING, "rolling_back"),
        (AT_10, 15, HEALTHY, "advanced"),
        (AT_10, 32, TOO_FEW_REQUESTS, "paused"),
        (AT_100, 35, HEALTHY, "succeeded"),
        (replace(AT_100, sealed_at=NOON - 60 * MINUTE), 15, HEALTHY, "evidence"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_holds_what_the_decision_saw(
    rollout: Rollout, minute: float, measured: Mapping[str, Series], kind: str
) -> None:
    record = decide_tick(rollout, a_reading(rollout.weight), minute, measured).record
    assert record is not None
    assert (record.kind, record.weight_from, record.keeps_series) == (kind, rollout.weight, True)
    assert [one.criterion for one in record.findings] == ["works"]
