"""A step starts clean, follows its index, and carries its label to the end."""

from datetime import timedelta

from controller.immutable import replace
from tests.support.core import (
    Condition,
    ConditionKind,
    Label,
    Pending,
    Progressing,
    Reason,
    SetWeight,
)
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_start,
    state_of,
    with_facts,
    with_state,
)
from tests.support.three_steps import (
    AT_10,
    AT_100,
    SUCCEEDED,
    TALLIES,
    TOO_FEW_REQUESTS,
    decide_tick,
    healthy_until,
    under,
)


def test_a_step_starts_without_the_evidence_of_the_one_before() -> None:
    before = with_facts(AT_10, checkpoint_at=NOON, tallies=TALLIES)
    before = with_state(before, hold_from=NOON, block=Reason.FROZEN)
    raised = decide_tick(before, a_reading(10), 15).rollout
    assert (raised.live, raised.evidence.tallies, raised.evidence.checkpoint_at) == (
        AT_10.live,
        TALLIES,
        NOON,
    )
    after = decide_tick(raised, a_reading(50), 16).rollout
    assert (after.evidence.tallies, after.evidence.checkpoint_at, after.evidence.findings) == (
        {},
        None,
        (),
    )
    state = state_of(after, Progressing)
    assert (state.hold_from, state.block) == (None, None)


def test_the_intent_of_a_raise_holds_what_a_crash_needs() -> None:
    now = NOON + 15 * MINUTE
    after = decide_tick(AT_10, a_reading(10, token="token-2"), 15).rollout
    assert after.position == Pending(1, 50, 10, "token-2", now, tried=now, live=AT_10.live)


def test_the_last_step_that_passes_is_a_success_with_its_label() -> None:
    held = AT_100.with_condition(ConditionKind.BLOCKED, Condition(NOON, "the target"))
    after = decide_tick(held, a_reading(100), 35).rollout
    assert (after.phase, after.reason, after.since, after.evidence.label, after.conditions) == (
        SUCCEEDED, Reason.COMPLETED, NOON + 35 * MINUTE, Label.NO_REGRESSION, {},
    )  # fmt: skip
    assert after.watch_until == NOON + 35 * MINUTE + timedelta(days=7)


def test_an_unproven_advance_is_labelled_to_the_end() -> None:
    rollout = under(AT_10, on_inconclusive="advance")
    after = decide_tick(rollout, a_reading(10), 32, TOO_FEW_REQUESTS).rollout
    assert after.evidence.label == Label.TOO_FEW
    last = replace(with_facts(AT_100, label=after.evidence.label), policy=after.policy)
    assert decide_tick(last, a_reading(100), 35).rollout.evidence.label == after.evidence.label


def test_a_healthy_rollout_climbs_the_ladder_with_a_checkpoint_an_hour() -> None:
    policy = a_policy(steps=[*LADDER["steps"][:2], {"weight": 100, "bake": "3h"}])
    started = a_start(policy, a_reading(0))
    rollout, weight, entries = started.rollout, 10, []
    for minute in range(1, 260):
        decision = decide_tick(rollout, a_reading(weight), minute, healthy_until(minute))
        if isinstance(decision.move, SetWeight):
            weight = decision.move.weight
        if decision.record:
            entries.append((minute, decision.record.kind, weight))
        rollout = decision.rollout
    assert entries == [
        (1, "applied", 10),
        (16, "advanced", 50),
        (17, "applied", 50),
        (32, "advanced", 100),
        (33, "applied", 100),
        (95, "evidence", 100),
        (155, "evidence", 100),
        (215, "evidence", 100),
        (218, "succeeded", 100),
    ]
