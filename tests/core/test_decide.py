"""One tick, row by row of the state machine; in each table the id is the claim."""

from datetime import datetime

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Measured,
    Pending,
    Phase,
    Reason,
    Rollout,
    SetWeight,
    Target,
    Verb,
    next_action,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, in_phase, with_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    FIRST_UNFINISHED,
    HEALTHY,
    LOWER,
    LOWER_BY_OPERATOR,
    NO_DATA,
    NOT_A_RAISE,
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
    UNFINISHED,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    an_adopted_rollout,
    decide_command,
    decide_tick,
    live_at,
    refused_write,
    under,
)

# A pending restore: an operator takes a raised weight back.
TO_10 = Pending(0, 10, 100, "token-1", NOON, tried=NOON, live=live_at(10))
RESTORING = replace(with_state(AT_10, position=TO_10), seen_weight=100)
# Variables that contradict each other, with a boolean that says 100%.
FULL = "full"


@cases(
    "rollout, target, minute, phase, reason, move",
    {
        "the intended weight is applied: the clock of the step starts": (
            RAISING,
            a_reading(50),
            1,
            PROGRESSING,
            Reason.APPLIED,
            None,
        ),
        "an update that failed is rolled back": (
            RAISING,
            a_reading(50, UPDATE_FAILED),
            1,
            ROLLING_BACK,
            Reason.SHIFT_FAILED,
            LOWER,
        ),
        "an update that failed and left the old weight is rolled back": (
            RAISING,
            a_reading(10, UPDATE_FAILED),
            1,
            ROLLING_BACK,
            Reason.SHIFT_FAILED,
            LOWER,
        ),
        "0% where the raise came from above 0 ends the rollout": (
            RAISING,
            a_reading(0),
            1,
            ROLLED_BACK,
            Reason.FOUND_AT_ZERO,
            None,
        ),
        "0% that is still moving is read back before the rollout ends": (
            RAISING,
            a_reading(0, UPDATE_IN_PROGRESS),
            1,
            ROLLING_BACK,
            Reason.FOUND_AT_ZERO,
            None,
        ),
        "a raise that was saved and never written is written again": (
            RAISING,
            a_reading(10),
            1,
            PROGRESSING,
            Reason.WRITE_RETRIED,
            SetWeight(50, "token-1"),
        ),
        "the first raise that was never written is written again": (
            FIRST_RAISE,
            a_reading(0),
            1,
            PROGRESSING,
            Reason.WRITE_RETRIED,
            SetWeight(10, "token-1"),
        ),
        "a raise that was never written is written again however late it is first seen": (
            RAISING,
            a_reading(10),
            60,
            PROGRESSING,
            Reason.WRITE_RETRIED,
            SetWeight(50, "token-1"),
        ),
        "a raise that is refused is written again up to shift_timeout": (
            UNFINISHED,
            a_reading(10),
            10,
            PROGRESSING,
            Reason.WRITE_RETRIED,
            SetWeight(50, "token-1"),
        ),
        "a raise that is refused for shift_timeout is rolled back": (
            UNFINISHED,
            a_reading(10),
            10.1,
            ROLLING_BACK,
            Reason.SHIFT_TIMED_OUT,
            LOWER,
        ),
        "a first raise that is refused for shift_timeout ends at the 0% that stands": (
            FIRST_UNFINISHED,
            a_reading(0),
            10.1,
            ROLLED_BACK,
            Reason.SHIFT_TIMED_OUT,
            None,
        ),
        "an applied raise is applied however late it is seen": (
            UNFINISHED,
            a_reading(50),
            60,
            PROGRESSING,
            Reason.APPLIED,
            None,
        ),
        "the old weight on a target that was changed meanwhile waits for an operator": (
            RAISING,
            a_reading(10, token="token-9"),
            1,
            PAUSED,
            Reason.RAISE_UNCERTAIN,
            None,
        ),
        "the old weight on a changed target waits for an operator however late it is seen": (
            RAISING,
            a_reading(10, token="token-9"),
            99,
            PAUSED,
            Reason.RAISE_UNCERTAIN,
            None,
        ),
        "a first raise whose target was changed meanwhile ends at the 0% that stands": (
            FIRST_RAISE,
            a_reading(0, token="token-9"),
            1,
            ROLLED_BACK,
            Reason.RAISE_UNCERTAIN,
            None,
        ),
        "0% after the first raise was seen in progress ends the rollout": (
            replace(FIRST_RAISE, seen_weight=10),
            a_reading(0, token="token-9"),
            1,
            ROLLED_BACK,
            Reason.FOUND_AT_ZERO,
            None,
        ),
        "a restore whose target was changed meanwhile is drift again": (
            RESTORING,
            a_reading(100, token="token-9"),
            1,
            PAUSED,
            Reason.DRIFTED,
            None,
        ),
        "a restore whose target was changed meanwhile is drift up": (
            under(RESTORING, on_drift_up="rollback"),
            a_reading(100, token="token-9"),
            1,
            ROLLING_BACK,
            Reason.DRIFTED,
            LOWER,
        ),
        "an update in progress is waited for up to shift_timeout": (
            UNFINISHED,
            a_reading(50, UPDATE_IN_PROGRESS),
            10,
            PROGRESSING,
            Reason.WAITING,
            None,
        ),
        "an update that one late tick sees in progress is waited for": (
            RAISING,
            a_reading(50, UPDATE_IN_PROGRESS),
            60,
            PROGRESSING,
            Reason.WAITING,
            None,
        ),
        "an update in progress for longer than shift_timeout is rolled back": (
            UNFINISHED,
            a_reading(50, UPDATE_IN_PROGRESS),
            10.1,
            ROLLING_BACK,
            Reason.SHIFT_TIMED_OUT,
            LOWER,
        ),
        "nothing is written while another update is in progress": (
            RAISING,
            a_reading(10, UPDATE_IN_PROGRESS),
            1,
            PROGRESSING,
            Reason.WAITING,
            None,
        ),
        "a third weight instead of the intended one waits for an operator": (
            RAISING,
            a_reading(30),
            1,
            PAUSED,
            Reason.DRIFTED,
            None,
        ),
        "variables that contradict each other instead of the raise wait for an operator": (
            RAISING,
            a_reading(None),
            1,
            PAUSED,
            Reason.DRIFTED,
            None,
        ),
        "a target that cannot be read after a raise is read again": (
            UNFINISHED,
            UNREADABLE,
            10,
            PROGRESSING,
            Reason.TARGET_UNREADABLE,
            None,
        ),
        "a target that one late tick cannot read after a raise is read again": (
            RAISING,
            UNREADABLE,
            60,
            PROGRESSING,
            Reason.TARGET_UNREADABLE,
            None,
        ),
        "a target that cannot be read for shift_timeout after a raise is rolled back": (
            UNFINISHED,
            UNREADABLE,
            10.1,
            ROLLING_BACK,
            Reason.SHIFT_TIMED_OUT,
            LOWER,
        ),
        "an unreadable environment after a raise may still heal": (
            RAISING,
            UNREADABLE_FOR_GOOD,
            1,
            PROGRESSING,
            Reason.TARGET_UNREADABLE,
            None,
        ),
    },
)
def test_a_pending_raise(
    rollout: Rollout, target: Target, minute: float, phase: Phase, reason: Reason, move: object
) -> None:
    decision = decide_tick(rollout, target, minute, NO_DATA)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@cases("target, minute, measured, phase, reason, move", {
    "drift to 0% ends the rollout before anything failed":
        (a_reading(0), 5, FAILING, ROLLED_BACK, Reason.FOUND_AT_ZERO, None),
    "0% where the gate fails is put down to the gate":
        (a_reading(0), 7, FAILING, ROLLED_BACK, Reason.GATE_FAILED, None),
    "0% in progress where the gate fails is put down to the gate":
        (a_reading(0, UPDATE_IN_PROGRESS), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, None),
    "a rollback does not wait for the operator after drift":
        (a_reading(30), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "drift to 0% that is in progress is waited for":
        (a_reading(0, UPDATE_IN_PROGRESS), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, None),
    "drift to 0% whose update failed is written by the rollout":
        (a_reading(0, UPDATE_FAILED), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, LOWER),
    "drift up pauses": (a_reading(30), 5, HEALTHY, PAUSED, Reason.DRIFTED, None),
    "drift down pauses": (a_reading(5), 5, HEALTHY, PAUSED, Reason.DRIFTED, None),
    "variables that contradict each other pause":
        (a_reading(None), 5, HEALTHY, PAUSED, Reason.DRIFTED, None),
    "one settled bad minute is no failure where two fail":
        (a_reading(10), 6, FAILING, PROGRESSING, Reason.BAKING, None),
    "bad news does not wait for the bake":
        (a_reading(10), 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "bad news does not wait for a target that cannot be read":
        (UNREADABLE, 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "bad news does not wait for an environment that cannot be read":
        (UNREADABLE_FOR_GOOD, 7, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "a warm-up is not judged": (a_reading(10), 1, HEALTHY, PROGRESSING, Reason.BAKING, None),
    "good news waits for the end of the bake":
        (a_reading(10), 11.9, HEALTHY, PROGRESSING, Reason.BAKING, None),
    "good news waits until the last minute of the bake has settled":
        (a_reading(10), 14.9, HEALTHY, PROGRESSING, Reason.BAKING, None),
    "a gate that passes leads to the next weight, under the token that was seen":
        (a_reading(10, token="token-2"), 15, HEALTHY, PROGRESSING, Reason.GATE_PASSED,
         SetWeight(50, "token-2")),
    "nothing is raised while another update of the target is in progress":
        (a_reading(10, UPDATE_IN_PROGRESS), 15, HEALTHY, PROGRESSING, Reason.ON_HOLD, None),
    "another update of the target is waited for up to max_hold":
        (a_reading(10, UPDATE_IN_PROGRESS), 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
    "silence is not health": (a_reading(10), 15, NO_DATA, PROGRESSING, Reason.ON_HOLD, None),
    "too few requests hold":
        (a_reading(10), 15, TOO_FEW_REQUESTS, PROGRESSING, Reason.ON_HOLD, None),
    "an outage of the metrics holds":
        (a_reading(10), 15, OUTAGE, PROGRESSING, Reason.ON_HOLD, None),
    "an answer in part never passes":
        (a_reading(10), 15, PARTIAL, PROGRESSING, Reason.ON_HOLD, None),
    "silence holds for max_hold after the bake":
        (a_reading(10), 31.9, NO_DATA, PROGRESSING, Reason.ON_HOLD, None),
    "silence for max_hold pauses": (a_reading(10), 32, NO_DATA, PAUSED, Reason.INCONCLUSIVE, None),
    "ticks that were missed do not turn a pass into a pause":
        (a_reading(10), 50, HEALTHY, PROGRESSING, Reason.GATE_PASSED, SetWeight(50, "token-1")),
    "a target that cannot be read keeps its traffic":
        (UNREADABLE, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None),
    "an environment that cannot be read keeps its traffic":
        (UNREADABLE_FOR_GOOD, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None),
    "a gate that passes raises no target that cannot be read":
        (UNREADABLE, 20, HEALTHY, PROGRESSING, Reason.ON_HOLD, None),
    "a target that cannot be read for max_hold pauses":
        (UNREADABLE, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
})  # fmt: skip
def test_a_step_that_bakes(
    target: Target, minute: float, measured: Measured, phase: Phase, reason: Reason, move: object
) -> None:
    decision = decide_tick(AT_10, target, minute, measured)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@cases("rollout, target, minute, phase, reason, move", {
    "a weight above 0 is lowered again":
        (DURING_ROLLBACK, a_reading(10), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "a rollback never stops trying":
        (DURING_ROLLBACK, a_reading(10), 500, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "variables that contradict each other are lowered":
        (DURING_ROLLBACK, a_reading(None), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "0% in progress is not written twice":
        (DURING_ROLLBACK, a_reading(0, UPDATE_IN_PROGRESS), 1, ROLLING_BACK, Reason.GATE_FAILED,
         None),
    "0% whose update failed is written again":
        (DURING_ROLLBACK, a_reading(0, UPDATE_FAILED), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "a rollback does not wait for a target to be readable":
        (DURING_ROLLBACK, UNREADABLE, 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "an environment that cannot be read is never written":
        (DURING_ROLLBACK, UNREADABLE_FOR_GOOD, 1, ROLLING_BACK, Reason.GATE_FAILED, None),
    "0% that is applied completes the rollback, with its reason":
        (DURING_ROLLBACK, a_reading(0), 1, ROLLED_BACK, Reason.GATE_FAILED, None),
    "the last weight of the rollout that comes back is lowered again":
        (AFTER_ROLLBACK, a_reading(10), 14, ROLLED_BACK, Reason.GATE_FAILED,
         replace(LOWER, must_succeed=True, only=10)),
    "0% is guarded for 15 minutes":
        (AFTER_ROLLBACK, a_reading(10), 15, ROLLED_BACK, Reason.GATE_FAILED, None),
    "another weight after a rollback is left alone":
        (AFTER_ROLLBACK, a_reading(20), 14, ROLLED_BACK, Reason.GATE_FAILED, None),
    "nothing is guarded where nothing can be read":
        (AFTER_ROLLBACK, UNREADABLE, 14, ROLLED_BACK, Reason.GATE_FAILED, None),
    "drift to 0% ends a paused rollout":
        (ON_HOLD, a_reading(0), 20, ROLLED_BACK, Reason.FOUND_AT_ZERO, None),
    "0% ends a paused rollout also when it was seen before":
        (replace(ON_HOLD, seen_weight=0), a_reading(0), 20, ROLLED_BACK, Reason.FOUND_AT_ZERO,
         None),
    "0% in progress ends a paused rollout once it is applied":
        (ON_HOLD, a_reading(0, UPDATE_IN_PROGRESS), 20, ROLLING_BACK, Reason.FOUND_AT_ZERO, None),
    "a paused rollout does not go on by itself":
        (ON_HOLD, a_reading(10), 20, PAUSED, Reason.INCONCLUSIVE, None),
    "a weight changed during a pause is drift, and left to the operator":
        (ON_HOLD, a_reading(50), 20, PAUSED, Reason.DRIFTED, None),
    "a target that cannot be read leaves a paused rollout as it is":
        (ON_HOLD, UNREADABLE, 20, PAUSED, Reason.INCONCLUSIVE, None),
    "a success stays": (AFTER_SUCCESS, a_reading(100), 60, SUCCEEDED, Reason.COMPLETED, None),
    "a success is not rolled back by drift":
        (AFTER_SUCCESS, a_reading(0), 60, SUCCEEDED, Reason.COMPLETED, None),
    "a success needs no readable target":
        (AFTER_SUCCESS, UNREADABLE_FOR_GOOD, 60, SUCCEEDED, Reason.COMPLETED, None),
})  # fmt: skip
def test_a_rollout_that_does_not_advance(
    rollout: Rollout, target: Target, minute: float, phase: Phase, reason: Reason, move: object
) -> None:
    decision = decide_tick(rollout, target, minute)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


UPDATING = a_reading(10, UPDATE_IN_PROGRESS)
ROLLS_BACK = under(AT_10, on_inconclusive="rollback")
ADVANCES = under(AT_10, on_inconclusive="advance")
SLOW = under(AT_10, steps=[{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}])


@cases("rollout, target, minute, measured, phase, reason, move", {
    "a hold ends in a rollback, where the policy says so":
        (ROLLS_BACK, a_reading(10), 32, TOO_FEW_REQUESTS, ROLLING_BACK, Reason.INCONCLUSIVE, LOWER),
    "a hold ends in an advance, where the policy says so":
        (ADVANCES, a_reading(10), 32, TOO_FEW_REQUESTS, PROGRESSING, Reason.ADVANCED_UNPROVEN,
         SetWeight(50, "token-1")),
    "an unproven advance raises no target that cannot be read":
        (ADVANCES, UNREADABLE, 32, TOO_FEW_REQUESTS, PAUSED, Reason.INCONCLUSIVE, None),
    "an unproven advance raises no target that is being updated":
        (ADVANCES, UPDATING, 32, TOO_FEW_REQUESTS, PAUSED, Reason.INCONCLUSIVE, None),
    "a gate that passed does not roll back for a target that cannot be read":
        (ROLLS_BACK, UNREADABLE, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
    "a gate that passed does not roll back for a target that is being updated":
        (ROLLS_BACK, UPDATING, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
    "a gate that passed does not advance over a target that cannot be read":
        (ADVANCES, UNREADABLE, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
    "a gate that passed does not advance over a target that is being updated":
        (ADVANCES, UPDATING, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None),
    "where no weight was raised, an unreadable target pauses after shift_timeout":
        (NOT_A_RAISE, UNREADABLE, 10.1, NO_DATA, PAUSED, Reason.SHIFT_TIMED_OUT, None),
    "where no weight was raised, an update in progress pauses after shift_timeout":
        (NOT_A_RAISE, a_reading(100, UPDATE_IN_PROGRESS), 10.1, NO_DATA, PAUSED,
         Reason.SHIFT_TIMED_OUT, None),
    "where no weight was raised, an update that failed pauses":
        (NOT_A_RAISE, a_reading(100, UPDATE_FAILED), 1, NO_DATA, PAUSED, Reason.SHIFT_FAILED,
         None),
    "a gate that fails at 0% ends the rollout, and is its reason":
        (AT_10, a_reading(0), 20, FAILING, ROLLED_BACK, Reason.GATE_FAILED, None),
    "a gate that fails at 0% ends a paused rollout, and is its reason":
        (ON_HOLD, a_reading(0), 20, FAILING, ROLLED_BACK, Reason.GATE_FAILED, None),
    "a paused rollout is judged and rolled back":
        (ON_HOLD, a_reading(10), 20, FAILING, ROLLING_BACK, Reason.GATE_FAILED, LOWER),
    "the policy of the start is followed":
        (SLOW, a_reading(10), 15, HEALTHY, PROGRESSING, Reason.BAKING, None),
})  # fmt: skip
def test_a_rollout_whose_policy_or_past_decides(
    rollout: Rollout,
    target: Target,
    minute: float,
    measured: Measured,
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = decide_tick(rollout, target, minute, measured)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@cases("target, reason", {
    "unreadable for long": (UNREADABLE, Reason.TARGET_UNREADABLE),
    "an update that takes long": (a_reading(100, UPDATE_IN_PROGRESS), Reason.BAKING),
    "an update that failed": (a_reading(100, UPDATE_FAILED), Reason.BAKING),
})  # fmt: skip
def test_a_weight_that_was_adopted_is_not_taken_back_by_the_limits_of_a_raise(
    target: Target, reason: Reason
) -> None:
    first = decide_tick(an_adopted_rollout(100), target, 1).rollout
    decision = decide_tick(first, target, 12)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (PROGRESSING, reason, None)


def test_a_raise_is_timed_from_the_first_tick_that_saw_it_unfinished() -> None:
    """Ticks an hour apart: one that cannot read is no reason to take a healthy release back."""
    first = decide_tick(RAISING, UNREADABLE, 60).rollout
    assert decide_tick(first, a_reading(50), 120).rollout.reason is Reason.APPLIED
    assert decide_tick(first, UNREADABLE, 120).rollout.reason is Reason.SHIFT_TIMED_OUT
    assert next_action(first).at == NOON + 70 * MINUTE


def test_a_clock_that_is_behind_records_nothing_before_a_refusal() -> None:
    """The refusal comes after the decision, and the next run may have another clock."""
    decided = decide_tick(DURING_ROLLBACK, a_reading(50), 1)
    after = refused_write(decided, 4)
    later = decide_tick(after.rollout, a_reading(0), 2)
    assert after.record is not None
    assert later.record is not None
    assert NOON + 4 * MINUTE == after.record.at <= later.record.at
    assert refused_write(decided, 0).rollout.updated == decided.rollout.updated


@cases("on_drift_up, weight, phase, move", {
    "up, pause": ("pause", 30, PAUSED, None),
    "up, rollback": ("rollback", 30, ROLLING_BACK, LOWER),
    "down is never rolled back": ("rollback", 5, PAUSED, None),
    "a contradiction is not surely up": ("rollback", None, PAUSED, None),
    "what may be 100% is up": ("rollback", FULL, ROLLING_BACK, LOWER),
    "what may be 100%, pause": ("pause", FULL, PAUSED, None),
})  # fmt: skip
@cases("rollout", {"baking": AT_10, "paused": ON_HOLD})
def test_drift_up_ends_as_the_policy_says(
    rollout: Rollout, on_drift_up: str, weight: int | str | None, phase: Phase, move: object
) -> None:
    rollout = replace(rollout, policy=a_policy(on_drift_up=on_drift_up), seen_weight=10)
    target = a_reading(None, may_be_full=True) if isinstance(weight, str) else a_reading(weight)
    decision = decide_tick(rollout, target, 5)
    assert (decision.rollout.phase, decision.move) == (phase, move)
    assert decision.alert is Alert.DRIFT


def test_a_drifted_weight_is_judged_from_then_on() -> None:
    paused = decide_tick(RAISING, a_reading(30), 1, NO_DATA).rollout
    assert decide_tick(paused, a_reading(30), 8, FAILING).rollout.reason is Reason.GATE_FAILED


@cases("rollout", {
    "raising": RAISING,
    "baking": AT_10,
    "paused": ON_HOLD,
    "rolling back": DURING_ROLLBACK,
    "rolled back": AFTER_ROLLBACK,
    "succeeded": AFTER_SUCCESS,
})  # fmt: skip
@cases("target", {"readable": a_reading(100), "gone": UNREADABLE, "broken": UNREADABLE_FOR_GOOD})
def test_an_operator_rolls_back_in_every_phase(rollout: Rollout, target: Target) -> None:
    decision = decide_command(rollout, Verb.ROLLBACK, target, reason="the shop is down", minute=1)
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
    before = in_phase(phase, reason=reason, sentence="the first cause")
    decision = decide_command(
        before, Verb.ROLLBACK, a_reading(0), reason="the shop is down", weight=10
    )
    after, entry = decision.rollout, decision.record
    first_cause = (reason, "the first cause")
    assert (after.reason, after.sentence) == (
        first_cause if stays else (Reason.ROLLBACK_REQUESTED, "the shop is down")
    )
    assert entry is not None
    assert (entry.reason, entry.weight_from) == (Reason.ROLLBACK_REQUESTED, 10)


def test_a_clock_that_went_back_counts_as_the_newest_moment_known() -> None:
    ahead: datetime = NOON + 20 * MINUTE
    after = decide_tick(replace(AT_10, updated=ahead), a_reading(10), 5).rollout
    assert (after.updated, after.reason) == (ahead, Reason.GATE_PASSED)
