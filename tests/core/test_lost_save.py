"""A lost compare-and-swap: a late raise is lowered, a rollback stands, other weights are left."""

from datetime import timedelta

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Condition,
    ConditionKind,
    LateRaise,
    LostSave,
    Observation,
    Reason,
    Rollout,
    SetZero,
    Target,
    decide,
)
from tests.support.rollouts import MINUTE, NOON, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AT_10,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    ON_HOLD,
    ROLLING_BACK,
    UNREADABLE,
    UPDATE_IN_PROGRESS,
    decide_tick,
)

LONG_AFTER = NOON + timedelta(hours=1)


@cases("stored, target, lowers, kind", {
    "its own weight": (AFTER_ROLLBACK, a_reading(10), True, "lowered_again"),
    "its own weight, in progress":
        (AFTER_ROLLBACK, a_reading(10, UPDATE_IN_PROGRESS), True, "lowered_again"),
    "an unknown weight": (AFTER_ROLLBACK, UNREADABLE, True, "lowered_again"),
    "another weight": (AFTER_ROLLBACK, a_reading(40), False, None),
    "0%": (AFTER_ROLLBACK, a_reading(0), False, "at_zero_again"),
    "its own weight, the rollback still goes on": (DURING_ROLLBACK, a_reading(10), True, None),
})  # fmt: skip
def test_after_a_rollback_meanwhile_a_late_raise_is_lowered_and_another_weight_is_left(
    stored: Rollout, target: Target, lowers: bool, kind: str | None
) -> None:
    """An hour later the watch is over, and another rollout may own the target."""
    known = Condition(
        NOON, "access denied", announced=LONG_AFTER, critical=True, entry="rollback_unconfirmed"
    )
    stored = stored.with_condition(ConditionKind.UNCONFIRMED, known)
    decision = decide(stored, LateRaise(Observation(target), FIRST_RAISE), LONG_AFTER)
    assert isinstance(decision.move, SetZero) is lowers
    assert (decision.record and decision.record.kind) == kind


@cases("target, live", {
    "another weight": (a_reading(30), 30),
    "unreadable": (UNREADABLE, None),
})  # fmt: skip
def test_a_rollback_goes_before_a_pause_that_another_run_saved_meanwhile(
    target: Target, live: int | None
) -> None:
    """Traffic is down already: the stored state says so, with the reason and the findings."""
    now = NOON + 8 * MINUTE
    lowered = decide_tick(AT_10, a_reading(10), 7, FAILING).rollout
    event = LostSave.of(Observation(target), lowered)
    decision = decide(replace(ON_HOLD, seen_weight=10), event, now)
    after, record = decision.rollout, decision.record
    assert (after.phase, after.reason, after.since) == (ROLLING_BACK, Reason.GATE_FAILED, now)
    assert (after.updated, after.seen_weight) == (now, live or 10)
    assert after.evidence.findings == lowered.evidence.findings
    assert record is not None
    assert (record.kind, record.at, record.weight_from) == ("rolling_back", now, live)
    assert record.findings == lowered.evidence.findings
    assert record.cause == {
        "verb": "lost_save", "reason": "gate_failed", "sentence": lowered.sentence,
    }  # fmt: skip


def test_a_watch_that_wrote_zero_while_another_run_saved_is_recorded_as_such() -> None:
    now = NOON + 9 * MINUTE
    lowered = decide_tick(AFTER_ROLLBACK, a_reading(10), 8).rollout
    decision = decide(AFTER_ROLLBACK, LostSave.of(Observation(a_reading(0)), lowered), now)
    assert decision.rollout.updated == now
    assert decision.record is not None
    assert decision.record.at == now
    assert decision.record.cause == {
        "verb": "lost_save", "reason": "lowered_again", "sentence": "",
    }  # fmt: skip
