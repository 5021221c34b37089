"""A step starts clean, follows its index, and carries its label to the end."""

from dataclasses import replace
from datetime import timedelta

from tests.support.core import (
    Condition,
    ConditionKind,
    Label,
    Live,
    Pending,
    Progressing,
    Reason,
    RollingBack,
    Shift,
    Verb,
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
    AT_50,
    AT_100,
    FAILING,
    PROGRESSING,
    RAISING,
    ROLLING_BACK,
    SUCCEEDED,
    TALLIES,
    TOO_FEW_REQUESTS,
    at_weight,
    decide_command,
    decide_tick,
    healthy_until,
    under,
)


def test_the_clock_of_a_step_starts_when_its_weight_is_seen() -> None:
    assert decide_tick(RAISING, a_reading(50), 3).rollout.live == Live(1, 50, NOON + 3 * MINUTE)


def test_a_step_starts_without_the_evidence_of_the_one_before() -> None:
    before = with_facts(AT_10, sealed_at=NOON, tallies=TALLIES)
    before = with_state(before, hold_from=NOON, block=Reason.FROZEN)
    raised = decide_tick(before, a_reading(10), 15).rollout
    assert (raised.live, raised.evidence.tallies, raised.evidence.sealed_at) == (
        AT_10.live,
        TALLIES,
        NOON,
    )
    after = decide_tick(raised, a_reading(50), 16).rollout
    assert (after.evidence.tallies, after.evidence.sealed_at, after.evidence.findings) == (
        {},
        None,
        (),
    )
    state = state_of(after, Progressing)
    assert (state.hold_from, state.block) == (None, None)


def test_a_step_leaves_behind_the_findings_of_criteria_that_the_next_one_lacks() -> None:
    first, *rest = LADDER["steps"]
    steps = [first, *({**one, "criteria": ["steady"]} for one in rest)]
    works = LADDER["criteria"]["works"]
    policy = a_policy(criteria={"works": works, "steady": works}, steps=steps)
    after = decide_tick(replace(AT_10, policy=policy), a_reading(10), 15).rollout
    assert after.weight == 50
    assert [(one.criterion, one.facts) for one in after.evidence.earlier_findings] == [
        ("works", {})
    ]


def test_a_block_is_forgotten_once_the_raise_is_applied() -> None:
    blocked = with_state(RAISING, block=Reason.FROZEN)
    blocked = blocked.with_condition(ConditionKind.BLOCKED, Condition(NOON, "frozen"))
    after = decide_tick(blocked, a_reading(50), 3).rollout
    assert (state_of(after, Progressing).block, after.conditions) == (None, {})


def test_the_intent_of_a_raise_holds_what_a_crash_needs() -> None:
    now = NOON + 15 * MINUTE
    after = decide_tick(AT_10, a_reading(10, token="token-2"), 15).rollout
    assert after.position == Pending(1, 50, 10, "token-2", now, tried=now, live=AT_10.live)


def test_a_rollback_knows_the_last_weight_that_was_decided() -> None:
    raised = decide_tick(AT_10, a_reading(10), 15).rollout
    lowered = decide_command(raised, Verb.ROLLBACK, a_reading(10)).rollout
    assert state_of(lowered, RollingBack).intended == 50


def test_the_last_step_that_passes_is_a_success_with_its_label() -> None:
    held = AT_100.with_condition(ConditionKind.BLOCKED, Condition(NOON, "the target"))
    after = decide_tick(held, a_reading(100), 35).rollout
    assert (after.phase, after.reason, after.since, after.evidence.label, after.conditions) == (
        SUCCEEDED, Reason.COMPLETED, NOON + 35 * MINUTE, Label.NO_REGRESSION, {},
    )  # fmt: skip
    assert after.watch_until == NOON + 35 * MINUTE + timedelta(days=7)


def test_the_next_weight_follows_the_step_and_not_the_weight() -> None:
    out_of_line = with_state(AT_50, position=Live(1, 10, NOON))
    decision = decide_tick(out_of_line, a_reading(10), 15)
    assert (decision.rollout.step, decision.move) == (2, Shift(100, "token-1"))


def test_a_step_is_judged_by_its_own_criteria() -> None:
    works = LADDER["criteria"]["works"]
    policy = a_policy(
        criteria={"works": works, "lenient": {**works, "min": "10%"}},
        steps=[
            {"weight": 10, "bake": "10m", "criteria": ["lenient"]},
            {"weight": 100, "bake": "10m", "criteria": ["works"]},
        ],
    )
    lenient, strict = at_weight(10, policy), at_weight(100, policy)
    assert decide_tick(lenient, a_reading(10), 7, FAILING).rollout.phase is PROGRESSING
    assert decide_tick(strict, a_reading(100), 7, FAILING).rollout.phase is ROLLING_BACK


def test_an_unproven_advance_is_labelled_to_the_end() -> None:
    rollout = under(AT_10, on_inconclusive="advance")
    after = decide_tick(rollout, a_reading(10), 32, TOO_FEW_REQUESTS).rollout
    assert after.evidence.label == Label.TOO_FEW
    last = replace(with_facts(AT_100, label=after.evidence.label), policy=after.policy)
    assert decide_tick(last, a_reading(100), 35).rollout.evidence.label == after.evidence.label


def test_a_healthy_rollout_climbs_the_ladder_and_seals_once_an_hour() -> None:
    policy = a_policy(steps=[*LADDER["steps"][:2], {"weight": 100, "bake": "3h"}])
    started = a_start(policy, a_reading(0))
    rollout, weight, entries = started.rollout, 10, []
    for minute in range(1, 260):
        decision = decide_tick(rollout, a_reading(weight), minute, healthy_until(minute))
        if isinstance(decision.move, Shift):
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
