"""A freeze and a missing approval delay advances, and nothing else, and are reported once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Decision,
    Measured,
    Pending,
    Phase,
    Policy,
    Reason,
    Rollout,
    SetWeight,
    Severity,
    Target,
    TargetReading,
    Verb,
    is_raise_frozen,
    next_action,
    waits_for,
)
from tests.support.rollouts import (
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_state,
    with_state,
)
from tests.support.three_steps import (
    APPROVAL,
    AT_10,
    AT_100,
    FAILING,
    FREEZE,
    HEALTHY,
    LOWER,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    PAUSED,
    PROGRESSING,
    RAISING,
    ROLLED_BACK,
    ROLLING_BACK,
    SUCCEEDED,
    TO_50,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UPDATE_IN_PROGRESS,
    decide_command,
    decide_tick,
    healthy_until,
)

OVER = 360
# An operator restores 10%.
RESTORING = with_state(AT_10, position=Pending(0, 10, 100, "token-1", NOON, live=AT_10.live))
APPROVE = "rolloutctl approve checkout#1"


def at_10(*parts: Mapping[str, Any], **facts: Any) -> Rollout:
    """Return a rollout at 10% since noon, by a policy with `parts` of it replaced."""
    policy: Policy = a_policy(**{key: value for part in parts for key, value in part.items()})
    return replace(AT_10, policy=policy, **facts)


FROZEN, UNAPPROVED, BOTH = at_10(FREEZE), at_10(APPROVAL), at_10(FREEZE, APPROVAL)
RAISE_IN_FREEZE = replace(RAISING, policy=FROZEN.policy, updated=NOON)
FROZEN_NOW = FROZEN.policy.freeze_at(NOON + 15 * MINUTE)
assert FROZEN_NOW is not None
WHY_FROZEN = FROZEN_NOW.text


def clock(minute: float) -> datetime:
    return NOON + minute * MINUTE


def healthy_tick(rollout: Rollout, minute: int) -> Decision:
    """Decide on a healthy canary at 10%, measured from noon until then."""
    return decide_tick(rollout, a_reading(10), minute, healthy_until(minute))


ALL_DAY = healthy_until(600)


# --- Delays ---------------------------------------------------------------------------------------


@cases("rollout, weight, minute, held", {
    "in the freeze": (RAISE_IN_FREEZE, 50, 10, True),
    "before it": (RAISE_IN_FREEZE, 50, 9, False),
    "after it": (RAISE_IN_FREEZE, 50, OVER, False),
    "a clock that is behind the decision":
        (replace(RAISE_IN_FREEZE, updated=NOON + 10 * MINUTE), 50, 9, True),
    "what is taken back is not a raise":
        (replace(RESTORING, policy=FROZEN.policy), 10, 10, False),
    "nor a weight that an operator sets":
        (replace(RAISE_IN_FREEZE, state=a_state(PAUSED, position=TO_50)), 50, 10, False),
})  # fmt: skip
def test_a_raise_is_held_back_where_a_freeze_has_begun_since_it_was_decided(
    rollout: Rollout, weight: int, minute: int, held: bool
) -> None:
    move = SetWeight(weight, "token-1")
    assert is_raise_frozen(rollout, move, NOON + minute * MINUTE) is held


@cases("rollout, target, minute, measured, phase, move", {
    "a criterion that fails goes back": (BOTH, a_reading(10), 15, FAILING, ROLLING_BACK, LOWER),
    "0% ends it": (BOTH, a_reading(0), 15, HEALTHY, ROLLED_BACK, None),
    "drift pauses": (BOTH, a_reading(30), 15, HEALTHY, PAUSED, None),
    "an inconclusive gate goes back where the policy says so":
        (at_10(FREEZE, APPROVAL, {"on_inconclusive": "rollback"}), a_reading(10), 32,
         TOO_FEW_REQUESTS, ROLLING_BACK, LOWER),
    "an inconclusive gate pauses": (BOTH, a_reading(10), 32, TOO_FEW_REQUESTS, PAUSED, None),
    "the last gate that passes is a success":
        (replace(AT_100, policy=BOTH.policy), a_reading(100), 35, HEALTHY, SUCCEEDED, None),
    "a weight that is taken back is written":
        (replace(RESTORING, policy=BOTH.policy), a_reading(100), 15, HEALTHY, PROGRESSING,
         SetWeight(10, "token-1")),
    "a pause whose gate fails goes back":
        (replace(ON_HOLD, policy=BOTH.policy), a_reading(10), 20, FAILING, ROLLING_BACK, LOWER),
})  # fmt: skip
def test_nothing_but_an_advance_is_delayed(
    rollout: Rollout,
    target: TargetReading,
    minute: float,
    measured: Measured,
    phase: Phase,
    move: object,
) -> None:
    decision = decide_tick(rollout, target, minute, measured)
    assert (decision.rollout.phase, decision.move) == (phase, move)


def test_a_raise_that_was_decided_before_a_freeze_is_not_written_in_it() -> None:
    rollout, reports = replace(RAISING, policy=FROZEN.policy), []
    for minute in (15, 16, 100, OVER - 1):
        decision = decide_tick(rollout, a_reading(10), minute, NO_DATA)
        rollout = decision.rollout
        assert (rollout.phase, rollout.reason, decision.move) == (PROGRESSING, Reason.FROZEN, None)
        reports += [(minute, decision.record and decision.record.kind)] * len(decision.notices)
    assert reports == [(15, "blocked")]
    assert WHY_FROZEN in rollout.sentence
    assert next_action(rollout).at == clock(OVER)
    thawed = decide_tick(rollout, a_reading(10), OVER, NO_DATA)
    assert (thawed.rollout.reason, thawed.move) == (Reason.WRITE_RETRIED, SetWeight(50, "token-1"))


def test_a_freeze_takes_nothing_from_the_time_that_a_raise_has() -> None:
    unfinished = with_state(RAISE_IN_FREEZE, position=replace(TO_50, first_look=clock(9)))
    frozen = decide_tick(unfinished, a_reading(10), 15, NO_DATA).rollout
    thawed = decide_tick(frozen, a_reading(10), OVER, NO_DATA).rollout
    assert (
        decide_tick(thawed, a_reading(10), OVER + 10, NO_DATA).rollout.reason
        is Reason.WRITE_RETRIED
    )
    assert (
        decide_tick(thawed, a_reading(10), OVER + 10.1, NO_DATA).rollout.reason
        is Reason.SHIFT_TIMED_OUT
    )


def test_an_approval_is_still_needed_after_the_freeze() -> None:
    waiting = decide_tick(BOTH, a_reading(10), 15).rollout
    assert healthy_tick(waiting, OVER).rollout.reason is Reason.AWAITING_APPROVAL


def test_an_approved_step_waits_for_the_end_of_the_freeze() -> None:
    approved = replace(BOTH, approved=1)
    assert waits_for(decide_tick(approved, a_reading(10), 15).rollout) == WHY_FROZEN
    assert healthy_tick(approved, OVER).move == SetWeight(50, "token-1")


# --- Unproven advances ----------------------------------------------------------------------------

ADVANCE = {"on_inconclusive": "advance"}


def test_an_unproven_advance_goes_up_with_the_first_tick_after_the_freeze() -> None:
    """Its hold is over: waiting for the freeze does not begin another."""
    rollout = at_10(FREEZE, ADVANCE)
    for minute in range(32, OVER):
        rollout = decide_tick(rollout, a_reading(10), minute, NO_DATA).rollout
        assert rollout.reason is Reason.FROZEN
    after = decide_tick(rollout, a_reading(10), OVER, NO_DATA)
    assert (after.rollout.reason, after.move) == (
        Reason.ADVANCED_UNPROVEN,
        SetWeight(50, "token-1"),
    )


# --- Gates that lose their verdict ----------------------------------------------------------------


WITHOUT_VERDICT = cases("target, measured", {
    "the canary falls silent": (a_reading(10), NO_DATA),
    "no metric is answered": (a_reading(10), OUTAGE),
    "the target is busy": (a_reading(10, UPDATE_IN_PROGRESS), ALL_DAY),
    "the target cannot be read": (UNREADABLE, ALL_DAY),
})  # fmt: skip
NO_ADVANCE = pytest.mark.parametrize("then", ["pause", "rollback"])


@WITHOUT_VERDICT
@NO_ADVANCE
@cases("parts, reason", {
    "frozen": ([FREEZE], Reason.FROZEN),
    "not approved": ([APPROVAL], Reason.AWAITING_APPROVAL),
})  # fmt: skip
def test_a_gate_that_loses_its_verdict_spends_no_hold_while_it_could_not_go_up_anyway(
    parts: list[Mapping[str, Any]], reason: Reason, then: str, target: Target, measured: Measured
) -> None:
    rollout = healthy_tick(at_10(*parts, {"on_inconclusive": then}), 15).rollout
    for minute in range(20, OVER, 5):
        decision = decide_tick(rollout, target, minute, measured)
        rollout = decision.rollout
        assert (rollout.phase, rollout.reason, decision.move) == (PROGRESSING, reason, None)


@WITHOUT_VERDICT
def test_its_hold_begins_with_the_first_tick_after_the_freeze(
    target: Target, measured: Measured
) -> None:
    lost = decide_tick(healthy_tick(FROZEN, 15).rollout, target, OVER - 1, measured).rollout
    held = decide_tick(lost, target, OVER + 30, measured).rollout
    assert (held.reason, held.hold_end) == (Reason.ON_HOLD, clock(OVER + 50))
    assert decide_tick(held, target, OVER + 49.9, measured).rollout.phase is PROGRESSING
    assert decide_tick(held, target, OVER + 50, measured).rollout.reason is Reason.INCONCLUSIVE


def test_its_hold_begins_once_an_operator_approves() -> None:
    lost = decide_tick(healthy_tick(UNAPPROVED, 15).rollout, a_reading(10), 200, NO_DATA).rollout
    approved = decide_command(lost, Verb.APPROVE, a_reading(10), minute=201).rollout
    held = decide_tick(approved, a_reading(10), 202, NO_DATA).rollout
    assert (held.reason, held.hold_end) == (Reason.ON_HOLD, clock(222))


def test_a_hold_that_has_begun_goes_on_through_the_next_freeze() -> None:
    """A service that has no data for good is not waited for night after night."""
    rollout = healthy_tick(at_10(FREEZE, {"max_hold": "24h"}), 15).rollout
    for minute in range(OVER - 1, OVER + 24 * 60 + 30, 30):
        rollout = decide_tick(rollout, a_reading(10), minute, NO_DATA).rollout
    assert rollout.reason is Reason.INCONCLUSIVE


def lost_verdict(rollout: Rollout) -> Decision:
    """Return the decision on a gate that passed, waits, and has no data any more."""
    return decide_tick(healthy_tick(rollout, 15).rollout, a_reading(10), 100, NO_DATA)


# --- Notices --------------------------------------------------------------------------------------


def reported(rollout: Rollout, *minutes: int) -> list[tuple[int, str, Severity]]:
    """Return the notices of ticks on a healthy canary: minute, kind of the record, severity."""
    reports = []
    for minute in minutes:
        decision = healthy_tick(rollout, minute)
        kind = decision.record.kind if decision.record else ""
        reports += [(minute, kind, notice.severity) for notice in decision.notices]
        rollout = decision.rollout
    return reports


def test_a_freeze_is_reported_once() -> None:
    assert reported(FROZEN, 15, 16, 100, 359) == [(15, "blocked", Severity.INFO)]


def test_a_freeze_that_ended_and_comes_again_is_reported_again() -> None:
    waiting = healthy_tick(at_10(FREEZE, {"max_hold": "2d"}), 15).rollout
    held = decide_tick(waiting, a_reading(10, UPDATE_IN_PROGRESS), OVER, ALL_DAY).rollout
    assert held.reason is Reason.ON_HOLD
    assert reported(held, 24 * 60 + 15, 24 * 60 + 16) == [(24 * 60 + 15, "blocked", Severity.INFO)]


@cases("rollout", {"no freeze": UNAPPROVED, "freezes that come and go": BOTH})
def test_a_missing_approval_is_reported_at_once_and_reminded_of_once_a_day(
    rollout: Rollout,
) -> None:
    day = 24 * 60
    assert reported(rollout, *range(15, 3 * day, 60)) == [
        (15, "blocked", Severity.WARNING),
        (15 + day, "reminded", Severity.WARNING),
        (15 + 2 * day, "reminded", Severity.WARNING),
    ]


def texts() -> dict[str, str]:
    """Return what people read of a gate that waits and has lost its verdict."""
    decisions = {
        "without an approval": lost_verdict(UNAPPROVED),
        "without an approval, the reminder":
            decide_tick(lost_verdict(UNAPPROVED).rollout, a_reading(10), 15 + 24 * 60, NO_DATA),
        "in a freeze": lost_verdict(FROZEN),
    }  # fmt: skip
    return {claim: decision_text(decision) for claim, decision in decisions.items()}
